"""What a cropper does to pixels, as kernels of Triton for CUDA: sampling lines, averaging, and batches of either.

Pictures that are read are bytes [h, w, 3], RGB, each where an address says, so that one kernel does all pages of a
request. Numbers are rounded where PyTorch's operations round them, products apart from sums (``enable_fp_fusion``): so
inputs of the networks are what `torch_cropper` makes of the same pixels, and lines are but for a level of few pixels,
whose products PyTorch's own kernel of sampling sums in another order.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

RECORD = 13
"""Words of 64 bits that say what becomes of a line, and which of them are what:"""

ADDRESS, PAGE_ROWS, PAGE_COLUMNS, ROWS, COLUMNS, OWN, AT, TARGET, MATRIX = range(9)
"""Where its page is and how large; how large the line is sampled; where to, if not into the strip; where it begins in
the strip and how wide it is there; and nine single numbers, its pixels to -1..1 of the page's. A page has the first
three only."""

_BLOCK = 256  # pixels of a tile that is sampled
_DOWN, _SIDEWAYS = 8, 32  # of a tile that is averaged
_SIZES = ("first", "tiles", "total", "height", "width", "rows", "columns", "across")

_HEIGHT = tl.constexpr(48)
_ADDRESS, _PAGE_ROWS, _PAGE_COLUMNS = tl.constexpr(ADDRESS), tl.constexpr(PAGE_ROWS), tl.constexpr(PAGE_COLUMNS)
_ROWS, _COLUMNS, _OWN = tl.constexpr(ROWS), tl.constexpr(COLUMNS), tl.constexpr(OWN)
_AT, _TARGET, _MATRIX = tl.constexpr(AT), tl.constexpr(TARGET), tl.constexpr(MATRIX)
_WORDS = tl.constexpr(RECORD)


def sampled(lines: Tensor, numbers: Tensor, which: range, most: int, strip: Tensor, grey: Tensor, plain: bool) -> None:
    """Sample some of the ``lines``, int64 [n, `RECORD`], of which ``numbers`` are the same as float32, and the largest
    has so many pixels: those that are ``plain`` into the strip [3, 48, w] and its grey [48, w], others as pictures of
    their own size."""
    tiles = triton.cdiv(most, _BLOCK)
    _sampled[len(which) * tiles,](
        lines, numbers, strip, grey, which.start, tiles, strip.shape[2],
        PLAIN=plain, BLOCK=_BLOCK, num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip


def averaged(lines: Tensor, which: range, widest: int, strip: Tensor, grey: Tensor) -> None:
    """Bring what was sampled at its own size into the strip and its grey."""
    across = triton.cdiv(widest, _SIDEWAYS)
    _averaged[len(which) * across * triton.cdiv(48, _DOWN),](
        lines, strip, grey, which.start, across, strip.shape[2],
        DOWN=_DOWN, ACROSS=_SIDEWAYS, num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip


def scaled(pages: Tensor, batch: Tensor) -> None:
    """Bring pages, int64 [n, 3], to the size of a batch [n, 3, H, W], float32, channels last: BGR in -1..1."""
    count, _, rows, columns = batch.shape
    across, down = triton.cdiv(columns, _SIDEWAYS), triton.cdiv(rows, _DOWN)
    _scaled[count * down * across,](
        pages, batch, rows, columns, across, down * across,
        DOWN=_DOWN, ACROSS=_SIDEWAYS, num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip


def stacked(strip: Tensor, spans: Tensor, batch: Tensor) -> None:
    """Fill a batch [n, 3, 48, w], channels last, BGR in -1..1, from spans, int64 [2, n], of the strip [3, 48, total]:
    where each begins and how wide it is. Behind them is 0."""
    count, _, _, width = batch.shape
    tiles = triton.cdiv(48 * width * 3, 4 * _BLOCK)
    _stacked[count * tiles,](
        strip, spans, batch, count, tiles, strip.shape[2], width,
        BLOCK=4 * _BLOCK, num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip


@triton.jit
def _level(value):  # type: ignore[no-untyped-def]
    """A whole grey level, halves to even: there are no fractions above 2^23."""
    return (tl.minimum(tl.maximum(value, 0.0), 255.0) + 12582912.0) - 12582912.0


@triton.jit
def _near(x):  # type: ignore[no-untyped-def]
    """The share of a pixel within one pixel, a = -0.75."""
    return ((1.25 * x - 2.25) * x) * x + 1.0


@triton.jit
def _far(x):  # type: ignore[no-untyped-def]
    """The share of a pixel between one and two pixels off."""
    return ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0


@triton.jit
def _within(value, count):  # type: ignore[no-untyped-def]
    """An index clipped to what there is."""
    return tl.minimum(tl.maximum(value, 0.0), (count - 1).to(tl.float32)).to(tl.int32)


@triton.jit
def _place(x, y, numbers, height, width):  # type: ignore[no-untyped-def]
    """Pixels of a line to pixels of its page, by way of -1..1 as `grid_sample` goes."""
    across = tl.load(numbers) * x + tl.load(numbers + 2) + tl.load(numbers + 1) * y
    down = tl.load(numbers + 3) * x + tl.load(numbers + 5) + tl.load(numbers + 4) * y
    depth = tl.load(numbers + 6) * x + tl.load(numbers + 8) + tl.load(numbers + 7) * y
    column = (tl.div_rn(across, depth) + 1.0) * 0.5 * (width - 1).to(tl.float32)
    row = (tl.div_rn(down, depth) + 1.0) * 0.5 * (height - 1).to(tl.float32)
    return column, row


@triton.jit
def _bicubic(page, height, width, column, row, used):  # type: ignore[no-untyped-def]
    """Red, green and blue of a page between its pixels."""
    left, above = tl.floor(column), tl.floor(row)
    x, y = column - left, row - above
    first = _within(left - 1.0, width) * 3
    second = _within(left, width) * 3
    third = _within(left + 1.0, width) * 3
    fourth = _within(left + 2.0, width) * 3
    red = tl.zeros_like(x)
    green = tl.zeros_like(x)
    blue = tl.zeros_like(x)
    for tap in tl.static_range(4):
        there = page + _within(above + (tap - 1.0), height).to(tl.int64) * (width * 3)
        if tap == 0:
            share = _far(y + 1.0)
        elif tap == 1:
            share = _near(y)
        elif tap == 2:
            share = _near(1.0 - y)
        else:
            share = _far(2.0 - y)
        red += _across(there, first, second, third, fourth, x, used) * share
        green += _across(there + 1, first, second, third, fourth, x, used) * share
        blue += _across(there + 2, first, second, third, fourth, x, used) * share
    return red, green, blue


@triton.jit
def _across(there, first, second, third, fourth, x, used):  # type: ignore[no-untyped-def]
    """Four pixels of a row."""
    made = tl.load(there + first, mask=used, other=0).to(tl.float32) * _far(x + 1.0)
    made += tl.load(there + second, mask=used, other=0).to(tl.float32) * _near(x)
    made += tl.load(there + third, mask=used, other=0).to(tl.float32) * _near(1.0 - x)
    return made + tl.load(there + fourth, mask=used, other=0).to(tl.float32) * _far(2.0 - x)


@triton.jit
def _keep(strip, grey, place, total, red, green, blue, used):  # type: ignore[no-untyped-def]
    """Levels into the strip, and what OpenCV makes of them as grey."""
    red, green, blue = red.to(tl.int32), green.to(tl.int32), blue.to(tl.int32)
    plane = total.to(tl.int64) * _HEIGHT
    tl.store(strip + place, red.to(tl.uint8), mask=used)
    tl.store(strip + plane + place, green.to(tl.uint8), mask=used)
    tl.store(strip + 2 * plane + place, blue.to(tl.uint8), mask=used)
    tl.store(grey + place, ((red * 9798 + green * 19235 + blue * 3735 + 16384) >> 15).to(tl.uint8), mask=used)


@triton.jit(do_not_specialize=_SIZES)
def _sampled(  # type: ignore[no-untyped-def]
    lines, numbers, strip, grey, first, tiles, total, PLAIN: tl.constexpr, BLOCK: tl.constexpr
):
    number = first + tl.program_id(0) // tiles
    line = lines + number.to(tl.int64) * _WORDS
    rows, columns = tl.load(line + _ROWS).to(tl.int32), tl.load(line + _COLUMNS).to(tl.int32)
    begin = (tl.program_id(0) % tiles) * BLOCK
    if begin >= rows * columns:
        return
    place = begin + tl.arange(0, BLOCK)
    used = place < rows * columns
    x, y = place % columns, place // columns
    page = tl.load(line + _ADDRESS).to(tl.pointer_type(tl.uint8))
    height, width = tl.load(line + _PAGE_ROWS).to(tl.int32), tl.load(line + _PAGE_COLUMNS).to(tl.int32)
    mine = numbers + (number.to(tl.int64) * _WORDS + _MATRIX) * 2
    column, row = _place(x.to(tl.float32), y.to(tl.float32), mine, height, width)
    red, green, blue = _bicubic(page, height, width, column, row, used)
    red, green, blue = _level(red), _level(green), _level(blue)
    if PLAIN:
        _keep(strip, grey, y.to(tl.int64) * total + tl.load(line + _AT) + x, total, red, green, blue, used)
    else:
        own = tl.load(line + _OWN).to(tl.pointer_type(tl.uint8)) + place.to(tl.int64) * 3
        tl.store(own, red.to(tl.int32).to(tl.uint8), mask=used)
        tl.store(own + 1, green.to(tl.int32).to(tl.uint8), mask=used)
        tl.store(own + 2, blue.to(tl.int32).to(tl.uint8), mask=used)


@triton.jit
def _taps(source, target, area):  # type: ignore[no-untyped-def]
    """How many pixels of ``source`` one of ``target`` is as long as, that many of the latter, of how many it is made,
    and whether it is their average."""
    scale = source.to(tl.float64) / target.to(tl.float64)
    averages = (scale >= 1.0) & area
    return scale, 1.0 / scale, tl.where(averages, tl.ceil(scale).to(tl.int32) + 1, 2), averages


@triton.jit
def _tap(place, tap, source, scale, inverse, averages):  # type: ignore[no-untyped-def]
    """Which pixel of ``source`` is the tap of the one at ``place``, and its share: `torch_cropper._taps`."""
    begin, end = place.to(tl.float64) * scale, (place + 1).to(tl.float64) * scale
    index = tl.floor(begin + 1e-9) + tap
    share = tl.maximum(tl.minimum(index + 1.0, end) - tl.maximum(index, begin), 0.0) * inverse
    middle = (place.to(tl.float64) + 0.5) * scale - 0.5
    low = tl.floor(middle)
    index = tl.where(averages, index, low + tap)
    share = tl.where(averages, share, tl.where(tap == 0, 1.0 - (middle - low), middle - low))
    index = tl.minimum(tl.maximum(index, 0.0), (source - 1).to(tl.float64))
    return index.to(tl.int32), share.to(tl.float32)


@triton.jit
def _resized(page, height, width, row, column, rows, columns, area, used):  # type: ignore[no-untyped-def]
    """Levels of a picture brought to [rows, columns] at ``row`` [r, 1] and ``column`` [1, c]: red, green, blue. Sums of
    a column's pixels first, then sums of those."""
    scale_down, inverse_down, down, averages_down = _taps(height, rows, area)
    scale_across, inverse_across, across, averages_across = _taps(width, columns, area)
    red = tl.zeros_like(row + column).to(tl.float32)
    green = tl.zeros_like(red)
    blue = tl.zeros_like(red)
    j = across * 0
    while j < across:  # of a range the interpreter knows no end
        x, share_across = _tap(column, j, width, scale_across, inverse_across, averages_across)
        in_red = tl.zeros_like(red)
        in_green = tl.zeros_like(red)
        in_blue = tl.zeros_like(red)
        i = down * 0
        while i < down:
            y, share_down = _tap(row, i, height, scale_down, inverse_down, averages_down)
            there = page + (y.to(tl.int64) * width + x) * 3
            in_red += tl.load(there, mask=used, other=0).to(tl.float32) * share_down
            in_green += tl.load(there + 1, mask=used, other=0).to(tl.float32) * share_down
            in_blue += tl.load(there + 2, mask=used, other=0).to(tl.float32) * share_down
            i += 1
        red += in_red * share_across
        green += in_green * share_across
        blue += in_blue * share_across
        j += 1
    return _level(red), _level(green), _level(blue)


