"""Average precision at an overlap of 0.5, and whether a point lies in a box."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from encoders.detection.candidates import overlaps

Box = Sequence[float]
Labelled = tuple[str, Box]


def average_precision(
    pages: Iterable[tuple[Sequence[tuple[str, float, Box]], Sequence[Labelled]]],
) -> dict[str, tuple[float, int]]:
    """AP50 (area under the interpolated curve) and number of true boxes by label.

    Each page is (found as (label, score, box), true as (label, box)).
    """
    scored: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    totals: dict[str, int] = defaultdict(int)
    for found, true in pages:
        for label, _ in true:
            totals[label] += 1
        for label in {label for label, *_ in found}:
            mine = sorted(((score, box) for name, score, box in found if name == label), key=lambda pair: -pair[0])
            wanted = np.array([box for name, box in true if name == label], np.float32).reshape(-1, 4)
            iou = overlaps(np.array([box for _, box in mine], np.float32), wanted)
            free = np.ones(len(wanted), bool)
            for row, (score, _) in enumerate(mine):
                best = int(np.argmax(iou[row] * free)) if len(wanted) else -1
                hit = best >= 0 and bool(free[best]) and iou[row, best] >= 0.5
                if hit:
                    free[best] = False
                scored[label].append((score, hit))
    return {label: (_area(scored[label], total), total) for label, total in totals.items()}


def _area(scored: Sequence[tuple[float, bool]], total: int) -> float:
    if not scored:
        return 0.0
    hits = np.array([hit for _, hit in sorted(scored, key=lambda pair: -pair[0])], float)
    recall, precision = hits.cumsum() / total, hits.cumsum() / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(np.concatenate(([0.0], recall))) * precision).sum())


def mean(values: Iterable[float]) -> float:
    """The mean, 0 of nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def holds(box: Box, x: float, y: float) -> bool:
    """Whether the point lies in the box."""
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
