"""From what is known of a value to how often such a value is right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

_FITTED = Path(__file__).with_name("calibration.json")
"""By checkpoint. `python -m benchmarks.hybrid --rows documents,calibration` writes such a file."""
_LEAST_READ = 0.05


class Grounds(StrEnum):
    """What a value rests on."""

    SEEN = "seen"  # it stands in the input
    UNSEEN = "unseen"  # a string or number that the input does not contain
    CONCLUSION = "conclusion"  # true, false, null or an empty string: nothing that could be read
    QUOTED = "quoted"  # a whole answer in words, that stands in the input
    WORDED = "worded"  # one that does not: yes, a count, a refusal, or made up


class Sign(StrEnum):
    """What speaks for or against a value beside the probability of its tokens."""

    READ = "read"  # natural logarithm of how surely its least sure word was read on a page
    HEARD = "heard"  # the same in a recording, where sure words are less sure
    NAMED = "named"  # a word of the question or of the field's name stands beside it
    LABEL = "label"  # it ends with a colon, as what names a value does
    AGAIN = "again"  # another value of the same answer is the same, and no number
    AMOUNT = "amount"  # it is one number


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of one value: the natural-log probability of the tokens that wrote it, and for one that was seen
    how surely its least sure word was read (the specialist's confidence, times how alike print and value are)."""

    logprob: float
    grounds: Grounds
    read: float = 1.0
    heard: bool = False
    named: bool = False
    label: bool = False
    again: bool = False
    amount: bool = False

    @property
    def signs(self) -> dict[Sign, float]:
        """Each as a number, 0 where there is nothing to say."""
        read = math.log(max(self.read, _LEAST_READ))
        return {
            Sign.READ: 0.0 if self.heard else read,
            Sign.HEARD: read if self.heard else 0.0,
            Sign.NAMED: float(self.named),
            Sign.LABEL: float(self.label),
            Sign.AGAIN: float(self.again),
            Sign.AMOUNT: float(self.amount),
        }


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic curve: for each of the grounds an intercept and a slope over the log-odds of the tokens, for all the
    same weight of each sign. Curves of answers in words may be missing: no decoder's are known before they are
    measured. ``weights_sha256``: of the decoder's ``model.safetensors`` that it was fitted on."""

    curves: Mapping[Grounds, tuple[float, float]]
    weights: Mapping[Sign, float] = field(default_factory=lambda: {Sign.READ: 1.0, Sign.HEARD: 1.0})
    weights_sha256: str = ""

    def knows(self, grounds: Grounds) -> bool:
        """Whether there is a curve for them."""
        return grounds in self.curves

    def confidence(self, signals: Signals) -> float:
        """How likely the value is right, 0 to 1."""
        intercept, slope = self.curves[signals.grounds]
        odds = intercept + slope * log_odds(signals.logprob)
        signs = signals.signs
        return 1 / (1 + math.exp(-(odds + sum(weight * signs[sign] for sign, weight in self.weights.items()))))


def log_odds(logprob: float) -> float:
    """Of a log probability, within what one answer can tell: 1 in 1,000 either way."""
    probability = min(max(math.exp(logprob), 1e-3), 1 - 1e-3)
    return math.log(probability / (1 - probability))


UNCALIBRATED = Calibration(
    {Grounds.SEEN: (0.0, 1.0), Grounds.UNSEEN: (-math.log(3), 1.0), Grounds.CONCLUSION: (0.0, 1.0)}
)
"""The tokens' own probability, with less odds for what the input does not contain, and for what was hardly read."""


def calibration_of(checkpoint: str) -> Calibration:
    """The curves of a checkpoint; only defaults have been measured."""
    return fitted().get(checkpoint, UNCALIBRATED)


@cache
def fitted(file: Path = _FITTED) -> dict[str, Calibration]:
    """What `written` wrote, by checkpoint."""
    return {
        name: Calibration(
            {Grounds(grounds): (curve[0], curve[1]) for grounds, curve in known["curves"].items()},
            {Sign(sign): weight for sign, weight in known["weights"].items()},
            known["weights_sha256"],
        )
        for name, known in json.loads(file.read_text("utf-8")).items()
    }


def written(calibrations: Mapping[str, Calibration]) -> str:
    """As the file that `fitted` reads."""
    plain = {
        name: {
            "weights_sha256": one.weights_sha256,
            "curves": {str(grounds): list(curve) for grounds, curve in one.curves.items()},
            "weights": {str(sign): weight for sign, weight in one.weights.items()},
        }
        for name, one in calibrations.items()
    }
    return json.dumps(plain, indent=1) + "\n"
