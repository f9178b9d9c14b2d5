"""The curve of `decoder.calibration` that fits values of which it is known whether they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoder.calibration import UNCALIBRATED, Calibration, Grounds, Sign, Signals, log_odds

_HELD = 3.0  # every slope and weight, times the spread of what it is of, is held back by half its square times this
_DIRECTIONS = {Sign.READ: 1, Sign.HEARD: 1, Sign.NAMED: 1, Sign.LABEL: -1, Sign.AGAIN: -1}
"""Which way a sign may speak: one that seems to speak the other way in some hundred values is left out."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One value of an answer with what is known of it, and whether it is right."""

    signals: Signals
    right: bool


def fit(values: Sequence[Judged], weights_sha256: str = "") -> Calibration:
    """The likeliest intercept and slope for each of the grounds and weight of each sign, lightly held back towards
    none."""
    known = [grounds for grounds in Grounds if any(value.signals.grounds is grounds for value in values)]
    rows = np.array([_row(value.signals, known) for value in values], float)
    right = np.array([value.right for value in values], float)
    allowed = np.array([0] * len(known) + [1] * len(known) + [_DIRECTIONS.get(sign, 0) for sign in Sign])
    if len(set(right.tolist())) < 2:  # all right or none: as if there had been one more of either
        rows, right = np.concatenate([rows, rows[:1], rows[:1]]), np.concatenate([right, [0.0, 1.0]])
    found = [round(float(weight), 3) for weight in _logistic(rows, right, len(known), allowed)]
    curves = {grounds: (found[i], found[len(known) + i]) for i, grounds in enumerate(known)}
    for grounds, curve in UNCALIBRATED.curves.items():
        curves.setdefault(grounds, curve)
    weights = dict(zip(Sign, found[2 * len(known) :], strict=True))
    for sign, weight in UNCALIBRATED.weights.items():
        if not any(value.signals.signs[sign] for value in values):  # no recording among them: nothing was learnt of it
            weights[sign] = weight
    return Calibration(curves, weights, weights_sha256)


def _row(signals: Signals, known: Sequence[Grounds]) -> list[float]:
    own = [float(signals.grounds is grounds) for grounds in known]
    odds = log_odds(signals.logprob)
    return [*own, *(odds * is_own for is_own in own), *signals.signs.values()]


def _logistic(
    rows: NDArray[np.float64], right: NDArray[np.float64], free: int, allowed: NDArray[np.int_]
) -> NDArray[np.float64]:
    """The weights [n] of the likeliest curve by Newton's steps; the first ``free`` are held back hardly at all. One
    whose sign is not ``allowed`` (1, -1; 0: either) is none, the worst first."""
    held = _HELD * rows.var(axis=0)
    held[:free] = 0.1
    used = rows.any(axis=0)
    weights = np.zeros(rows.shape[1])
    while True:
        weights[~used] = 0.0
        weights[used] = _newton(rows[:, used], right, held[used])
        wrong = np.where(allowed * weights < 0, np.abs(weights), 0.0)
        if not wrong.any():
            return weights
        used[int(wrong.argmax())] = False


def _newton(rows: NDArray[np.float64], right: NDArray[np.float64], held: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.zeros(rows.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (likely - right) + held * weights
        curvature = (rows * (likely * (1 - likely))[:, None]).T @ rows + np.diag(held)
        weights -= np.linalg.solve(curvature, slope)
    return weights
