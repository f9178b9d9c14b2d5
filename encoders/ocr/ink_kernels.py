"""A page's ink, and where long straight runs of it may be, as kernels of Triton: `encoders.layout.runs` on a card.

A page is bytes [h, w, 3], RGB, where an address says; one launch does all pages of a request. Grey levels and their
means are those of OpenCV; a turned page differs from OpenCV's by a level where sums end near a half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from encoders.layout.runs import DARKER, WINDOW, Look
from encoders.ocr.ink import places
from encoders.transfers import to_card

_FIELDS = 9
_ADDRESS, _HEIGHT, _WIDTH, _GREY, _OUT, _ACROSS, _DOWN, _COS, _SIN = map(tl.constexpr, range(_FIELDS))
_WORDS = tl.constexpr(_FIELDS)
_REACH, _AREA, _DARKER = tl.constexpr(WINDOW // 2), tl.constexpr(WINDOW * WINDOW), tl.constexpr(DARKER)

_ROWS, _BYTES = 4, 32  # of a tile, whose bytes are eight pixels each
_SIZES = ("down", "across")


def find_ink(pages: Sequence[Tensor], looks: Sequence[Look], device: torch.device) -> Tensor:
    """Bytes of all pages, as their `ink.places` say."""
    laid = places([(page.shape[0], page.shape[1]) for page in pages])
    pixels = np.array([place.height * place.width for place in laid])
    records = np.zeros((len(pages), _FIELDS), np.int64)
    records[:, _ADDRESS.value] = [page.data_ptr() for page in pages]
    records[:, _HEIGHT.value : _WIDTH.value + 1] = [(place.height, place.width) for place in laid]
    records[:, _GREY.value] = np.cumsum(pixels) - pixels
    records[:, _OUT.value] = [place.start for place in laid]
    records[:, _ACROSS.value : _DOWN.value + 1] = [(look.across, look.down) for look in looks]
    records.view(np.float64)[:, _COS.value :] = [(math.cos(look.angle), math.sin(look.angle)) for look in looks]
    pages_there = to_card(records, device)
    numbers = pages_there.view(torch.float64)
    grey = torch.empty(int(pixels.sum()), dtype=torch.uint8, device=device)
    sums = torch.empty(int(pixels.sum()), dtype=torch.int16, device=device)
    found = torch.empty(laid[-1].start + laid[-1].bytes, dtype=torch.uint8, device=device)
    down = triton.cdiv(max(place.height for place in laid), _ROWS)
    across = triton.cdiv(max(place.row for place in laid), _BYTES)
    grid, tile = (len(pages) * down * across,), {"ROWS": _ROWS, "BYTES": _BYTES, "num_warps": 4}
    _turned[grid](pages_there, numbers, grey, down, across, enable_fp_fusion=False, **tile)
    _summed[grid](pages_there, grey, sums, down, across, **tile)
    _inked[grid](pages_there, grey, sums, found, down, across, **tile)
    _in_rows[len(pages) * down,](pages_there, found, down, **tile)
    lines = max(place.lines for place in laid)
    _in_columns[len(pages) * lines * across,](pages_there, found, lines, across, BYTES=_BYTES, num_warps=1)
    return found


@triton.jit
def _where(pages, down, across, ROWS: tl.constexpr):  # type: ignore[no-untyped-def]
    """This program's page, its height and width, the first row and the first byte of its tile."""
    number, tile = tl.program_id(0) // (down * across), tl.program_id(0) % (down * across)
    page = pages + number * _WORDS
    height, width = tl.load(page + _HEIGHT).to(tl.int32), tl.load(page + _WIDTH).to(tl.int32)
    return number, page, height, width, (tile // across) * ROWS, tile % across


@triton.jit
def _grey_at(there, row, column, height, width, used):  # type: ignore[no-untyped-def]
    """What OpenCV makes of colours as grey; white beyond the page."""
    inside = used & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    there = there + (row.to(tl.int64) * width + column) * 3
    red = tl.load(there, mask=inside, other=255).to(tl.int32)
    green = tl.load(there + 1, mask=inside, other=255).to(tl.int32)
    blue = tl.load(there + 2, mask=inside, other=255).to(tl.int32)
    return ((red * 9798 + green * 19235 + blue * 3735 + 16384) >> 15).to(tl.float32)


@triton.jit(do_not_specialize=_SIZES)
def _turned(  # type: ignore[no-untyped-def]
    pages, numbers, grey, down, across, ROWS: tl.constexpr, BYTES: tl.constexpr
):
    number, page, height, width, top, left = _where(pages, down, across, ROWS)
    row = top + tl.arange(0, ROWS)[:, None]
    column = left * (BYTES * 8) + tl.arange(0, BYTES * 8)[None, :]
    used = (row < height) & (column < width)
    cos = tl.load(numbers + number * _WORDS + _COS).to(tl.float32)
    sin = tl.load(numbers + number * _WORDS + _SIN).to(tl.float32)
    x = column.to(tl.float32) * cos - row.to(tl.float32) * sin
    y = column.to(tl.float32) * sin + row.to(tl.float32) * cos
    before, above = tl.floor(x), tl.floor(y)
    x, y = x - before, y - above
    i, j = above.to(tl.int32), before.to(tl.int32)
    there = tl.load(page + _ADDRESS).to(tl.pointer_type(tl.uint8))
    upper = _grey_at(there, i, j, height, width, used)
    upper += (_grey_at(there, i, j + 1, height, width, used) - upper) * x
    lower = _grey_at(there, i + 1, j, height, width, used)
    lower += (_grey_at(there, i + 1, j + 1, height, width, used) - lower) * x
    level = (upper + (lower - upper) * y + 12582912.0) - 12582912.0  # there are no fractions above 2^23
    tl.store(grey + tl.load(page + _GREY) + row * width + column, level.to(tl.int32).to(tl.uint8), mask=used)


@triton.jit(do_not_specialize=_SIZES)
def _summed(pages, grey, sums, down, across, ROWS: tl.constexpr, BYTES: tl.constexpr):  # type: ignore[no-untyped-def]
    _, page, height, width, top, left = _where(pages, down, across, ROWS)
    row = top + tl.arange(0, ROWS)[:, None]
    column = left * (BYTES * 8) + tl.arange(0, BYTES * 8)[None, :]
    used = (row < height) & (column < width)
    start = tl.load(page + _GREY) + row * width
    total = tl.zeros([ROWS, BYTES * 8], tl.int32)
    for tap in range(2 * _REACH + 1):
        near = tl.minimum(tl.maximum(column + (tap - _REACH), 0), width - 1)
        total += tl.load(grey + start + near, mask=used, other=0).to(tl.int32)
    tl.store(sums + start + column, total.to(tl.int16), mask=used)


@triton.jit(do_not_specialize=_SIZES)
def _inked(  # type: ignore[no-untyped-def]
    pages, grey, sums, found, down, across, ROWS: tl.constexpr, BYTES: tl.constexpr
):
    _, page, height, width, top, left = _where(pages, down, across, ROWS)
    row = top + tl.arange(0, ROWS)[:, None, None]
    byte = left * BYTES + tl.arange(0, BYTES)[None, :, None]
    bit = tl.arange(0, 8)[None, None, :]
    column = byte * 8 + bit
    used = (row < height) & (column < width)
    start = tl.load(page + _GREY)
    total = tl.zeros([ROWS, BYTES, 8], tl.int32)
    for tap in range(2 * _REACH + 1):
        near = tl.minimum(tl.maximum(row + (tap - _REACH), 0), height - 1)
        total += tl.load(sums + start + near * width + column, mask=used, other=0).to(tl.int32)
    mean = (2 * total + _AREA) // (2 * _AREA)
    level = tl.load(grey + start + row * width + column, mask=used, other=255).to(tl.int32)
    bits = tl.sum(tl.where(used & (level - mean <= -_DARKER), 128 >> bit, 0), 2)
    row = top + tl.arange(0, ROWS)[:, None]
    byte = left * BYTES + tl.arange(0, BYTES)[None, :]
    length = (width + 7) // 8
    tl.store(
        found + tl.load(page + _OUT) + row * length + byte, bits.to(tl.uint8), mask=(row < height) & (byte < length)
    )


@triton.jit
def _three_rows(bits, row, byte, height, length):  # type: ignore[no-untyped-def]
    """Eight pixels side by side, with those above and below them."""
    inside = (row < height) & (byte >= 0) & (byte < length)
    there = bits + row * length + byte
    seen = tl.load(there, mask=inside, other=0).to(tl.int32)
    seen |= tl.load(there - length, mask=inside & (row > 0), other=0).to(tl.int32)
    return seen | tl.load(there + length, mask=inside & (row + 1 < height), other=0).to(tl.int32)


@triton.jit(do_not_specialize=_SIZES)
def _in_rows(pages, found, down, ROWS: tl.constexpr, BYTES: tl.constexpr):  # type: ignore[no-untyped-def]
    """A run of n pixels fills (n - 7) // 8 blocks of eight, which letters hardly ever do; at an edge half of it may."""
    _, page, height, width, top, _ = _where(pages, down, 1, ROWS)
    bits, length = found + tl.load(page + _OUT), (width + 7) // 8
    run = tl.load(page + _ACROSS).to(tl.int32)
    wanted, half, behind = (run - 7) // 8, (run + 1) // 2, length * 8 - width
    row = top + tl.arange(0, ROWS)[:, None]
    flags = tl.zeros([ROWS, BYTES], tl.int32)
    first = top * 0
    while first + wanted <= length:
        byte = first + tl.arange(0, BYTES)[None, :]
        filled = tl.full([ROWS, BYTES], 255, tl.int32)
        at = top * 0
        while at < wanted:
            filled &= _three_rows(bits, row, byte + at, height, length)
            at += 1
        flags |= (filled == 255).to(tl.int32)
        first += BYTES
    column = tl.arange(0, BYTES)[None, :]  # of which the first stands for all
    left = tl.full([ROWS, BYTES], 255, tl.int32)
    at = top * 0
    while at < tl.minimum(half // 8, length):
        left &= _three_rows(bits, row, column * 0 + at, height, length)
        at += 1
    right = tl.full([ROWS, BYTES], 255, tl.int32)
    at = top * 0
    while at < tl.minimum((half + behind) // 8, length):
        padding = tl.where(at == 0, (1 << behind) - 1, 0)
        right &= _three_rows(bits, row, column * 0 + (length - 1 - at), height, length) | padding
        at += 1
    flags |= ((left == 255) | (right == 255)).to(tl.int32)
    row = top + tl.arange(0, ROWS)
    tl.store(bits + height * length + row, tl.max(flags, 1).to(tl.uint8), mask=row < height)


@triton.jit(do_not_specialize=_SIZES)
def _in_columns(pages, found, down, across, BYTES: tl.constexpr):  # type: ignore[no-untyped-def]
    _, page, height, width, line, left = _where(pages, down, across, 1)
    if line >= height // 8 + 2:
        return
    bits, length = found + tl.load(page + _OUT), (width + 7) // 8
    run = tl.load(page + _DOWN).to(tl.int32)
    half = tl.minimum((run + 1) // 2, height)
    blocks = line < height // 8
    count = tl.where(blocks, (run - 7) // 8 * 8, half)
    first = tl.where(blocks, line * 8, tl.where(line == height // 8, 0, height - half))
    byte = left * BYTES + tl.arange(0, BYTES)
    inside = byte < length
    filled = tl.full([BYTES], 255, tl.int32)
    at = line * 0
    while at < count:
        here = inside & (first + at < height)  # a block that the page is too short for is never filled
        there = bits + (first + at) * length + byte
        seen = tl.load(there, mask=here, other=0).to(tl.int32)
        before = tl.load(there - 1, mask=here & (byte > 0), other=0).to(tl.int32)
        after = tl.load(there + 1, mask=here & (byte + 1 < length), other=0).to(tl.int32)
        filled &= (seen | (seen >> 1) | (seen << 1) | (before << 7) | (after >> 7)) & 255
        at += 1
    tl.store(bits + height * (length + 1) + line * length + byte, filled.to(tl.uint8), mask=inside)
