"""Lines cut out of a page and made 48 pixels high, and batches of them for the recogniser."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.ocr.geometry import Corners, extents_of

HEIGHT = 48
"""Input height of the recogniser."""

MIN_WIDTH, MAX_WIDTH = 32, 3200
"""Narrower crops are padded, wider ones squeezed: 3,200 pixels are about 200 letters."""

_WIDTH_STEP = 32  # crops are padded to multiples of it: fewer shapes for the engines to prepare

_SPREAD = 1 / 24  # grey behind the end changes readings: of 1,176 lines 8 with an eighth, 1 with a sixteenth

_BATCH_COST = 6_000
"""Columns that a GPU computes in the time that starting a batch takes: some 300 kernels, and its results fetched."""

Printed = NDArray[np.uint8]
"""[w]: in how many of a crop's rows each column is print."""


class CropSize(NamedTuple):
    """How a line is cut out: ``columns`` x ``rows``, then brought to ``target`` x 48 where it ``shrinks``."""

    columns: int
    rows: int
    target: int
    shrinks: bool


def crop_size(corners: Corners) -> CropSize:
    """By the line's aspect ratio. Large print is first brought to its own size and then averaged down: warping straight
    to 48 pixels skips pixels."""
    ((columns, rows, target, shrinks),) = crop_sizes([corners]).tolist()
    return CropSize(columns, rows, target, bool(shrinks))


def crop_sizes(lines: Sequence[Corners] | NDArray[np.float32]) -> NDArray[np.int64]:
    """`crop_size` of many, [n, 4]."""
    width, height = extents_of(lines).T
    target = np.ceil(HEIGHT * width / np.maximum(height, 1.0)).clip(1, MAX_WIDTH)
    shrinks = height > 1.5 * HEIGHT
    columns = np.where(shrinks, np.rint(width).clip(1), target)
    rows = np.where(shrinks, np.rint(height), HEIGHT)
    return np.stack([columns, rows, target, shrinks], axis=1).astype(np.int64)


def cut(image: NDArray[np.uint8], corners: Corners) -> NDArray[np.uint8]:
    """The quad as an upright [48, w, 3] image."""
    columns, rows, target, shrinks = crop_size(corners)
    frame = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), frame)
    crop = cv2.warpPerspective(image, matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    if shrinks:
        crop = cv2.resize(crop, (target, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)


def printed_rows(grey: NDArray[np.uint8]) -> Printed:
    """Of a crop [48, w]: in how many rows each column is print, light on dark or dark on light."""
    _, light = cv2.threshold(cv2.GaussianBlur(grey, (3, 3), 0), 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    rows = cv2.reduce(light, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
    if 2 * int(rows.sum()) >= light.size:  # print covers less than half of a line
        rows = len(grey) - rows
    return np.asarray(rows, np.uint8)


def padded_width(width: int) -> int:
    """The input width for a crop of this width."""
    return max(MIN_WIDTH, math.ceil(width / _WIDTH_STEP) * _WIDTH_STEP)


def network_input(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """[n, 3, 48, widest padded] BGR in -1..1; right of a crop is 0, the grey that the network was trained with."""
    batch = np.zeros((len(crops), 3, HEIGHT, padded_width(max(crop.shape[1] for crop in crops))), np.float32)
    for row, crop in zip(batch, crops):
        row[:, :, : crop.shape[1]] = cv2.dnn.blobFromImage(crop, 1 / 127.5, mean=(127.5,) * 3, swapRB=True)[0]
    return batch


def batches_by_width(widths: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    """Indices of crops, narrow to wide, in batches that the engine computes at one of ``sizes`` (ascending).

    A batch is as wide as its widest crop, no crop is padded by more than `_SPREAD` of that, and rows are filled up to
    the size: of all such cuts the one with the fewest pixels, where a batch of its own costs `_BATCH_COST` more. Of 16
    pages of prose it adds 2 % to the crops' pixels, where batches of one padded width add 18 %; of one page 26 and 96.
    """
    order = sorted(range(len(widths)), key=lambda i: widths[i])
    if sizes[-1] == 1:
        return [[index] for index in order]
    padded = [padded_width(widths[i]) for i in order]
    least, starts = [0], [0]  # to compute the first n crops, and where their last batch begins
    for end, width in enumerate(padded, 1):
        first = bisect_left(padded, width - width * _SPREAD, 0, end)
        begins = ((max(first, end - size), size) for size in sizes)
        cost, start = min((least[begin] + size * width + _BATCH_COST, begin) for begin, size in begins)
        least.append(cost)
        starts.append(start)
    batches, end = [], len(order)
    while end:
        batches.append(order[starts[end] : end])
        end = starts[end]
    return batches[::-1]
