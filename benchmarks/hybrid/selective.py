"""Figures of how sure something was against whether it was right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BINS = 10
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_DRAWS = 500

Floats = NDArray[np.float64]


def calibration_error(confidence: Floats, right: Floats, bins: int = BINS) -> float:
    """Expected calibration error over bins of equally many values."""
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [len(part) * abs(confidence[part].mean() - right[part].mean()) for part in parts if len(part)]
    return float(sum(gaps) / max(1, len(confidence)))


def selective(confidence: Floats, right: Floats) -> dict[float, float]:
    """Share right of the surest values, by coverage."""
    order = np.argsort(-confidence, kind="stable")
    return {share: float(right[order[: max(1, round(share * len(order)))]].mean()) for share in COVERAGES}


def area(confidence: Floats, right: Floats) -> float:
    """Under the curve of risk over coverage: the share wrong of the surest n, on average over all n."""
    wrong = 1 - right[np.argsort(-confidence, kind="stable")]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))


def interval(confidence: Floats, right: Floats, units: Sequence[str]) -> tuple[list[float], list[float]]:
    """Percentile intervals of 95 % of calibration error, area and each selective share, units drawn with replacement
    from a fixed seed."""
    names = sorted(set(units))
    places = [np.flatnonzero(np.array(units) == name) for name in names]
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(_DRAWS):
        rows = np.concatenate([places[i] for i in random.integers(len(names), size=len(names))])
        own, truth = confidence[rows], right[rows]
        drawn.append([calibration_error(own, truth), area(own, truth), *selective(own, truth).values()])
    low, high = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    return low.tolist(), high.tolist()
