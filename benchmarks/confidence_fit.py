"""The curve of `decoder.calibration` that fits values of which it is known whether they are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoder.calibration import UNCALIBRATED, Calibration, Grounds, Signals, log_odds

_HELD = 3.0  # every slope and weight, times the spread of what it is of, is held back by half its square times this
_HELD_INTERCEPT = 0.1  # three values that are all wrong do not mean never


@dataclass(frozen=True, slots=True)
class Judged:
    """One value of an answer with what is known of it, and whether it is right."""

    signals: Signals
    right: bool


def fit(values: Sequence[Judged], weights_sha256: str = "") -> Calibration:
    """The likeliest intercept and slope for each of the grounds, and weight of what was hardly read, lightly held back
    towards none."""
    known = [grounds for grounds in Grounds if any(value.signals.grounds is grounds for value in values)]
    rows = np.array([_row(value.signals, known) for value in values], float)
    given = np.array([math.log(max(v.signals.read, 1e-3)) if v.signals.heard else 0.0 for v in values])
    right = np.array([value.right for value in values], float)
    if len(set(right.tolist())) < 2:  # all right or none: as if there had been one more of either
        rows, given = np.concatenate([rows, rows[:1], rows[:1]]), np.concatenate([given, [0.0, 0.0]])
        right = np.concatenate([right, [0.0, 1.0]])
    found = [round(float(weight), 3) for weight in _logistic(rows, given, right, len(known))]
    curves = {grounds: (found[i], found[len(known) + i]) for i, grounds in enumerate(known)}
    for grounds, curve in UNCALIBRATED.curves.items():
        curves.setdefault(grounds, curve)
    return Calibration(curves, found[-1], weights_sha256)


def _row(signals: Signals, known: Sequence[Grounds]) -> list[float]:
    own = [float(signals.grounds is grounds) for grounds in known]
    odds = log_odds(signals.logprob)
    return [*own, *(odds * is_own for is_own in own), 0.0 if signals.heard else signals.doubt]


def _logistic(
    rows: NDArray[np.float64], given: NDArray[np.float64], right: NDArray[np.float64], intercepts: int
) -> NDArray[np.float64]:
    """The weights [n] of the likeliest curve over rows [values, n] and ``given`` log-odds. None but ``intercepts``, the
    first, may be negative: what is likelier, or was read better, is not less sure; the worst that would is left out."""
    held = _HELD * rows.var(axis=0)
    held[:intercepts] = _HELD_INTERCEPT
    used = rows.any(axis=0)
    weights = np.zeros(rows.shape[1])
    while True:
        weights[~used] = 0.0
        weights[used] = _newton(rows[:, used], given, right, held[used])
        worst = intercepts + int(weights[intercepts:].argmin())
        if weights[worst] >= 0:
            return weights
        used[worst] = False


def _newton(
    rows: NDArray[np.float64], given: NDArray[np.float64], right: NDArray[np.float64], held: NDArray[np.float64]
) -> NDArray[np.float64]:
    weights = np.zeros(rows.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-given - rows @ weights))
        slope = rows.T @ (likely - right) + held * weights
        curvature = (rows * (likely * (1 - likely))[:, None]).T @ rows + np.diag(held)
        weights -= np.linalg.solve(curvature, slope)
    return weights
