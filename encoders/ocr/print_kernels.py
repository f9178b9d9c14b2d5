"""Where lines are printed, as kernels of Triton for CUDA: what `crops.printed_rows` finds, to the bit.

Only how many pixels of a line are of each level decides where print begins, and how much of it there is: so lines are
counted by all of the card, a few programs find the thresholds, and all of it sums up columns.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from encoders.ocr import crop_kernels

_DOWN, _ACROSS = 4, 128  # of a tile
_LINES = 32  # whose thresholds a program finds, one each of its threads
_SIZES = ("count", "tiles", "total")

_HEIGHT = tl.constexpr(48)
_AT, _TARGET = tl.constexpr(crop_kernels.AT), tl.constexpr(crop_kernels.TARGET)
_WORDS = tl.constexpr(crop_kernels.RECORD)


def printed(lines: Tensor, widest: int, grey: Tensor) -> Tensor:
    """In how many rows each column of ``grey``, bytes [48, w], is print of its line, bytes [w]. ``lines`` are all that
    are there, as in `crop_kernels.sampled`, and the widest has so many columns."""
    count, total = len(lines), grey.shape[1]
    levels = torch.zeros((256, count), dtype=torch.int32, device=grey.device)
    bounds = torch.empty((2, count), dtype=torch.int32, device=grey.device)
    rows = torch.empty(total, dtype=torch.uint8, device=grey.device)
    tiles = triton.cdiv(widest, _ACROSS)
    _counted[count * tiles,](lines, grey, levels, count, tiles, total, DOWN=_DOWN, ACROSS=_ACROSS, num_warps=4)
    _bounded[triton.cdiv(count, _LINES),](
        lines, levels, bounds, count, LINES=_LINES, num_warps=1, enable_fp_fusion=False
    )
    _summed[count * tiles,](lines, grey, bounds, rows, count, tiles, total, DOWN=_DOWN, ACROSS=_ACROSS, num_warps=4)
    return rows


@triton.jit
def _across(there, left, column, right, used):  # type: ignore[no-untyped-def]
    """Three pixels of a row, the middle one twice."""
    middle = tl.load(there + column, mask=used, other=0).to(tl.int32)
    beside = tl.load(there + left, mask=used, other=0).to(tl.int32)
    return beside + 2 * middle + tl.load(there + right, mask=used, other=0).to(tl.int32)


@triton.jit
def _blurred(line, total, width, row, column, used):  # type: ignore[no-untyped-def]
    """Levels of a line at ``row`` [r, 1] and ``column`` [1, c] as `cv2.GaussianBlur` of 3 x 3 leaves them: beyond its
    edges the line is mirrored at the outermost pixels."""
    left = tl.minimum(tl.abs(column - 1), width - 1)
    right = tl.maximum(width - 1 - tl.abs(width - 2 - column), 0)
    above, below = tl.abs(row - 1), tl.where(row < _HEIGHT - 1, row + 1, _HEIGHT - 2)
    made = 2 * _across(line + row.to(tl.int64) * total, left, column, right, used)
    made += _across(line + above.to(tl.int64) * total, left, column, right, used)
    made += _across(line + below.to(tl.int64) * total, left, column, right, used)
    return (made + 8) >> 4


@triton.jit(do_not_specialize=_SIZES)
def _counted(  # type: ignore[no-untyped-def]
    lines, grey, levels, count, tiles, total, DOWN: tl.constexpr, ACROSS: tl.constexpr
):
    number = tl.program_id(0) // tiles
    record = lines + number.to(tl.int64) * _WORDS
    width, begin = tl.load(record + _TARGET).to(tl.int32), (tl.program_id(0) % tiles) * ACROSS
    if begin >= width:
        return
    column = begin + tl.arange(0, ACROSS)[None, :]
    level = tl.arange(0, 256)
    many = tl.zeros([256], tl.int32)
    for start in range(0, _HEIGHT, DOWN):
        row = start + tl.arange(0, DOWN)[:, None]
        used = (row < _HEIGHT) & (column < width)
        seen = _blurred(grey + tl.load(record + _AT), total, width, row, column, used)
        # In whatever order: how many there are does not depend on it, while a mask would come in an order of its own.
        many += tl.histogram(tl.reshape(tl.where(used, seen, 0), [DOWN * ACROSS], can_reorder=True), 256)
    all_seen = tl.cdiv(_HEIGHT, DOWN) * DOWN * ACROSS  # of which those that are not the line's were counted as black
    many -= tl.where(level == 0, all_seen - _HEIGHT * tl.minimum(width - begin, ACROSS), 0)
    tl.atomic_add(levels + level * count + number, many, mask=many > 0, sem="relaxed")


@triton.jit(do_not_specialize=("count",))
def _bounded(lines, levels, bounds, count, LINES: tl.constexpr):  # type: ignore[no-untyped-def]
    """The level that print ends at, by Otsu's method in OpenCV's order of operations, and whether what is above it is
    paper, as it covers half of the line or more."""
    line = tl.program_id(0) * LINES + tl.arange(0, LINES)
    there = line < count
    pixels = tl.load(lines + line.to(tl.int64) * _WORDS + _TARGET, mask=there, other=1).to(tl.int32) * _HEIGHT
    scale = 1.0 / pixels.to(tl.float64)
    weight = tl.zeros([LINES], tl.int32)
    for first in range(0, 256, 16):
        some = first + tl.arange(0, 16)[:, None]
        weight += tl.sum(tl.load(levels + some * count + line[None, :], mask=there[None, :], other=0) * some, 0)
    mean = weight.to(tl.float64) * scale
    bound = tl.zeros([LINES], tl.int32)
    dark = tl.load(levels + line, mask=there, other=0)  # up to the bound
    passed = tl.zeros([LINES], tl.int32)
    most = tl.zeros([LINES], tl.float64)
    lower = tl.zeros([LINES], tl.float64)  # the share of the levels passed
    mean_lower = tl.zeros([LINES], tl.float64)
    for level in range(256):
        many = tl.load(levels + level * count + line, mask=there, other=0)
        passed += many
        share = many.to(tl.float64) * scale
        parts = (passed > 0) & (passed < pixels)  # OpenCV wants shares above 1.2e-7: less than a pixel of 3,200 columns
        weighed = mean_lower * lower + share * level
        lower += share
        upper = 1.0 - lower
        mean_lower = weighed / tl.where(parts, lower, 1.0)
        apart = mean_lower - (mean - lower * mean_lower) / tl.where(parts, upper, 1.0)
        between = lower * upper * apart * apart
        best = parts & (between > most)
        most, bound, dark = tl.where(best, between, most), tl.where(best, level, bound), tl.where(best, passed, dark)
    tl.store(bounds + line, bound, mask=there)
    tl.store(bounds + count + line, (2 * (pixels - dark) >= pixels).to(tl.int32), mask=there)


@triton.jit(do_not_specialize=_SIZES)
def _summed(  # type: ignore[no-untyped-def]
    lines, grey, bounds, rows, count, tiles, total, DOWN: tl.constexpr, ACROSS: tl.constexpr
):
    number = tl.program_id(0) // tiles
    record = lines + number.to(tl.int64) * _WORDS
    width, begin = tl.load(record + _TARGET).to(tl.int32), (tl.program_id(0) % tiles) * ACROSS
    if begin >= width:
        return
    at, bound = tl.load(record + _AT), tl.load(bounds + number)
    column = begin + tl.arange(0, ACROSS)
    light = tl.zeros([ACROSS], tl.int32)
    for start in range(0, _HEIGHT, DOWN):
        row = start + tl.arange(0, DOWN)[:, None]
        used = (row < _HEIGHT) & (column < width)[None, :]
        seen = _blurred(grey + at, total, width, row, column[None, :], used)
        light += tl.sum((used & (seen > bound)).to(tl.int32), 0)
    dark = tl.abs(light - tl.load(bounds + count + number) * _HEIGHT)  # where what is light is paper
    tl.store(rows + at + column, dark.to(tl.uint8), mask=column < width)
