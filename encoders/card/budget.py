"""The share of a card that this process was given, for whoever computes for it in another process, and the bound of an
allocator that keeps to a share."""

from __future__ import annotations

GIB = 2**30
CONTEXT_GIB = 0.77
"""What CUDA itself takes for each process that uses a card (context, kernels, libraries): 0.76 read on an H100. No
allocator counts it, so it is added to what an actor needs and taken off its allocator's bound."""

_share = 1.0


def set_card_share(share: float) -> None:
    """Note what the cluster's books say: of a card, from 0 to 1."""
    global _share
    _share = share


def card_share() -> float:
    """What was noted last; 1 when nothing was."""
    return _share


def allocator_fraction(share: float, card: float) -> float:
    """Of a card of so many GiB, what the allocator of one process may take when this share of it was given, to one
    actor or to several together."""
    return max(0.01, min(1.0, share - CONTEXT_GIB / card))


def card_index(device: str) -> int:
    """The number of a card that PyTorch's allocator asks for. An actor knows its only card as plain ``cuda``, which
    most of PyTorch takes and the allocator's bound refuses."""
    return int(device.partition(":")[2] or 0)


def bound_allocator(device: str, share: float) -> None:
    """Bound PyTorch's allocator to this share of the card. Starts CUDA."""
    import torch

    card = torch.cuda.get_device_properties(device).total_memory / GIB
    torch.cuda.set_per_process_memory_fraction(allocator_fraction(share, card), card_index(device))
