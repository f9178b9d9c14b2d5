"""Bullets that a recogniser leaves out: a small dark spot alone before a line that stands in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.layout.frame import Frame, Piece

REACH = 2.6  # em; how far before its line a bullet may stand
NEAR = 0.35  # em; nearer ink belongs to the line


def mark_bullets(pieces: Sequence[Piece], image: NDArray[np.uint8], frame: Frame) -> None:
    """Set ``bullet`` of pieces before which the page's image [height, width, channels] shows one."""
    if len(pieces) < 2:
        return
    left = np.array([piece.x0 for piece in pieces])
    right = np.array([piece.x1 for piece in pieces])
    middle = np.array([piece.cy for piece in pieces])
    for piece in pieces:
        inset = (piece.x0 - left) / piece.em
        steps = np.abs(middle - piece.cy) / piece.em
        beside = (steps < 0.5) & (right > piece.x0 - REACH * piece.em) & (left < piece.x0 - NEAR * piece.em)
        if ((inset > 0.6) & (inset < 3.0) & (steps > 0.5) & (steps < 30)).any() and not beside.any():
            piece.bullet = _has_spot(piece, image, frame)


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
