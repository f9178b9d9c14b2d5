"""What the OCR benchmarks count, in one place.

Lines are compared as dicts are not: each side is a list of ``(text, corners)``, corners [4, 2] in pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

ReadLine = tuple[str, NDArray[np.float64]]


def box_lines(rows: Sequence[tuple[str, Sequence[float]]]) -> list[ReadLine]:
    """Lines given by left, top, right, bottom."""
    return [(text, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)) for text, (x0, y0, x1, y1) in rows]


def sorted_text(lines: Sequence[ReadLine]) -> str:
    """Lines from top to bottom and, within a printed row, from left to right.

    A line belongs to the row above when its middle lies above that row's mean bottom third; both sides are
    sorted by the same rule, so the order in which a reader happens to return lines does not count.
    """
    rows: list[list[ReadLine]] = []
    for line in sorted(lines, key=lambda item: float(item[1][:, 1].mean())):
        middle = float(line[1][:, 1].mean())
        if rows:
            heights = [float(np.ptp(corners[:, 1])) for _, corners in rows[-1]]
            middles = [float(corners[:, 1].mean()) for _, corners in rows[-1]]
            if middle - float(np.mean(middles)) < 0.4 * float(np.mean(heights)):
                rows[-1].append(line)
                continue
        rows.append([line])
    return "\n".join(
        " ".join(text for text, _ in sorted(row, key=lambda item: float(item[1][:, 0].min()))) for row in rows
    )


def character_errors(read: str, truth: str) -> tuple[int, int]:
    """Edits between the texts, and the truth's length; white space and case aside (receipts' truth is upper case)."""
    read, truth = (re.sub(r"\s+", "", text).upper() for text in (read, truth))
    return Levenshtein.distance(read, truth), len(truth)


def matched(read: Sequence[str], truth: Sequence[str]) -> tuple[int, int, int]:
    """Bag-of-words counts: in both, read, in truth."""
    both = Counter(read) & Counter(truth)
    return sum(both.values()), len(read), len(truth)


def overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Intersection over union of the upright boxes around two quads."""
    low = np.maximum(a.min(axis=0), b.min(axis=0))
    high = np.minimum(a.max(axis=0), b.max(axis=0))
    inside = float(np.prod(np.clip(high - low, 0, None)))
    union = float(np.prod(np.ptp(a, axis=0)) + np.prod(np.ptp(b, axis=0))) - inside
    return inside / union if union > 0 else 0.0


def matched_boxes(read: Sequence[ReadLine], truth: Sequence[ReadLine], threshold: float = 0.5) -> tuple[int, int, int]:
    """Boxes matched one to one at that overlap, read, in truth."""
    if not read or not truth:
        return 0, len(read), len(truth)
    table = np.array([[overlap(a, b) for _, b in truth] for _, a in read])
    rows, columns = linear_sum_assignment((table >= threshold) + 1e-3 * table, maximize=True)
    return int((table[rows, columns] >= threshold).sum()), len(read), len(truth)


def f1(both: int, read: int, truth: int) -> float:
    """Harmonic mean of precision and recall from counts."""
    return 2 * both / (read + truth) if read + truth else 1.0
