"""The detector's pyramid and its map, as kernels of Triton for CUDA: see `encoders.ocr.kernels`."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from encoders.ocr.kernels import ROWS, SIZES, part_of, position_of


def lateral(pixels: Tensor, weight: Tensor, gate: Tensor, above: Tensor | None) -> Tensor:
    """[n, h, w, c] by ``weight`` [c, 128] times ``gate`` [n, 128], of which 96 count, and what is ``above`` in the
    pyramid, [n, h / 2, w / 2, 96], for 2 x 2 pixels each."""
    count, height, width, channels = pixels.shape
    made = pixels.new_empty(count, height, width, 96)
    rows = count * height * width
    _lateral[triton.cdiv(rows, ROWS),](
        pixels, weight, gate, pixels if above is None else above, made, rows, height, width,
        PART=channels // 3, OUTPUTS=96, PADDED=weight.shape[1], SUMMED=above is not None, M=ROWS, num_warps=4,
    )  # fmt: skip
    return made


def spread(pixels: Tensor, weights: Any) -> tuple[Tensor, Tensor]:
    """A depthwise convolution of 7 x 7 over [n, h, w, 96] and a product with [96, 32]; sums of its channels [n, 32].
    ``weights`` are a `fused.Spread`."""
    count, height, width, _ = pixels.shape
    outputs = weights.weight.shape[1]
    tiles = triton.cdiv(height * width, ROWS)
    made = pixels.new_empty(count, height, width, outputs)
    sums = pixels.new_empty(count, tiles, outputs, dtype=torch.float32)
    _spread[tiles, count](
        pixels, weights.taps, weights.weight, weights.bias, made, sums, height, width, tiles,
        SIDE=7, PART=32, OUTPUTS=outputs, M=ROWS, num_warps=4,
    )  # fmt: skip
    return made, sums.sum(1)


def head(levels: list[Tensor], gates: list[Tensor], weights: Any) -> Tensor:
    """The finest of four levels [n, h, w, 32], the others a half, a quarter and an eighth of its size, with ``gates``
    [n, 32] each, to the probabilities [n, 4 h, 4 w]. ``weights`` are a `fused.Head`."""
    count, height, width, _ = levels[0].shape
    made = torch.empty(count, 4 * height, 4 * width, dtype=torch.float32, device=levels[0].device)
    rows = count * height * width
    _head[triton.cdiv(rows, ROWS),](
        *levels, *gates, weights.down, weights.down_bias, weights.up, weights.up_bias, weights.final,
        weights.final_bias, made, rows, height, width, M=ROWS, num_warps=4,
    )  # fmt: skip
    return made


@triton.jit(do_not_specialize=SIZES)
def _lateral(  # type: ignore[no-untyped-def]
    pixels, weight, gate, above, out, rows, height, width,
    PART: tl.constexpr, OUTPUTS: tl.constexpr, PADDED: tl.constexpr, SUMMED: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * M + tl.arange(0, M)
    used = place < rows
    sample, row, column = position_of(place, height, width)
    channel, output = tl.arange(0, PART), tl.arange(0, PADDED)
    summed = tl.zeros([M, PADDED], tl.float32)
    for part in tl.static_range(3):
        start = place[:, None] * (3 * PART) + part * PART + channel[None, :]
        seen = tl.load(pixels + start, mask=used[:, None], other=0.0).to(tl.float16)
        there = weight + (part * PART + channel)[:, None] * PADDED + output[None, :]
        summed = tl.dot(seen, tl.load(there), summed)
    mask = used[:, None] & (output < OUTPUTS)[None, :]
    summed *= tl.load(gate + sample[:, None] * PADDED + output[None, :], mask=mask, other=0.0)
    if SUMMED:
        coarse = (sample * (height // 2) + row // 2) * (width // 2) + column // 2
        summed += tl.load(above + coarse[:, None] * OUTPUTS + output[None, :], mask=mask, other=0.0).to(tl.float32)
    tl.store(out + place[:, None] * OUTPUTS + output[None, :], summed.to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=SIZES)
def _spread(  # type: ignore[no-untyped-def]
    pixels, taps, weight, bias, out, sums, height, width, tiles,
    SIDE: tl.constexpr, PART: tl.constexpr, OUTPUTS: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    tile, sample = tl.program_id(0), tl.program_id(1)
    own = tile * M + tl.arange(0, M)
    used = own < height * width
    channel, output = tl.arange(0, PART), tl.arange(0, OUTPUTS)
    summed = tl.zeros([M, OUTPUTS], tl.float32)
    for part in tl.static_range(3):
        made = part_of(
            pixels, taps, bias, sample, own // width, own % width, used, height, width, part * PART,
            SIDE, PART, 1, 1, M,
        )  # fmt: skip
        there = weight + (part * PART + channel)[:, None] * OUTPUTS + output[None, :]
        summed = tl.dot(made.to(tl.float16), tl.load(there), summed)
    target = out + (sample * height * width + own)[:, None] * OUTPUTS + output[None, :]
    tl.store(target, summed.to(out.dtype.element_ty), mask=used[:, None])
    tl.store(sums + (sample * tiles + tile) * OUTPUTS + output, tl.sum(tl.where(used[:, None], summed, 0.0), 0))


@triton.jit
def _downwards(  # type: ignore[no-untyped-def]
    summed, level, gate, weight, sample, row, column, used, height, width, SCALE: tl.constexpr
):
    """Add a 3 x 3 convolution of a level that is ``SCALE`` times coarser than the [height, width] of its output."""
    channel = tl.arange(0, 32)
    gates = tl.load(gate + sample[:, None] * 32 + channel[None, :], mask=used[:, None], other=0.0)
    for tap in tl.static_range(9):
        y, x = row + tap // 3 - 1, column + tap % 3 - 1
        inside = used & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        start = ((sample * (height // SCALE) + y // SCALE) * (width // SCALE) + x // SCALE) * 32
        seen = tl.load(level + start[:, None] + channel[None, :], mask=inside[:, None], other=0.0).to(tl.float32)
        there = weight + tap * 32 * 32 + channel[:, None] * 32 + channel[None, :]
        summed = tl.dot((seen * gates).to(tl.float16), tl.load(there), summed)
    return summed


@triton.jit(do_not_specialize=SIZES)
def _head(  # type: ignore[no-untyped-def]
    level1, level2, level4, level8, gate1, gate2, gate4, gate8, down, down_bias, up, up_bias, final, final_bias, out,
    rows, height, width, M: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * M + tl.arange(0, M)
    used = place < rows
    sample, row, column = position_of(place, height, width)
    few, last = tl.arange(0, 32), tl.arange(0, 16)
    summed = tl.zeros([M, 32], tl.float32) + tl.load(down_bias + few)[None, :]
    each = 9 * 32 * 32
    summed = _downwards(summed, level8, gate8, down, sample, row, column, used, height, width, 8)
    summed = _downwards(summed, level4, gate4, down + each, sample, row, column, used, height, width, 4)
    summed = _downwards(summed, level2, gate2, down + 2 * each, sample, row, column, used, height, width, 2)
    summed = _downwards(summed, level1, gate1, down + 3 * each, sample, row, column, used, height, width, 1)
    seen = tl.maximum(summed, 0.0).to(tl.float16)
    made = tl.zeros([M, 16], tl.float32) + tl.load(final_bias)
    # A quarter at a time: triton 3.6 compiles a product with [128, 16] on Hopper into reads beyond shared memory.
    for quarter in tl.static_range(4):
        there = up + quarter * 32 * 32 + few[:, None] * 32 + few[None, :]
        wider = tl.maximum(tl.dot(seen, tl.load(there)) + tl.load(up_bias + few)[None, :], 0.0)
        there = final + quarter * 32 * 16 + few[:, None] * 16 + last[None, :]
        made = tl.dot(wider.to(tl.float16), tl.load(there), made)
    # Of the 4 x 4 pixels each is a row and a column of a quarter, and one of that quarter's in the whole.
    y = (row * 4)[:, None] + (last // 8 * 2 + last // 2 % 2)[None, :]
    x = (column * 4)[:, None] + (last // 4 % 2 * 2 + last % 2)[None, :]
    target = out + (sample[:, None] * (4 * height) + y) * (4 * width) + x
    tl.store(target, 1.0 / (1.0 + tl.exp(-made)), mask=used[:, None])
