"""How a stage's learning rates rise and fall with the share of its time that has passed."""

from __future__ import annotations

import math

_BEGINNING = 0.1
"""Of the peak, at the first step: at nothing the steps until the clock is read again would learn nothing."""


def factor(share: float, warmup: float) -> float:
    """Of the peak rates, where ``share`` of a stage has passed: a linear rise over ``warmup`` of it, beneath half a
    cosine that ends at nothing."""
    rise = min(1.0, _BEGINNING + (1 - _BEGINNING) * share / warmup) if warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
