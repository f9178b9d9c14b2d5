"""Long straight runs of ink on a page, without looking closely at the many places where there can be none."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MOST = 5000
"""Runs that are told of one page and direction."""

_INK = np.uint64(2**64 - 1)  # eight pixels of it


def long_runs(ink: NDArray[np.uint8], length: int, *, horizontal: bool) -> list[tuple[int, int, int, int]]:
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
    boxes = _boxes(columns, np.ascontiguousarray(widened[:, columns].T), length)
    return [(x, y, width, height) for y, x, height, width in boxes]


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


def _boxes(rows: NDArray[np.int64], ink: NDArray[np.uint8], length: int) -> list[tuple[int, int, int, int]]:
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
