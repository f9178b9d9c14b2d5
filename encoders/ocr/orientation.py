"""Which way up a page is, decided once per page from a few of its lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from encoders.ocr.geometry import TALL, Corners, read_downwards, read_upwards, sizes_of
from encoders.ocr.script import NATIVE, PageScripts

PROBES = 6
SURE = 0.9
"""Mean confidence of the probes from which a page is upright without a second look."""
BETTER = 0.1
"""How much surer another direction must be before a page is turned."""
CLEARLY_UPRIGHT, CLEARLY_TURNED = 0.2, 0.95
"""Probabilities of standing on its head, as the script network sees it: below, above and between."""

Score = Callable[[Sequence[Corners]], Sequence[float]]
"""Confidence of reading each quad along its first edge."""


def sideways_rotation(lines: Sequence[Corners], score: Score) -> int:
    """Degrees clockwise, 90 or 270, by which a page whose lines run up or down must be turned; else 0."""
    tall = [corners for corners, (width, height) in zip(lines, sizes_of(lines), strict=True) if height >= TALL * width]
    if 2 * _length(tall) <= _length(lines):
        return 0
    probes = _probes(tall)
    if not probes:
        return 0
    ways = {90: [read_upwards(c) for c in probes], 270: [read_downwards(c) for c in probes]}
    sureness = {degrees: float(np.mean(score(corners))) for degrees, corners in ways.items()}
    degrees = max(sureness, key=lambda d: sureness[d])
    # Chinese and Japanese set in columns are tall, too, and read badly either way.
    return degrees if sureness[degrees] >= 0.5 and abs(sureness[90] - sureness[270]) >= BETTER else 0


def is_upside_down(lines: Sequence[Corners], seen: PageScripts, score: Score) -> bool:
    """Whether a page stands on its head.

    A line classifier rotates good lines (one in five of long printed ones). Here the script network's vote over a
    page's lines decides clear cases; for scripts that the recogniser reads, its confidence over a few lines of
    middling length must agree before a page is turned.
    """
    if seen.upside_down < CLEARLY_UPRIGHT:
        return False
    native = sum(script in NATIVE for script in seen.scripts)
    if 2 * native <= len(seen.scripts):
        return seen.upside_down > CLEARLY_TURNED
    probes = _probes(lines)
    if not probes:
        return False
    upright = float(np.mean(score(probes)))
    if upright >= SURE:
        return False
    turned = float(np.mean(score([np.roll(corners, 2, axis=0) for corners in probes])))
    return turned >= upright + BETTER


def _length(lines: Sequence[Corners]) -> float:
    """Summed length of lines, in pixels."""
    return sum(map(max, sizes_of(lines)))


def _probes(lines: Sequence[Corners]) -> list[Corners]:
    """Up to `PROBES` lines: long enough to be words, short enough to be cheap, from all over the page."""

    lengths = [max(size) / max(1.0, min(size)) for size in sizes_of(lines)]  # in heights
    fitting = sorted((i for i, length in enumerate(lengths) if length >= 2.5), key=lengths.__getitem__)
    fitting = fitting[: max(PROBES, len(fitting) // 2)]  # the shorter half
    picks = np.linspace(0, len(fitting) - 1, min(PROBES, len(fitting))).round().astype(int)
    return [lines[fitting[i]] for i in picks]
