"""What every engine that runs the two OCR networks offers, and the choice among the engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.ocr.cropper import Cropper

STEP = 8
"""Pixels of a 48 pixel high line behind each of the recogniser's steps."""


ALL, WESTERN = "all", "western"
"""The recogniser's alphabets: all 18,710 symbols, and the 1,750 of them that are not East Asian.

On a line known to be Latin the classifier's other columns are left out: a third of a step's time, and no line of
asterisks is read as Chinese any more.
"""


FIRST_EAST_ASIAN = "\u2e80"
"""Where the East Asian blocks of Unicode begin."""


def western_symbols(characters: list[str]) -> list[int]:
    """Indices of the symbols before the East Asian blocks of Unicode, the blank and the space among them."""
    return [i for i, character in enumerate(characters) if all(c < FIRST_EAST_ASIAN for c in character)]


@dataclass(frozen=True, slots=True)
class Steps:
    """What the recogniser says of a batch: its best symbol at each step, how sure it is, and its features."""

    symbols: NDArray[np.int64]  # [n, T], 0 is CTC's blank
    confidences: NDArray[np.float32]  # [n, T]
    features: NDArray[np.float16] | None  # [n, T, d]


Maps = NDArray[np.float32]
"""[n, H, W]: the probability that a pixel belongs to the core of a line."""


class OcrNetworks(Protocol):
    """A detector and a recogniser, loaded. Calls raise `MemoryError` when a batch does not fit.

    Both return what waits for the result: meanwhile a GPU computes, and the caller looks at an earlier one.
    """

    characters: dict[str, list[str]]  # the recogniser's symbols by alphabet; the first is the blank
    cropper: Cropper  # makes the inputs of both
    pages_at_once: int  # that share batches of lines
    pages_per_batch: int
    line_batches: tuple[int, ...]  # how many lines a batch is computed with, ascending

    def detect(self, pages: Sequence[Any]) -> Callable[[], Maps]:
        """n pages of one size [n, 3, H, W], as ``cropper`` scales them: together or in parts."""

    def recognise(self, lines: Any, alphabet: str = ALL) -> Callable[[], Steps]:
        """[n, 3, 48, W], as ``cropper`` stacked them, to W / 8 steps, among the symbols of one alphabet."""

    def parameters(self) -> dict[str, int]:
        """Parameter counts by network."""
