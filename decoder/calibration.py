"""From the probabilities of tokens to how often such a value is right."""

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
    how surely its least sure piece was read (the specialist's confidence, times how alike print and value are)."""

    logprob: float
    grounds: Grounds
    read: float = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """For each of the grounds the intercept and slope of a logistic curve over the log-odds of the tokens. Those of
    answers in words may be missing: no decoder's are known before they are measured. ``weights_sha256``: of the
    decoder's ``model.safetensors`` that they were fitted on."""

    curves: Mapping[Grounds, tuple[float, float]]
    weights_sha256: str = ""

    def knows(self, grounds: Grounds) -> bool:
        """Whether there is a curve for them."""
        return grounds in self.curves

    def confidence(self, signals: Signals) -> float:
        """How likely the value is right, 0 to 1."""
        intercept, slope = self.curves[signals.grounds]
        return signals.read / (1 + math.exp(-(intercept + slope * log_odds(signals.logprob))))


def log_odds(logprob: float) -> float:
    """Of a log probability, within what one answer can tell: 1 in 1,000 either way."""
    probability = min(max(math.exp(logprob), 1e-3), 1 - 1e-3)
    return math.log(probability / (1 - probability))


UNCALIBRATED = Calibration(
    {Grounds.SEEN: (0.0, 1.0), Grounds.UNSEEN: (-math.log(3), 1.0), Grounds.CONCLUSION: (0.0, 1.0)}
)
"""The tokens' own probability, with less odds for what the input does not contain."""


def calibration_of(checkpoint: str) -> Calibration:
    """The curves of a checkpoint; only defaults have been measured."""
    return fitted().get(checkpoint, UNCALIBRATED)


@cache
def fitted(file: Path = _FITTED) -> dict[str, Calibration]:
    """What `written` wrote, by checkpoint. Raises `ValueError` for the file of another version."""
    found = {}
    for name, known in json.loads(file.read_text("utf-8")).items():
        if known.keys() != {"weights_sha256", "curves"}:
            raise ValueError(f"{file} was fitted by another version: fit again, python -m benchmarks.hybrid.sureness")
        curves = {Grounds(grounds): (curve[0], curve[1]) for grounds, curve in known["curves"].items()}
        found[name] = Calibration(curves, known["weights_sha256"])
    return found


def written(calibrations: Mapping[str, Calibration]) -> str:
    """As the file that `fitted` reads."""
    plain = {
        name: {
            "weights_sha256": one.weights_sha256,
            "curves": {str(grounds): list(curve) for grounds, curve in one.curves.items()},
        }
        for name, one in calibrations.items()
    }
    return json.dumps(plain, indent=1) + "\n"
