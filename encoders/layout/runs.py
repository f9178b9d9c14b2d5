"""Long straight runs of ink on a page, without looking closely at the many places where there can be none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

MOST = 5000
"""Runs that are told of one page and direction."""

WINDOW, DARKER = 25, 20
"""Ink is so many grey levels darker than the mean of a square of so many pixels around it."""

_INK = np.uint64(2**64 - 1)  # eight pixels of it

Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels."""

Runs = tuple[list[Box], list[Box]]
"""Horizontal and vertical ones."""


class Look(NamedTuple):
    """How a page is looked at: turned back by ``angle`` radians, from how many pixels on a run counts as long."""

    angle: float
    across: int
    down: int


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink of a page [h, w] as it was looked at elsewhere, and where a long run may be."""

    bits: NDArray[np.uint8]  # [h, (w + 7) // 8], the leftmost pixel first, nothing behind the last
    rows: NDArray[np.uint8]  # [h], not 0 where a row may hold a run
    columns: NDArray[np.uint8]  # [(w + 7) // 8], bits of the columns that may
    width: int


def runs_on(image: NDArray[np.uint8], look: Look) -> Runs:
    """The runs of an image [h, w, 3], RGB, or [h, w]."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    height, width = gray.shape
    if look.angle:
        cos, sin = math.cos(-look.angle), math.sin(-look.angle)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])
        gray = cv2.warpAffine(gray, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=255)
    ink = cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, WINDOW, DARKER)
    seen = np.asarray(ink, np.uint8)
    return long_runs(seen, look.across, horizontal=True), long_runs(seen, look.down, horizontal=False)


def runs_of(ink: Ink, look: Look) -> Runs:
    """The runs of a page that was looked at elsewhere, as `long_runs` finds them."""
    rows = np.flatnonzero(ink.rows)
    padded = np.pad(ink.bits, ((1, 1), (0, 0)))
    across = _pixels(padded[rows] | padded[rows + 1] | padded[rows + 2], ink.width)
    columns = np.flatnonzero(np.unpackbits(ink.columns, count=ink.width))
    near = np.clip(columns + np.array([[-1], [0], [1]]), 0, ink.width - 1)
    shift = (7 - near % 8).astype(np.uint8)[..., None]
    down = np.bitwise_or.reduce((ink.bits.T[near // 8] >> shift) & np.uint8(1), axis=0) * np.uint8(255)
    return _boxes(rows, across, look.across), _upright(_boxes(columns, np.ascontiguousarray(down), look.down))


def long_runs(ink: NDArray[np.uint8], length: int, *, horizontal: bool) -> list[Box]:
    """Boxes x, y, width, height of straight runs of ink (255, else 0) at least ``length`` pixels long, or half of that
    at the page's edge.

    A little widening across the run first bridges the steps that a remaining slope of a tenth of a degree leaves. The
    opening, and the search for what is connected, are given only the rows or columns that may hold a run.
    """
    bridge = cv2.getStructuringElement(cv2.MORPH_RECT, (1, 3) if horizontal else (3, 1))
    widened = np.asarray(cv2.dilate(ink, bridge), np.uint8)
    if horizontal:
        rows = np.flatnonzero(_may_hold(_blocks_across(widened), widened, length))
        return _boxes(rows, widened[rows], length)
    columns = np.flatnonzero(_may_hold(_blocks_down(widened), widened.T, length))
    return _upright(_boxes(columns, np.ascontiguousarray(widened[:, columns].T), length))


def _upright(boxes: list[Box]) -> list[Box]:
    """Boxes of a page whose rows and columns are exchanged, as they lie on the page itself."""
    return [(x, y, width, height) for y, x, height, width in boxes]


def _pixels(bits: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """[n, (w + 7) // 8] as pixels [n, w], 255 or 0."""
    return np.unpackbits(bits, axis=1, count=width) * np.uint8(255)


def _blocks_across(ink: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[rows, columns // 8]: whether eight pixels side by side are all ink."""
    return np.asarray(np.ascontiguousarray(ink[:, : ink.shape[1] // 8 * 8]).view(np.uint64) == _INK)


def _blocks_down(ink: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[columns, rows // 8]: whether eight pixels below each other are."""
    rows, columns = ink.shape
    return np.asarray((np.bitwise_and.reduce(ink[: rows // 8 * 8].reshape(-1, 8, columns), axis=1) == 255).T)


def _may_hold(blocks: NDArray[np.bool_], ink: NDArray[np.uint8], length: int) -> NDArray[np.bool_]:
    """Which rows of ``ink`` may hold a run: one of n pixels fills (n - 7) // 8 of its blocks, which letters hardly ever
    do."""
    wanted, half = (length - 7) // 8, (length + 1) // 2
    count = max(0, blocks.shape[1] - wanted + 1)
    filled = blocks[:, :count].copy()
    for at in range(1, wanted):
        filled &= blocks[:, at : at + count]
    return np.asarray(filled.any(axis=1) | ink[:, :half].all(axis=1) | ink[:, -half:].all(axis=1))


def _boxes(rows: NDArray[np.int64], ink: NDArray[np.uint8], length: int) -> list[Box]:
    """Boxes of the connected runs in some rows of a page."""
    if not len(rows):
        return []
    runs = cv2.morphologyEx(ink, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, (length, 1)))
    held = runs.any(axis=1)
    if not held.any():
        return []
    rows = rows[held]
    places = np.arange(len(rows)) + np.cumsum(np.diff(rows, prepend=rows[0]) > 1)  # apart where rows are missing
    apart = np.zeros((int(places[-1]) + 1, runs.shape[1]), np.uint8)
    apart[places] = runs[held]
    count, _, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=8)
    number = dict(zip(places.tolist(), rows.tolist(), strict=True))
    return [(x, number[y], width, height) for x, y, width, height in stats[1 : min(count, MOST), :4].tolist()]
