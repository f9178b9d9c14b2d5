"""Which way up a page is, decided once per page from a few of its lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from encoders.ocr.detection import FoundLine
from encoders.ocr.geometry import TALL, Corners, read_downwards, read_upwards, size_of

PROBES = 6
SURE = 0.9
"""Mean confidence of the probes from which a page is upright without a second look."""
BETTER = 0.1
"""How much surer another direction must be before a page is turned."""

Score = Callable[[Sequence[Corners]], Sequence[float]]
"""Confidence of reading each quad along its first edge."""


def page_rotation(lines: Sequence[FoundLine], score: Score) -> int:
    """Degrees clockwise by which the page must be turned: 0, 90, 180 or 270.

    A line classifier rotates good lines (one in five of long printed ones); the recogniser's own confidence over
    a few lines of middling length does not, and an upright page pays for its probes only.
    """
    probes = _probes(lines)
    if not probes:
        return 0
    tall = [size_of(corners)[1] >= TALL * size_of(corners)[0] for corners in probes]
    if 2 * sum(tall) > len(probes):
        chosen = [corners for corners, is_tall in zip(probes, tall) if is_tall]
        ways = {90: [read_upwards(c) for c in chosen], 270: [read_downwards(c) for c in chosen]}
        sureness = {degrees: float(np.mean(score(corners))) for degrees, corners in ways.items()}
        degrees = max(sureness, key=lambda d: sureness[d])
        return degrees if sureness[degrees] >= 0.5 and abs(sureness[90] - sureness[270]) >= BETTER else 0
    upright = float(np.mean(score(probes)))
    if upright >= SURE:
        return 0
    turned = float(np.mean(score([np.roll(corners, 2, axis=0) for corners in probes])))
    return 180 if turned >= upright + BETTER else 0


def _probes(lines: Sequence[FoundLine]) -> list[Corners]:
    """Up to `PROBES` lines: long enough to be words, short enough to be cheap, from all over the page."""

    def length_in_heights(line: FoundLine) -> float:
        width, height = size_of(line.corners)
        return max(width, height) / max(1.0, min(width, height))

    fitting = [line for line in lines if length_in_heights(line) >= 2.5]
    fitting.sort(key=length_in_heights)
    fitting = fitting[: max(PROBES, len(fitting) // 2)]  # the shorter half
    picks = np.linspace(0, len(fitting) - 1, min(PROBES, len(fitting))).round().astype(int)
    return [fitting[i].corners for i in picks]
