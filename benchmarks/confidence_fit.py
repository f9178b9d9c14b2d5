"""The curve of `decoder.calibration` that fits values of which it is known whether they are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoder.calibration import UNCALIBRATED, Calibration, Grounds, Signals, log_odds


@dataclass(frozen=True, slots=True)
class Judged:
    """One value of an answer with what is known of it, and whether it is right."""

    signals: Signals
    right: bool


def fit(values: Sequence[Judged], weights_sha256: str = "") -> Calibration:
    """A curve for each of the grounds, lightly held towards what the tokens' own probability says."""
    curves = {}
    for grounds in Grounds:
        own = [value for value in values if value.signals.grounds is grounds]
        right = [value.right for value in own]
        if not own:
            if UNCALIBRATED.knows(grounds):
                curves[grounds] = UNCALIBRATED.curves[grounds]
            continue
        if len(set(right)) < 2:  # all right or none: as if there had been one more of either
            share = (sum(right) + 1) / (len(right) + 2)
            curves[grounds] = (round(math.log(share / (1 - share)), 2), 0.0)
            continue
        intercept, slope = _logistic(np.array([log_odds(value.signals.logprob) for value in own]), np.array(right))
        curves[grounds] = (round(intercept, 2), round(slope, 2))
    return Calibration(curves, weights_sha256)


def _logistic(odds: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Intercept and slope of the likeliest curve by Newton's steps, the slope held to 1 by half its distance squared,
    and as if there had been one more that the tokens found all but impossible, and wrong, and one all but sure, and
    right: few values, none of them unlikely, must not make a curve that is flat where nothing was seen."""
    surest = log_odds(0.0)
    odds, right = np.append(odds, [-surest, surest]), np.append(right, [False, True])
    rows = np.stack([np.ones_like(odds), odds], axis=1)
    tokens, held = np.array([0.0, 1.0]), np.diag([0.0, 1.0])
    weights = np.zeros(2)
    for _ in range(50):
        likely = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (likely - right) + held @ (weights - tokens)
        curvature = (rows * (likely * (1 - likely))[:, None]).T @ rows + held
        weights -= np.linalg.solve(curvature + 1e-9 * np.eye(2), slope)
    return float(weights[0]), float(weights[1])
