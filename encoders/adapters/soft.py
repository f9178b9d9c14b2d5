"""Soft tokens as they travel; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.base import FeatureSpan


@dataclass(frozen=True, slots=True)
class SoftTokens:
    """Soft tokens [m, d_model] float16 of one perception, and which rows belong to which item of which page."""

    vectors: NDArray[np.float16]
    spans: tuple[FeatureSpan, ...]

    def __len__(self) -> int:
        return len(self.vectors)

    def of(self, page: int, items: Sequence[int]) -> NDArray[np.float16]:
        """The soft tokens [k, d_model] of some items of a page, in the order they were read."""
        wanted = set(items)
        rows = [self.vectors[s.start : s.stop] for s in self.spans if s.page == page and s.item in wanted]
        return np.concatenate(rows) if rows else self.vectors[:0]
