"""From the probabilities of tokens to how often such a value is right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


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
    answers in words may be missing: no decoder's are known before they are measured."""

    curves: dict[Grounds, tuple[float, float]]

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

_FITTED = {
    # On values of answers about 40 generated documents of held-out layouts and languages, bfloat16 (`make eval`).
    "decoder": Calibration(
        {
            Grounds.SEEN: (-0.12, 0.65),
            Grounds.UNSEEN: (-1.39, 0.0),  # few, and a fifth of them right however likely
            Grounds.CONCLUSION: (0.45, 0.51),
            Grounds.QUOTED: (-0.68, 0.96),
            Grounds.WORDED: (-0.37, 0.79),
        }
    ),
    # The untuned decoder, on 320 values of 80 generated letters: 263 seen (56 % right), 57 unseen (none right).
    "decoder:torch": Calibration(
        {
            Grounds.SEEN: (1.0, 0.66),
            Grounds.UNSEEN: (-4.06, 0.0),
            Grounds.CONCLUSION: UNCALIBRATED.curves[Grounds.CONCLUSION],
        }
    ),
}


def calibration_of(checkpoint: str) -> Calibration:
    """The curves of a checkpoint; only defaults have been measured."""
    return _FITTED.get(checkpoint, UNCALIBRATED)
