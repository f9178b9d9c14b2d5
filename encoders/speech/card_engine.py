"""Whisper, voices and voice activity in another process of this node, which computes for all actors of a card
(`encoders.card`)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.card.client import CardClient, Held, outliving
from encoders.card.service import Answer, ServiceSpec
from encoders.speech.activity import Activity, ActivityNetwork, Heard, Samples
from encoders.speech.engine import Alignment, Hypothesis
from encoders.speech.tokenizing import WhisperTokenizers
from encoders.speech.voices import Voices, VoiceWindows

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class CardEncoded:
    """Windows that the process has encoded; kept here too, to be encoded again should it end."""

    windows: Sequence[NDArray[np.float32]]
    held: Held
    generation: int  # of the process that holds it


@dataclass(frozen=True, slots=True)
class _Some:
    """Windows of an encoded batch; all of them without ``indices``."""

    encoded: CardEncoded
    indices: tuple[int, ...] | None = None


class CardEngine:
    """See `WhisperEngine`. Raises `CardLost` when the process ends over the same work twice."""

    fits: int | None = None

    def __init__(self, spec: ServiceSpec, folder: Path) -> None:
        self._client = CardClient(spec)
        self.tokenizer = WhisperTokenizers(folder)
        self.batch: int = self._client.facts["batch"]
        voices = self._client.facts["voices"]
        self.voices: Voices | None = CardVoices(self._client, **voices) if voices else None
        activity = self._client.facts["activity"]
        self.activity: Activity | None = CardActivity(self._client, spec, **activity) if activity else None

    def encode(self, windows: Sequence[NDArray[np.float32]]) -> _Some:
        """See `WhisperEngine`."""
        return _Some(outliving(lambda: CardEncoded(windows, *self._encode(windows))))

    def languages(self, encoded: _Some) -> list[dict[str, float]]:
        """See `WhisperEngine`."""
        found: list[dict[str, float]] = self._ask("languages", encoded)[0]
        return found

    def generate(self, encoded: _Some, languages: Sequence[str], careful: bool = False) -> list[Hypothesis]:
        """See `WhisperEngine`."""
        found: list[Hypothesis] = self._ask("careful" if careful else "generate", encoded, list(languages))[0]
        return found

    def align(
        self, encoded: _Some, language: str, tokens: Sequence[Sequence[int]], seconds: Sequence[float]
    ) -> list[Alignment]:
        """See `WhisperEngine`."""
        found: list[Alignment] = self._ask("align", encoded, language, list(tokens), list(seconds))[0]
        return found

    def select(self, encoded: _Some, indices: Sequence[int]) -> _Some:
        """See `WhisperEngine`."""
        before = encoded.indices
        return _Some(encoded.encoded, tuple(indices if before is None else (before[index] for index in indices)))

    def features(self, encoded: _Some) -> NDArray[np.float16]:
        """See `WhisperEngine`."""
        found: NDArray[np.float16] = self._ask("features", encoded)[1][0]
        return found

    def shrink(self, count: int) -> None:
        """See `WhisperEngine`."""
        self.fits = max(1, count // 2)
        outliving(lambda: self._client.ask("shrink", count)())

    def parameters(self) -> int:
        """See `WhisperEngine`."""
        return int(self._client.facts["parameters"])

    def _encode(self, windows: Sequence[NDArray[np.float32]]) -> tuple[Held, int]:
        held = self._client.hold()
        self._client.ask("upload", None, windows)()
        self._client.ask("encode", held.number)()
        return held, self._client.generation

    def _ask(self, verb: str, some: _Some, *further: Any) -> Any:
        """Ask about encoded windows; they are encoded again where the process that did has ended since."""
        encoded = some.encoded

        def asked() -> Any:
            if self._client.generation != encoded.generation:
                encoded.held, encoded.generation = self._encode(encoded.windows)
            chosen = (encoded.held.number, some.indices)
            return self._client.ask(verb, (chosen, *further) if further else chosen)()

        return outliving(asked)


class CardVoices:
    """See `Voices`."""

    def __init__(self, client: CardClient, seconds: float, parameters: int) -> None:
        self._client, self.seconds, self._parameters = client, seconds, parameters

    def __call__(self, regions: Sequence[tuple[NDArray[np.float32], float]]) -> list[VoiceWindows]:
        """See `Voices`."""
        samples, starts = [region for region, _ in regions], [start for _, start in regions]

        def heard() -> Answer:
            self._client.ask("sounds", None, samples)()
            return self._client.ask("voices_of", starts)()

        counts, (spans, embeddings) = outliving(heard)
        ends = np.cumsum(counts)[:-1]
        kept = zip(np.split(np.array(spans), ends), np.split(np.array(embeddings), ends), strict=True)
        return [VoiceWindows(*one) for one in kept]

    def parameters(self) -> int:
        """See `Voices`."""
        return self._parameters


class CardActivity:
    """See `Activity`. What fails there is heard here."""

    def __init__(self, client: CardClient, spec: ServiceSpec, together: int, parameters: int) -> None:
        self._client, self.together, self._parameters = client, together, parameters
        self._path = Path(spec.arguments["activity"])
        self._own: ActivityNetwork | None = None

    def hear(self, samples: Samples, state: NDArray[np.float32]) -> Heard:
        """See `Activity`."""

        def heard() -> Answer:
            self._client.ask("samples", None, [samples, state])()
            return self._client.ask("activity_of", None)()

        try:
            _, (probabilities, behind) = outliving(heard)
        except (MemoryError, RuntimeError) as error:
            _LOG.warning("voice activity is computed by this actor for once: %s", error)
            self._own = self._own or ActivityNetwork(self._path)
            alone: Heard = self._own.hear(samples, state)
            return alone
        return np.array(probabilities), np.array(behind)

    def parameters(self) -> int:
        """See `Activity`."""
        return self._parameters
