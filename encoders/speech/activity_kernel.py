"""The recurrence of voice activity as a kernel of Triton: one program takes all frames of a stream, one after another.

As operations of PyTorch or cuDNN two minutes, 3,750 frames, are as many kernels at least. Here they hold one processor
of a card for some milliseconds, and streams of several clients run beside each other. Half of the weights stay in
registers, the others are read anew for each frame. Nothing in it is a product of matrices to Triton.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_WARPS = 8  # all compute each unit's gates anew: sixteen issue nearly twice the instructions


def recur(gates: Tensor, weights: Tensor, state: Tensor, out: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """See `device_activity.recur`."""
    width = len(out)
    chances = torch.empty(len(gates), dtype=torch.float32, device=gates.device)
    behind = torch.empty_like(state)
    _recur[1,](gates, weights, state, out, bias, chances, behind, len(gates), WIDTH=width, num_warps=_WARPS)
    return chances, behind


@triton.jit
def _sigmoid(value):  # type: ignore[no-untyped-def]
    return 1.0 / (1.0 + tl.exp(-value))


@triton.jit
def _tanh(value):  # type: ignore[no-untyped-def]
    return 2.0 / (1.0 + tl.exp(-2.0 * value)) - 1.0


@triton.jit(do_not_specialize=("count",))
def _recur(  # type: ignore[no-untyped-def]
    gates, weights, state, out, bias, chances, behind, count, WIDTH: tl.constexpr
):
    unit = tl.arange(0, WIDTH)
    place = unit[:, None] * WIDTH + unit[None, :]  # units before, units after
    entry_weights, forget_weights = tl.load(weights + place), tl.load(weights + WIDTH * WIDTH + place)
    others = weights + 2 * WIDTH * WIDTH + place
    hidden, cell = tl.load(state + unit), tl.load(state + WIDTH + unit)
    said, level = tl.load(out + unit), tl.load(bias)
    own = gates + unit
    entry, forget = tl.load(own), tl.load(own + WIDTH)
    fresh, shown = tl.load(own + 2 * WIDTH), tl.load(own + 3 * WIDTH)
    frame = count * 0
    while frame < count:
        own = gates + tl.minimum(frame + 1, count - 1).to(tl.int64) * 4 * WIDTH + unit
        next_entry, next_forget = tl.load(own), tl.load(own + WIDTH)
        next_fresh, next_shown = tl.load(own + 2 * WIDTH), tl.load(own + 3 * WIDTH)
        heard = hidden[:, None]
        entry += tl.sum(entry_weights * heard, 0)
        forget += tl.sum(forget_weights * heard, 0)
        fresh += tl.sum(tl.load(others) * heard, 0)
        shown += tl.sum(tl.load(others + WIDTH * WIDTH) * heard, 0)
        cell = _sigmoid(forget) * cell + _sigmoid(entry) * _tanh(fresh)
        hidden = _sigmoid(shown) * _tanh(cell)
        tl.store(chances + frame, _sigmoid(tl.sum(tl.maximum(hidden, 0.0) * said, 0) + level))
        entry, forget, fresh, shown = next_entry, next_forget, next_fresh, next_shown
        frame += 1
    tl.store(behind + unit, hidden)
    tl.store(behind + WIDTH + unit, cell)
