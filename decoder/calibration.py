"""From what is known of a value to how often such a value is right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

_FITTED = Path(__file__).with_name("calibration.json")
"""By checkpoint. `python -m benchmarks.hybrid --rows documents,calibration` writes such a file."""


class Grounds(StrEnum):
    """What a value rests on."""

    SEEN = "seen"  # it stands in the input
    UNSEEN = "unseen"  # a string or number that the input does not contain
    CONCLUSION = "conclusion"  # true, false, null or an empty string: nothing that could be read
    QUOTED = "quoted"  # a whole answer in words, that stands in the input
    WORDED = "worded"  # one that does not: yes, a count, a refusal, or made up


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of one value: the natural-log probability of the tokens that wrote it, and for one that was seen
    how surely its least sure word was read (the specialist's confidence), on a page or in a recording."""

    logprob: float
    grounds: Grounds
    read: float = 1.0
    heard: bool = False

    @property
    def doubt(self) -> float:
        """How far the log-odds of its least sure word fall short of a surely read one's: 0 to -14."""
        return log_odds(math.log(max(self.read, 1e-9))) - log_odds(0.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """For each of the grounds the intercept and slope of a logistic curve over the log-odds of the tokens. Those of
    answers in words may be missing: no decoder's are known before they are measured.

    ``read``: the weight of `Signals.doubt` of what stands on a page. 0 where that was not measured, and for what was
    heard the odds are those of the curve times how surely it was read. ``weights_sha256``: of the decoder's
    ``model.safetensors`` that it was fitted on.
    """

    curves: Mapping[Grounds, tuple[float, float]]
    read: float = 0.0
    weights_sha256: str = ""

    def knows(self, grounds: Grounds) -> bool:
        """Whether there is a curve for them."""
        return grounds in self.curves

    def confidence(self, signals: Signals) -> float:
        """How likely the value is right, 0 to 1."""
        intercept, slope = self.curves[signals.grounds]
        odds = intercept + slope * log_odds(signals.logprob)
        if signals.heard or not self.read:
            odds += math.log(max(signals.read, 1e-3))
        else:
            odds += self.read * signals.doubt
        return 1 / (1 + math.exp(-odds))


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
            known["read"],
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
            "read": one.read,
        }
        for name, one in calibrations.items()
    }
    return json.dumps(plain, indent=1) + "\n"
