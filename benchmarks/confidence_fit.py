"""The curve of `decoder.calibration` that fits values of which it is known whether they are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoder.calibration import UNCALIBRATED, Calibration, Grounds, Sign, Signals, log_odds

_HELD = 3.0  # every slope and weight, times the spread of what it is of, is held back by half its square times this
LEARNT: dict[Sign, int] = {}
"""Signs whose weights are fitted, and which way they may speak (0: either). The others keep the weights that they have
before a fit."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One value of an answer with what is known of it, and whether it is right."""

    signals: Signals
    right: bool


def fit(values: Sequence[Judged], weights_sha256: str = "", learnt: Mapping[Sign, int] = LEARNT) -> Calibration:
    """The likeliest intercept and slope for each of the grounds and weight of each sign, lightly held back towards
    none."""
    known = [grounds for grounds in Grounds if any(value.signals.grounds is grounds for value in values)]
    kept = {sign: weight for sign, weight in UNCALIBRATED.weights.items() if sign not in learnt}
    rows = np.array([_row(value.signals, known, list(learnt)) for value in values], float)
    given = np.array([sum(w * value.signals.signs[sign] for sign, w in kept.items()) for value in values], float)
    right = np.array([value.right for value in values], float)
    if len(set(right.tolist())) < 2:  # all right or none: as if there had been one more of either
        rows, given = np.concatenate([rows, rows[:1], rows[:1]]), np.concatenate([given, [0.0, 0.0]])
        right = np.concatenate([right, [0.0, 1.0]])
    allowed = np.array([0] * len(known) + [1] * len(known) + list(learnt.values()))
    found = [round(float(weight), 3) for weight in _logistic(rows, given, right, len(known), allowed)]
    curves = {grounds: (found[i], found[len(known) + i]) for i, grounds in enumerate(known)}
    for grounds, curve in UNCALIBRATED.curves.items():
        curves.setdefault(grounds, curve)
    return Calibration(curves, {**kept, **dict(zip(learnt, found[2 * len(known) :], strict=True))}, weights_sha256)


def _row(signals: Signals, known: Sequence[Grounds], learnt: Sequence[Sign]) -> list[float]:
    own = [float(signals.grounds is grounds) for grounds in known]
    odds = log_odds(signals.logprob)
    return [*own, *(odds * is_own for is_own in own), *(signals.signs[sign] for sign in learnt)]


def _logistic(
    rows: NDArray[np.float64],
    given: NDArray[np.float64],
    right: NDArray[np.float64],
    free: int,
    allowed: NDArray[np.int_],
) -> NDArray[np.float64]:
    """The weights [n] of the likeliest curve over rows [values, n] and ``given`` log-odds, by Newton's steps; the first
    ``free`` are held back hardly at all. One whose sign is not ``allowed`` (1, -1; 0: either) is none, the worst
    first."""
    held = _HELD * rows.var(axis=0)
    held[:free] = 0.1
    used = rows.any(axis=0)
    weights = np.zeros(rows.shape[1])
    while True:
        weights[~used] = 0.0
        weights[used] = _newton(rows[:, used], given, right, held[used])
        wrong = np.where(allowed * weights < 0, np.abs(weights), 0.0)
        if not wrong.any():
            return weights
        used[int(wrong.argmax())] = False


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
