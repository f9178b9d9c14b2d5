"""What the recogniser does behind its blocks, as kernels of Triton for CUDA: see `encoders.ocr.kernels`."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from encoders.ocr.kernels import ROWS, SIZES


def pooled(pixels: Tensor) -> Tensor:
    """[n, 3, w, c] to the means [n, w / 2, c] of three rows and two columns."""
    count, _, width, channels = pixels.shape
    made = pixels.new_empty(count, width // 2, channels)
    rows = count * (width // 2)
    _pooled[triton.cdiv(rows, 16),](
        pixels, made, rows, width, CHANNELS=channels, PADDED=triton.next_power_of_2(channels), M=16, num_warps=4
    )
    return made


def mixed(steps: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """[n, t, 2 c] to [n, t, c]: of the latter half of channels each step and SiLU of its depthwise convolution."""
    count, length, channels = steps.shape[0], steps.shape[1], steps.shape[2] // 2
    made = steps.new_empty(count, length, channels)
    rows = count * length
    _mixed[triton.cdiv(rows, 32),](
        steps, taps, bias, made, rows, length,
        TAPS=taps.shape[0], CHANNELS=channels, PADDED=triton.next_power_of_2(channels), M=32, num_warps=4,
    )  # fmt: skip
    return made


def best(hidden: Tensor, classes: Any) -> tuple[Tensor, Tensor]:
    """[n, t, d] to the best symbol at each step [n, t] and how sure it is. No more of the logits is ever formed than a
    tile of them. ``classes`` are `fused.Classes`."""
    count, length, width = hidden.shape
    rows = count * length
    symbols = torch.empty(count, length, dtype=torch.int64, device=hidden.device)
    confidences = torch.empty(count, length, dtype=torch.float32, device=hidden.device)
    _best[triton.cdiv(rows, ROWS),](
        hidden, classes.weight, classes.bias, symbols, confidences, rows,
        WIDTH=width, PADDED=classes.weight.shape[0], CLASSES=classes.weight.shape[1], M=ROWS, N=128, num_warps=4,
    )  # fmt: skip
    return symbols, confidences


@triton.jit
def _silu(values):  # type: ignore[no-untyped-def]
    return values / (1.0 + tl.exp(-values))


@triton.jit(do_not_specialize=SIZES)
def _pooled(  # type: ignore[no-untyped-def]
    pixels, out, rows, width, CHANNELS: tl.constexpr, PADDED: tl.constexpr, M: tl.constexpr
):
    place = tl.program_id(0) * M + tl.arange(0, M)
    channel = tl.arange(0, PADDED)
    mask = (place < rows)[:, None] & (channel < CHANNELS)[None, :]
    half = width // 2
    start = (place // half) * 3 * width + (place % half) * 2
    summed = tl.zeros([M, PADDED], tl.float32)
    for tap in tl.static_range(6):
        there = (start + (tap // 2) * width + tap % 2)[:, None] * CHANNELS + channel[None, :]
        summed += tl.load(pixels + there, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + place[:, None] * CHANNELS + channel[None, :], (summed / 6).to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=SIZES)
def _mixed(  # type: ignore[no-untyped-def]
    steps, taps, bias, out, rows, width,
    TAPS: tl.constexpr, CHANNELS: tl.constexpr, PADDED: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * M + tl.arange(0, M)
    channel = tl.arange(0, PADDED)
    real = channel < CHANNELS
    used = (place < rows)[:, None] & real[None, :]
    step = place % width
    own = steps + CHANNELS + channel[None, :]
    summed = tl.zeros([M, PADDED], tl.float32) + tl.load(bias + channel, mask=real, other=0.0)[None, :]
    for tap in tl.static_range(TAPS):
        beside = step + tap - TAPS // 2
        mask = used & ((beside >= 0) & (beside < width))[:, None]
        seen = tl.load(own + (place + tap - TAPS // 2)[:, None] * (2 * CHANNELS), mask=mask, other=0.0)
        summed += seen.to(tl.float32) * tl.load(taps + tap * CHANNELS + channel, mask=real, other=0.0)[None, :]
    kept = tl.load(own + place[:, None] * (2 * CHANNELS), mask=used, other=0.0).to(tl.float32)
    made = kept + _silu(summed)
    tl.store(out + place[:, None] * CHANNELS + channel[None, :], made.to(out.dtype.element_ty), mask=used)


@triton.jit(do_not_specialize=SIZES)
def _best(  # type: ignore[no-untyped-def]
    hidden, weight, bias, symbols, confidences, rows,
    WIDTH: tl.constexpr, PADDED: tl.constexpr, CLASSES: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * M + tl.arange(0, M)
    used = place < rows
    inner, column = tl.arange(0, PADDED), tl.arange(0, N)
    mask = used[:, None] & (inner < WIDTH)[None, :]
    seen = tl.load(hidden + place[:, None] * WIDTH + inner[None, :], mask=mask, other=0.0).to(tl.float16)
    most = tl.full([M], -1e30, tl.float32)
    symbol = tl.zeros([M], tl.int32)
    total = tl.zeros([M], tl.float32)
    for start in range(0, CLASSES, N):
        logits = tl.dot(seen, tl.load(weight + inner[:, None] * CLASSES + (start + column)[None, :]))
        logits += tl.load(bias + start + column)[None, :]
        top = tl.max(logits, 1)
        symbol = tl.where(top > most, start + tl.argmax(logits, 1), symbol)
        higher = tl.maximum(most, top)
        total = total * tl.exp(most - higher) + tl.sum(tl.exp(logits - higher[:, None]), 1)
        most = higher
    tl.store(symbols + place, symbol.to(tl.int64), mask=used)
    tl.store(confidences + place, 1.0 / total, mask=used)
