"""What the two OCR networks are made of, as kernels of Triton for CUDA. Pictures are channels last, [n, h, w, c].

A block of PP-LCNetV4 is a depthwise convolution and two products with a GELU between them. PyTorch runs that as a dozen
kernels, which read and write their pixels from memory a dozen times, and on an H100 the networks took seven times what
memory needs to deliver pixels once. Here a block is one kernel, two where squeeze-and-excitation needs the mean of all
pixels first. Products are of half precision, sums of single, and what is between the parts of a block is never rounded.

Channels come as three times a power of two, 48 to 384, but tiles have sides of powers of two: so a pixel's channels are
three tiles. Sums are taken in an order that depends on nothing but the shapes, so results are the same bits every time.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 64  # of a tile: pixels
SIZES = ("rows", "height", "width", "out_height", "out_width", "tiles")  # other numbers are no reason to compile anew


def block(pixels: Tensor, weights: Any, gate: Tensor | None = None) -> Tensor:
    """A block over [n, h, w, c]; of one with squeeze-and-excitation only what follows it: ``gate`` is [n, c], and
    ``pixels`` are those of `excitable`. ``weights`` are a `fused.Block`."""
    count, height, width, _ = pixels.shape
    down, across = (1, 1) if gate is not None else weights.strides
    out_height, out_width = -(-height // down), -(-width // across)
    made = pixels.new_empty(count, out_height, out_width, weights.outputs)
    rows = count * out_height * out_width
    lines, hidden, warps, stages = weights.tile
    _block[triton.cdiv(rows, lines),](
        pixels, pixels if gate is None else gate, weights.taps, weights.taps_bias, weights.first, weights.first_bias,
        weights.second, weights.second_bias, made, rows, height, width, out_height, out_width,
        PART=weights.inputs // 3, OUT_PART=weights.outputs // 3, DOWN=down, ACROSS=across, GATED=gate is not None,
        RESIDUAL=weights.residual, M=lines, HIDDEN=hidden, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return made


def excitable(pixels: Tensor, weights: Any) -> tuple[Tensor, Tensor]:
    """The depthwise convolution of a block [n, h, w, c], and the sums of its channels [n, c]."""
    count, height, width, channels = pixels.shape
    tiles = triton.cdiv(height * width, ROWS)
    made, sums = torch.empty_like(pixels), pixels.new_empty(count, tiles, channels, dtype=torch.float32)
    _excitable[tiles, count](
        pixels, weights.taps, weights.taps_bias, made, sums, height, width, tiles,
        PART=channels // 3, M=ROWS, num_warps=4,
    )  # fmt: skip
    return made, sums.sum(1)


def gated(sums: Tensor, pixels: int, gate: Any) -> Tensor:
    """Squeeze-and-excitation: sums of so many pixels [n, c] to what each channel is multiplied by [n, d]. ``gate`` is a
    `fused.Gate`."""
    outputs, hidden = gate.second.shape
    made = sums.new_empty(len(sums), outputs)
    _gated[len(sums),](
        sums, gate.first, gate.first_bias, gate.second, gate.second_bias, made, 1.0 / pixels,
        INPUTS=sums.shape[1], HIDDEN=hidden, PADDED=triton.next_power_of_2(hidden), OUTPUTS=outputs,
        SLOPE=gate.slope, MORE=gate.more, N=ROWS, num_warps=4,
    )  # fmt: skip
    return made


def convolved(pixels: Tensor, weights: Any, into: Tensor | None = None, at: int = 0) -> Tensor:
    """A convolution with ReLU behind it, [n, h, w, c], as ``weights``, a `fused.Convolution`, say; ``into`` channels
    from ``at`` on of another picture, or a new one."""
    count, height, width, channels = pixels.shape
    rows, columns = weights.kernel
    above, left, below, right = weights.padding
    out_height = (height + above + below - rows) // weights.stride + 1
    out_width = (width + left + right - columns) // weights.stride + 1
    if into is None:
        into = pixels.new_empty(count, out_height, out_width, weights.outputs)
    positions = count * out_height * out_width
    lines = 64 if channels == 3 or pixels.dtype == torch.float32 else 128
    _convolved[triton.cdiv(positions, lines),](
        pixels, weights.weight, weights.bias, into, positions, height, width, out_height, out_width,
        INPUTS=channels, INPUTS_PADDED=weights.weight.shape[1], OUTPUTS=weights.outputs,
        OUTPUTS_PADDED=weights.weight.shape[2], ROWS=rows, COLUMNS=columns, STRIDE=weights.stride,
        ABOVE=above, LEFT=left, CHANNELS=into.shape[3], AT=at, M=lines, num_warps=4,
    )  # fmt: skip
    return into


def highest(pixels: Tensor, into: Tensor) -> None:
    """Of each pixel and its neighbours right and below the highest, into the first channels of ``into``."""
    count, height, width, channels = pixels.shape
    rows = count * height * width
    _highest[triton.cdiv(rows, ROWS),](
        pixels, into, rows, height, width,
        INPUTS=channels, PADDED=triton.next_power_of_2(channels), CHANNELS=into.shape[3], M=ROWS, num_warps=4,
    )  # fmt: skip


@triton.jit
def position_of(place, height, width):  # type: ignore[no-untyped-def]
    """Sample, row and column of places in [n, h, w]."""
    rest = place // width
    return rest // height, rest % height, place % width


@triton.jit
def _gelu(values):  # type: ignore[no-untyped-def]
    return 0.5 * values * (1.0 + tl.erf(values * 0.7071067811865476))


@triton.jit
def part_of(  # type: ignore[no-untyped-def]
    pixels, taps, bias, sample, row, column, used, height, width, first,
    SIDE: tl.constexpr, PART: tl.constexpr, DOWN: tl.constexpr, ACROSS: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    """[M, PART]: a depthwise convolution of the channels from ``first`` on, of three times as many."""
    channel = first + tl.arange(0, PART)
    summed = tl.zeros([M, PART], tl.float32) + tl.load(bias + channel)[None, :]
    for tap in tl.range(0, SIDE * SIDE, loop_unroll_factor=3 if SIDE == 3 else 7):
        y = row * DOWN + tap // SIDE - SIDE // 2
        x = column * ACROSS + tap % SIDE - SIDE // 2
        inside = used & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        start = ((sample * height + y) * width + x) * (3 * PART)
        seen = tl.load(pixels + start[:, None] + channel[None, :], mask=inside[:, None], other=0.0)
        summed += seen.to(tl.float32) * tl.load(taps + tap * (3 * PART) + channel)[None, :]
    return summed


@triton.jit
def _given(pixels, gate, place, sample, used, first, PART: tl.constexpr):  # type: ignore[no-untyped-def]
    """[M, PART]: channels from ``first`` on, each times its sample's gate."""
    channel = first + tl.arange(0, PART)
    mask = used[:, None]
    seen = tl.load(pixels + place[:, None] * (3 * PART) + channel[None, :], mask=mask, other=0.0).to(tl.float32)
    return seen * tl.load(gate + sample[:, None] * (3 * PART) + channel[None, :], mask=mask, other=0.0)


