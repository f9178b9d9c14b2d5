"""How a sheet lies under the camera or runs through the scanner: where its lines stand then.

A turn alone is undone by the layout; what pulls labels and their amounts apart, as on real receipts, is a bent row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Warp:
    """How far the ends of rows sink against their middle, in shares of the page's width: by a turn, by a bend, and by
    a turn that is the other way round at the foot."""

    turn: float = 0.0
    bend: float = 0.0
    twist: float = 0.0

    @classmethod
    def of(cls, rng: np.random.Generator) -> Warp:
        """Half of the pages lie flat."""
        if rng.random() < 0.5:
            return cls()
        turn, bend, twist = rng.normal(0, (0.008, 0.005, 0.005))
        return cls(*(float(np.clip(value, -0.02, 0.02)) for value in (turn, bend, twist)))

    def bent(self, corners: NDArray[np.float32], width: float, height: float) -> NDArray[np.float32]:
        """Corners [4, 2] on a flat page of that size, moved up or down."""
        across, down = 2 * corners[:, 0] / width - 1, 2 * corners[:, 1] / height - 1
        sunk = width * (across * (self.turn + self.twist * down) + self.bend * across**2)
        moved = corners + np.stack([np.zeros_like(sunk), sunk], axis=1)
        return np.asarray(moved, np.float32)
