"""What every engine that runs the two OCR networks offers, and the choice among the engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

STEP = 8
"""Pixels of a 48 pixel high line behind each of the recogniser's steps."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What the recogniser says of a batch: its best symbol at each step, how sure it is, and its features."""

    symbols: NDArray[np.int64]  # [n, T], 0 is CTC's blank
    confidences: NDArray[np.float32]  # [n, T]
    features: NDArray[np.float16] | None  # [n, T, d]


class OcrNetworks(Protocol):
    """A detector and a recogniser, loaded. Calls raise `MemoryError` when a batch does not fit."""

    characters: list[str]  # of the recogniser's symbols; the first is the blank
    pages_per_batch: int
    lines_per_batch: int

    def detect(self, pages: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, 3, H, W] to the probability [n, H, W] that a pixel belongs to the core of a line."""

    def recognise(self, lines: NDArray[np.float32]) -> Steps:
        """[n, 3, 48, W] to W / 8 steps."""

    def parameters(self) -> dict[str, int]:
        """Parameter counts by network."""