@triton.jit(do_not_specialize=SIZES)
def _block(  # type: ignore[no-untyped-def]
    pixels, gate, taps, taps_bias, first, first_bias, second, second_bias, out,
    rows, height, width, out_height, out_width,
    PART: tl.constexpr, OUT_PART: tl.constexpr, DOWN: tl.constexpr, ACROSS: tl.constexpr, GATED: tl.constexpr,
    RESIDUAL: tl.constexpr, M: tl.constexpr, HIDDEN: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * M + tl.arange(0, M)
    used = place < rows
    sample, row, column = position_of(place, out_height, out_width)
    if GATED:
        a = _given(pixels, gate, place, sample, used, 0, PART)
        b = _given(pixels, gate, place, sample, used, PART, PART)
        c = _given(pixels, gate, place, sample, used, 2 * PART, PART)
    else:
        a = part_of(pixels, taps, taps_bias, sample, row, column, used, height, width, 0, 3, PART, DOWN, ACROSS, M)
        b = part_of(pixels, taps, taps_bias, sample, row, column, used, height, width, PART, 3, PART, DOWN, ACROSS, M)
        c = part_of(
            pixels, taps, taps_bias, sample, row, column, used, height, width, 2 * PART, 3, PART, DOWN, ACROSS, M
        )
    kind: tl.constexpr = out.dtype.element_ty
    kept_a, kept_b, kept_c = a.to(kind), b.to(kind), c.to(kind)  # what is of half precision takes half the registers
    half_a, half_b, half_c = a.to(tl.float16), b.to(tl.float16), c.to(tl.float16)
    channel, output, inner = tl.arange(0, PART), tl.arange(0, OUT_PART), tl.arange(0, HIDDEN)
    x = tl.zeros([M, OUT_PART], tl.float32)
    y = tl.zeros([M, OUT_PART], tl.float32)
    z = tl.zeros([M, OUT_PART], tl.float32)
    for start in range(0, 6 * PART, HIDDEN):
        weight = first + channel[:, None] * (6 * PART) + (start + inner)[None, :]
        hidden = tl.dot(half_a, tl.load(weight))
        hidden = tl.dot(half_b, tl.load(weight + PART * 6 * PART), hidden)
        hidden = tl.dot(half_c, tl.load(weight + 2 * PART * 6 * PART), hidden)
        active = _gelu(hidden + tl.load(first_bias + start + inner)[None, :]).to(tl.float16)
        weight = second + (start + inner)[:, None] * (3 * OUT_PART) + output[None, :]
        x = tl.dot(active, tl.load(weight), x)
        y = tl.dot(active, tl.load(weight + OUT_PART), y)
        z = tl.dot(active, tl.load(weight + 2 * OUT_PART), z)
    x += tl.load(second_bias + output)[None, :]
    y += tl.load(second_bias + OUT_PART + output)[None, :]
    z += tl.load(second_bias + 2 * OUT_PART + output)[None, :]
    if RESIDUAL:
        x, y, z = x + kept_a.to(tl.float32), y + kept_b.to(tl.float32), z + kept_c.to(tl.float32)
    target = out + place[:, None] * (3 * OUT_PART) + output[None, :]
    tl.store(target, x.to(out.dtype.element_ty), mask=used[:, None])
    tl.store(target + OUT_PART, y.to(out.dtype.element_ty), mask=used[:, None])
    tl.store(target + 2 * OUT_PART, z.to(out.dtype.element_ty), mask=used[:, None])


@triton.jit(do_not_specialize=SIZES)
def _excitable(  # type: ignore[no-untyped-def]
    pixels, taps, taps_bias, out, sums, height, width, tiles, PART: tl.constexpr, M: tl.constexpr
):
    tile, sample = tl.program_id(0), tl.program_id(1)
    own = tile * M + tl.arange(0, M)
    used = own < height * width
    channel = tl.arange(0, PART)
    for part in tl.static_range(3):
        made = part_of(
            pixels, taps, taps_bias, sample, own // width, own % width, used, height, width, part * PART,
            3, PART, 1, 1, M,
        )  # fmt: skip
        target = out + (sample * height * width + own)[:, None] * (3 * PART) + part * PART + channel[None, :]
        tl.store(target, made.to(out.dtype.element_ty), mask=used[:, None])
        summed = tl.sum(tl.where(used[:, None], made, 0.0), 0)
        tl.store(sums + (sample * tiles + tile) * (3 * PART) + part * PART + channel, summed)


@triton.jit
def _gated(  # type: ignore[no-untyped-def]
    sums, first, first_bias, second, second_bias, out, share,
    INPUTS: tl.constexpr, HIDDEN: tl.constexpr, PADDED: tl.constexpr, OUTPUTS: tl.constexpr, SLOPE: tl.constexpr,
    MORE: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(0)
    inner = tl.arange(0, PADDED)
    real = inner < HIDDEN
    hidden = tl.load(first_bias + inner, mask=real, other=0.0)
    for start in range(0, INPUTS, N):
        channel = start + tl.arange(0, N)
        mean = tl.load(sums + sample * INPUTS + channel, mask=channel < INPUTS, other=0.0) * share
        mask = real[:, None] & (channel < INPUTS)[None, :]
        weight = tl.load(first + inner[:, None] * INPUTS + channel[None, :], mask=mask, other=0.0)
        hidden += tl.sum(weight * mean[None, :], 1)
    hidden = tl.maximum(hidden, 0.0)
    for start in range(0, OUTPUTS, N):
        channel = start + tl.arange(0, N)
        mask = (channel < OUTPUTS)[:, None] & real[None, :]
        weight = tl.load(second + channel[:, None] * HIDDEN + inner[None, :], mask=mask, other=0.0)
        made = tl.sum(weight * hidden[None, :], 1)
        made += tl.load(second_bias + channel, mask=channel < OUTPUTS, other=0.0)
        made = tl.minimum(tl.maximum(made * SLOPE + 0.5, 0.0), 1.0) + MORE
        tl.store(out + sample * OUTPUTS + channel, made, mask=channel < OUTPUTS)


@triton.jit(do_not_specialize=SIZES)
def _convolved(  # type: ignore[no-untyped-def]
    pixels, weight, bias, out, rows, height, width, out_height, out_width,
    INPUTS: tl.constexpr, INPUTS_PADDED: tl.constexpr, OUTPUTS: tl.constexpr, OUTPUTS_PADDED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, STRIDE: tl.constexpr, ABOVE: tl.constexpr, LEFT: tl.constexpr,
    CHANNELS: tl.constexpr, AT: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * M + tl.arange(0, M)
    used = place < rows
    sample, row, column = position_of(place, out_height, out_width)
    channel, output = tl.arange(0, INPUTS_PADDED), tl.arange(0, OUTPUTS_PADDED)
    summed = tl.zeros([M, OUTPUTS_PADDED], tl.float32) + tl.load(bias + output)[None, :]
    for tap in tl.static_range(ROWS * COLUMNS):
        y, x = row * STRIDE + tap // COLUMNS - ABOVE, column * STRIDE + tap % COLUMNS - LEFT
        inside = used & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        start = ((sample * height + y) * width + x) * INPUTS
        mask = inside[:, None] & (channel < INPUTS)[None, :]
        seen = tl.load(pixels + start[:, None] + channel[None, :], mask=mask, other=0.0)
        there = weight + (tap * INPUTS_PADDED + channel)[:, None] * OUTPUTS_PADDED + output[None, :]
        summed = tl.dot(seen.to(tl.float16), tl.load(there), summed)
    target = out + place[:, None] * CHANNELS + AT + output[None, :]
    summed = tl.maximum(summed, 0.0).to(out.dtype.element_ty)
    tl.store(target, summed, mask=used[:, None] & (output < OUTPUTS)[None, :])


@triton.jit(do_not_specialize=SIZES)
def _highest(  # type: ignore[no-untyped-def]
    pixels, out, rows, height, width,
    INPUTS: tl.constexpr, PADDED: tl.constexpr, CHANNELS: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * M + tl.arange(0, M)
    used = place < rows
    _, row, column = position_of(place, height, width)
    channel = tl.arange(0, PADDED)
    real = (channel < INPUTS)[None, :]
    most = tl.zeros([M, PADDED], tl.float32)  # what is there is none below 0, and what is beyond the edges counts as 0
    for tap in tl.static_range(4):
        inside = used & (row + tap // 2 < height) & (column + tap % 2 < width)
        start = (place + (tap // 2) * width + tap % 2) * INPUTS
        seen = tl.load(pixels + start[:, None] + channel[None, :], mask=inside[:, None] & real, other=0.0)
        most = tl.maximum(most, seen.to(tl.float32))
    target = out + place[:, None] * CHANNELS + channel[None, :]
    tl.store(target, most.to(out.dtype.element_ty), mask=used[:, None] & real)
