"""The share of a card that this process was given, for whoever computes for it in another process, and the bound of an
allocator that keeps to a share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

GIB = 2**30
CONTEXT_GIB = 0.77
"""What CUDA itself takes for each process that uses a card (context, kernels, libraries): 0.76 read on an H100. No
allocator counts it, so it is added to what an actor needs and taken off its allocator's bound."""


class CardShare(NamedTuple):
    """What an actor was given of a card, from 0 to 1, and the GiB that the process needs which computes for it and for
    all others of its kind; 0 where that is not known."""

    part: float = 1.0
    together_gib: float = 0.0


_share = CardShare()


def set_card_share(part: float, together_gib: float = 0.0) -> None:
    """Note what the cluster's books say."""
    global _share
    _share = CardShare(part, together_gib)


def card_share() -> CardShare:
    """What was noted last; a whole card when nothing was."""
    return _share


def allocator_fraction(share: float, card: float) -> float:
    """Of a card of so many GiB, what the allocator of one process may take that was given this share of it."""
    return max(0.01, min(1.0, share - CONTEXT_GIB / card))


def shared_fraction(shares: Iterable[CardShare], card: float) -> float:
    """The same for a process that computes for several: what they were given together, or all that it needs before all
    of them have come and after some have gone: then their places are kept for them."""
    given = list(shares)
    needed = max((share.together_gib for share in given), default=0.0) / card
    return allocator_fraction(max(needed, sum(share.part for share in given)), card)


def card_index(device: str) -> int:
    """The number of a card that PyTorch's allocator asks for. An actor knows its only card as plain ``cuda``, which
    most of PyTorch takes and the allocator's bound refuses."""
    return int(device.partition(":")[2] or 0)


def bound_allocator(device: str, shares: Sequence[CardShare]) -> None:
    """Bound PyTorch's allocator to these shares of the card. Starts CUDA."""
    import torch

    card = torch.cuda.get_device_properties(device).total_memory / GIB
    torch.cuda.set_per_process_memory_fraction(shared_fraction(shares, card), card_index(device))
