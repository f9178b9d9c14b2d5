"""The share of a card that this process was given, for whoever computes for it in another process."""

from __future__ import annotations

_share = 1.0


def set_card_share(share: float) -> None:
    """Note what the cluster's books say: of a card, from 0 to 1."""
    global _share
    _share = share


def card_share() -> float:
    """What was noted last; 1 when nothing was."""
    return _share
