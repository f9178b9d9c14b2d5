"""The two large parts of a decoding step as kernels of Triton for CUDA: attention of one token, and its choice.

Keys and values of all frames are most of what a step reads, and PyTorch reads them for every row of the batch. Most
rows have ended, or hold no window, for most of the steps: these kernels skip them, and read no further than a row's
position. A row's sums are taken in the same order whoever else is there.
"""

from __future__ import annotations

import logging
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from encoders.speech import torch_decoder

_FRAMES = 128  # of a tile of keys and values
_SYMBOLS = 4096  # of a tile of logits
_NOTHING = tl.constexpr(-1e30)

_LOG = logging.getLogger(__name__)


def attend(query: Tensor, keys: Tensor, values: Tensor, ended: Tensor, position: Tensor | None = None) -> Tensor:
    """See `torch_decoder.attend`; of rows that have ``ended`` it is 0."""
    count, heads, length, width = keys.shape
    made = torch.empty((count, 1, heads * width), dtype=query.dtype, device=query.device)
    _attend[count * heads,](
        query.reshape(count * heads, width), keys, values, ended, ended if position is None else position, made, length,
        width**-0.5, HEADS=heads, WIDTH=width, FRAMES=_FRAMES, UP_TO=position is not None, num_warps=4,
    )  # fmt: skip
    return made


def choose(logits: Tensor, vocabulary: int, banned: Tensor, first: Tensor, no_speech: int) -> tuple[Tensor, ...]:
    """See `torch_decoder.choose`."""
    count = len(logits)
    chosen = torch.empty(count, dtype=torch.int64, device=logits.device)
    best = torch.empty(count, dtype=torch.float32, device=logits.device)
    chance = torch.empty_like(best)
    _choose[count,](
        logits, banned, first, chosen, best, chance, logits.shape[1], vocabulary, no_speech,
        SYMBOLS=_SYMBOLS, num_warps=8,
    )  # fmt: skip
    return chosen, best, chance


@lru_cache(maxsize=8)
def are_right(device: torch.device, dtype: torch.dtype, heads: int, width: int, vocabulary: int) -> bool:
    """Whether the kernels compute here what PyTorch does; what speaks against it is logged."""
    try:
        compare(device, dtype, heads, width, vocabulary)
    except Exception as error:  # no compiler, another Triton, a card that it does not know
        _LOG.warning("speech is decoded without kernels of our own on %s: %s", device, error)
        return False
    return True


@torch.inference_mode()
def compare(device: torch.device, dtype: torch.dtype, heads: int, width: int, vocabulary: int) -> None:
    """Raise RuntimeError where the kernels and PyTorch differ."""
    draw = torch.Generator().manual_seed(0)

    def some(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw).to(device, dtype)

    ended = torch.tensor([False, True, False], device=device)
    for length, position in ((300, None), (90, 0), (90, 70)):
        query, keys, values = some(3, heads, 1, width), some(3, heads, length, width), some(3, heads, length, width)
        at = None if position is None else torch.tensor([position], device=device)
        seen = length if position is None else position + 1
        wanted = torch_decoder.attend(query, keys, values, ended, at)
        ours = attend(query, keys, values, ended, at)
        if not torch.allclose(ours[[0, 2]].float(), wanted[[0, 2]].float(), atol=5e-3, rtol=5e-3) or ours[1].any():
            raise RuntimeError(f"attention to {seen} of {length} frames is wrong")
    logits = 4 * some(3, vocabulary + 7)
    banned = torch.zeros(vocabulary, dtype=torch.uint8, device=device)
    banned[::5], banned[1::5] = 1, 2
    for first in (False, True):
        logits[:, 3] = 9.0
        ours = choose(logits, vocabulary, banned, torch.tensor([first], device=device), 3)
        wanted = torch_decoder.choose(logits, vocabulary, banned, torch.tensor([first], device=device), 3)
        alike = logits.gather(1, ours[0][:, None]) == logits.gather(1, wanted[0][:, None])
        if not (
            alike.all()
            and torch.allclose(ours[1], wanted[1], atol=1e-3)
            and torch.allclose(ours[2], wanted[2], rtol=1e-2)
        ):
            raise RuntimeError(f"another symbol is chosen, or a chance of it (first: {first})")