@triton.jit(do_not_specialize=_SIZES)
def _averaged(  # type: ignore[no-untyped-def]
    lines, strip, grey, first, across, total, DOWN: tl.constexpr, ACROSS: tl.constexpr
):
    tiles = across * tl.cdiv(_HEIGHT, DOWN)
    number = first + tl.program_id(0) // tiles
    line = lines + number.to(tl.int64) * _WORDS
    target = tl.load(line + _TARGET).to(tl.int32)
    tile = tl.program_id(0) % tiles
    if (tile % across) * ACROSS >= target:
        return
    row = (tile // across) * DOWN + tl.arange(0, DOWN)[:, None]
    column = (tile % across) * ACROSS + tl.arange(0, ACROSS)[None, :]
    used = (row < _HEIGHT) & (column < target)
    own = tl.load(line + _OWN).to(tl.pointer_type(tl.uint8))
    height, width = tl.load(line + _ROWS).to(tl.int32), tl.load(line + _COLUMNS).to(tl.int32)
    high = tl.full((), _HEIGHT, tl.int32)
    red, green, blue = _resized(own, height, width, row, column, high, target, True, used)
    place = row.to(tl.int64) * total + tl.load(line + _AT) + column
    _keep(strip, grey, place, total, red, green, blue, used)


@triton.jit(do_not_specialize=_SIZES)
def _scaled(  # type: ignore[no-untyped-def]
    pages, batch, rows, columns, across, tiles, DOWN: tl.constexpr, ACROSS: tl.constexpr
):
    number, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    page = tl.load(pages + number * 3 + _ADDRESS).to(tl.pointer_type(tl.uint8))
    height = tl.load(pages + number * 3 + _PAGE_ROWS).to(tl.int32)
    width = tl.load(pages + number * 3 + _PAGE_COLUMNS).to(tl.int32)
    row = (tile // across) * DOWN + tl.arange(0, DOWN)[:, None]
    column = (tile % across) * ACROSS + tl.arange(0, ACROSS)[None, :]
    used = (row < rows) & (column < columns)
    area = rows * columns < height * width
    red, green, blue = _resized(page, height, width, row, column, rows, columns, area, used)
    out = batch + ((number.to(tl.int64) * rows + row) * columns + column) * 3
    tl.store(out, tl.div_rn(blue - 127.5, tl.full(blue.shape, 127.5, tl.float32)), mask=used)
    tl.store(out + 1, tl.div_rn(green - 127.5, tl.full(blue.shape, 127.5, tl.float32)), mask=used)
    tl.store(out + 2, tl.div_rn(red - 127.5, tl.full(blue.shape, 127.5, tl.float32)), mask=used)


@triton.jit(do_not_specialize=_SIZES + ("count",))
def _stacked(strip, spans, batch, count, tiles, total, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    number = tl.program_id(0) // tiles
    place = (tl.program_id(0) % tiles) * BLOCK + tl.arange(0, BLOCK)  # as it lies in the batch: row, column, colour
    used = place < 3 * _HEIGHT * width
    column, row = (place // 3) % width, place // (3 * width)
    inside = used & (column < tl.load(spans + count + number))
    plane = 2 - place % 3
    there = (plane * _HEIGHT + row).to(tl.int64) * total + tl.load(spans + number) + column
    level = tl.load(strip + there, mask=inside, other=0).to(tl.float32)
    value = tl.div_rn(level - 127.5, tl.full([BLOCK], 127.5, tl.float32))
    out = batch + number.to(tl.int64) * 3 * _HEIGHT * width + place
    tl.store(out, tl.where(inside, value, 0.0).to(batch.dtype.element_ty), mask=used)
