"""What the speech encoder asks of a whisper network, on whichever device it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

FRAMES_PER_SECOND = 50  # of the encoder's output: 1500 for 30 s


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was decoded from one window: text token ids, mean log probability, and the chance of no speech."""

    tokens: tuple[int, ...]
    log_probability: float
    no_speech: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """Times of the text tokens of one window: ``starts`` has one entry more than there are tokens, in seconds."""

    starts: NDArray[np.float64]  # [n + 1]
    probabilities: NDArray[np.float64]  # [n]


class WhisperEngine(Protocol):
    """A whisper network. ``encoded`` is opaque to callers, a batch of windows, made once and used by all the rest."""

    batch: int  # how many windows it likes to read together
    fits: int | None  # how many it can, since memory ran out over more

    def encode(self, windows: Sequence[NDArray[np.float32]]) -> Any:
        """Encode windows of up to 30 s, [n] float32 at 16 kHz."""

    def languages(self, encoded: Any) -> list[dict[str, float]]:
        """Probability of each language code, for each window."""

    def generate(self, encoded: Any, languages: Sequence[str], careful: bool = False) -> list[Hypothesis]:
        """Transcribe each window in its language. ``careful`` forbids repeated phrases: the second try after a loop."""

    def align(
        self, encoded: Any, language: str, tokens: Sequence[Sequence[int]], seconds: Sequence[float]
    ) -> list[Alignment]:
        """When each token was said, by the alignment heads' cross attention."""

    def select(self, encoded: Any, indices: Sequence[int]) -> Any:
        """Some windows of an encoded batch."""

    def features(self, encoded: Any) -> NDArray[np.float16]:
        """The encoder's output, [windows, 1500, d] float16."""

    def tokenizer(self, language: str) -> Tokenizer:
        """Text and token ids."""

    def shrink(self, count: int) -> None:
        """Memory ran out over so many windows: give back what was made for them; half of them fit from now on."""

    def parameters(self) -> int:
        """How many parameters the network has."""