@triton.jit(do_not_specialize=("length",))
def _attend(  # type: ignore[no-untyped-def]
    query, keys, values, ended, position, made, length, scale,
    HEADS: tl.constexpr, WIDTH: tl.constexpr, FRAMES: tl.constexpr, UP_TO: tl.constexpr,
):  # fmt: skip
    mine = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, WIDTH)
    if tl.load(ended + mine // HEADS):
        tl.store(made + mine * WIDTH + column, tl.zeros([WIDTH], made.dtype.element_ty))
        return
    if UP_TO:
        count = tl.minimum(tl.load(position).to(tl.int32) + 1, length)
    else:
        count = length * 1
    asked = tl.load(query + mine * WIDTH + column).to(tl.float32) * scale
    most, total = scale * 0.0 + _NOTHING, scale * 0.0
    mean = tl.zeros([WIDTH], tl.float32)
    start = count * 0
    while start < count:
        place = start + tl.arange(0, FRAMES)
        inside = place < count
        there = mine * length * WIDTH + place[:, None] * WIDTH + column[None, :]
        key = tl.load(keys + there, mask=inside[:, None], other=0).to(tl.float32)
        value = tl.load(values + there, mask=inside[:, None], other=0).to(tl.float32)
        score = tl.where(inside, tl.sum(key * asked[None, :], 1), _NOTHING)
        highest = tl.maximum(most, tl.max(score, 0))
        share = tl.where(inside, tl.exp(score - highest), 0.0)
        fading = tl.exp(most - highest)
        total = total * fading + tl.sum(share, 0)
        mean = mean * fading + tl.sum(value * share[:, None], 0)
        most = highest
        start += FRAMES
    tl.store(made + mine * WIDTH + column, (mean / total).to(made.dtype.element_ty))


@triton.jit(do_not_specialize=("vocabulary", "no_speech"))
def _choose(  # type: ignore[no-untyped-def]
    logits, banned, first, chosen, best, chance, length, vocabulary, no_speech, SYMBOLS: tl.constexpr
):
    row = tl.program_id(0)
    mine = logits + row.to(tl.int64) * length
    allowed = tl.where(tl.load(first) != 0, 0, 1)
    most, total, symbol = allowed * 0.0 + _NOTHING, allowed * 0.0, allowed * 0
    most_of_all, total_of_all = allowed * 0.0 + _NOTHING, allowed * 0.0
    start = allowed * 0
    while start < vocabulary:
        place = start + tl.arange(0, SYMBOLS)
        inside = place < vocabulary
        level = tl.load(mine + place, mask=inside, other=0).to(tl.float32)
        level = tl.where(inside, level, _NOTHING)
        highest = tl.maximum(most_of_all, tl.max(level, 0))
        total_of_all = total_of_all * tl.exp(most_of_all - highest) + tl.sum(tl.exp(level - highest), 0)
        most_of_all = highest
        ban = tl.load(banned + place, mask=inside, other=2).to(tl.int32)
        level = tl.where(ban <= allowed, level, _NOTHING)
        here = tl.max(level, 0)
        symbol = tl.where(here > most, tl.min(tl.where(level == here, place, vocabulary), 0), symbol)
        highest = tl.maximum(most, here)
        total = total * tl.exp(most - highest) + tl.sum(tl.where(ban <= allowed, tl.exp(level - highest), 0.0), 0)
        most = highest
        start += SYMBOLS
    tl.store(chosen + row, tl.minimum(symbol, vocabulary - 1).to(tl.int64))  # of what is no number there is no largest
    tl.store(best + row, -tl.log(total))
    spoken = tl.load(mine + no_speech).to(tl.float32)
    tl.store(chance + row, tl.exp(spoken - most_of_all) / total_of_all)
