"""Bullets that a recogniser leaves out: a small dark spot alone before a line that stands in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.layout.frame import Frame, Piece

REACH = 2.6  # em; how far before its line a bullet may stand
NEAR = 0.35  # em; nearer ink belongs to the line
_AT_ONCE = 64  # pieces that are compared with all others in one go: a page may have thousands


def mark_bullets(pieces: Sequence[Piece], image: NDArray[np.uint8], frame: Frame) -> None:
    """Set ``bullet`` of pieces before which the page's image [height, width, channels] shows one."""
    if len(pieces) < 2:
        return
    places = np.array([(piece.x0, piece.x1, piece.cy, piece.em) for piece in pieces])
    left, right, middle, _ = places.T
    for at in range(0, len(pieces), _AT_ONCE):
        x0, _, cy, em = places[at : at + _AT_ONCE].T[..., None]
        inset = (x0 - left) / em
        steps = np.abs(middle - cy) / em
        beside = (steps < 0.5) & (right > x0 - REACH * em) & (left < x0 - NEAR * em)
        before = (inset > 0.6) & (inset < 3.0) & (steps > 0.5) & (steps < 30)
        for number in np.flatnonzero(before.any(axis=1) & ~beside.any(axis=1)).tolist():
            pieces[at + number].bullet = _has_spot(pieces[at + number], image, frame)


def _has_spot(piece: Piece, image: NDArray[np.uint8], frame: Frame) -> bool:
    em = piece.em
    quad = frame.back(piece.x0 - REACH * em, piece.cy - 0.5 * em, piece.x0 - NEAR * em, piece.cy + 0.5 * em)
    xs, ys = quad[0::2], quad[1::2]
    height, width = image.shape[:2]
    x0, x1 = max(int(min(xs)), 0), min(int(max(xs)) + 1, width)
    y0, y1 = max(int(min(ys)), 0), min(int(max(ys)) + 1, height)
    if x1 - x0 < em or y1 - y0 < 0.5 * em:
        return False
    crop = image[y0:y1, x0:x1]
    grey = crop.reshape(*crop.shape[:2], -1).mean(axis=2)
    paper = float(np.median(grey))
    ink = grey < 0.72 * paper
    if ink.sum() < 4:
        return False
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    small = 0.12 * em <= min(tall, wide) and max(tall, wide) <= 0.62 * em
    filled = ink.sum() >= 0.45 * tall * wide
    level = abs((rows[0] + rows[-1] + 1) / 2 - (y1 - y0) / 2) < 0.25 * em
    return bool(small and filled and level)
