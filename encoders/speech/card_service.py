"""`SpeechCardService`: whisper and the voices of one process, for all actors that share its card (`encoders.card`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.card.service import Answer, Session
from encoders.speech.torch_engine import TorchEngine, Uploaded
from encoders.speech.voices import VoiceEncoder


class SpeechCardService:
    """The torch engine, and the voices' network where there is a ``speaker`` checkpoint."""

    def __init__(
        self, *, device: str, checkpoint: str, threads: int, speaker: str | None = None, window: float, hop: float
    ) -> None:
        torch.set_num_threads(threads)
        self.engine = TorchEngine(Path(checkpoint), device=device, threads=threads)
        self.voices = VoiceEncoder(Path(speaker), window=window, hop=hop, device=device) if speaker else None

    def facts(self) -> dict[str, Any]:
        """See `Service`."""
        voices = self.voices and {"seconds": self.voices.seconds, "parameters": self.voices.parameters()}
        return {"batch": self.engine.batch, "parameters": self.engine.parameters(), "voices": voices}

    def session(self) -> SpeechCardSession:
        """See `Service`."""
        return SpeechCardSession(self.engine, self.voices)


class SpeechCardSession(Session):
    """Encoded windows of one client."""

    moving = frozenset({"upload"})

    def __init__(self, engine: TorchEngine, voices: VoiceEncoder | None) -> None:
        super().__init__()
        self._engine, self._voices = engine, voices
        self._uploaded: Uploaded | None = None

    def _chosen(self, number: int, indices: Sequence[int] | None) -> torch.Tensor:
        encoded = self.kept[number]
        return encoded if indices is None else self._engine.select(encoded, indices)

    def _upload(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        self._uploaded = self._engine.upload(arrays)
        return lambda: (None, ())

    def _encode(self, number: int, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        assert self._uploaded is not None
        uploaded, self._uploaded = self._uploaded, None
        self.kept[number] = self._engine.encode_uploaded(uploaded)
        return lambda: (None, ())

    def _languages(self, chosen: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        found = self._engine.languages(self._chosen(*chosen))
        return lambda: (found, ())

    def _generate(self, arguments: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        chosen, languages, careful = arguments
        found = self._engine.generate(self._chosen(*chosen), languages, careful)
        return lambda: (found, ())

    def _align(self, arguments: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        chosen, language, tokens, seconds = arguments
        aligning = self._engine.aligning(self._chosen(*chosen), language, tokens, seconds)
        return lambda: (aligning(), ())

    def _features(self, chosen: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        features = self._engine.features(self._chosen(*chosen))
        return lambda: (None, [features])

    def _voices_of(self, starts: Sequence[float], arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        assert self._voices is not None
        heard = self._voices(list(zip(arrays, starts, strict=True)))
        spans = [one.spans for one in heard]
        return lambda: (
            [len(one) for one in spans],
            [np.concatenate(spans), np.concatenate([one.embeddings for one in heard])],
        )

    def _shrink(self, count: int, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        self._engine.shrink(count)
        return lambda: (None, ())
