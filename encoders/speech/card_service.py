"""`SpeechCardService`: whisper, voices and voice activity of one process, for all actors that share its card
(`encoders.card`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.card.service import Answer, Session
from encoders.card.service import Asked as AskedByClient
from encoders.speech.activity import ActivityNetwork
from encoders.speech.decoders import Asked, Rows
from encoders.speech.device_activity import Sound, on_device
from encoders.speech.torch_encoder import Uploaded
from encoders.speech.torch_engine import TorchEngine
from encoders.speech.voices import Sounds, VoiceEncoder

_CUDA_ROWS, _ROWS = Rows(128, 32), Rows(8, 4)
"""Half a dozen clients' batches in step take a card little longer than one; a core takes as long as there are rows."""

HEARD_TOGETHER = 3750
"""Frames of a stream, two minutes: what goes to the card takes its thread as long for one second as for these."""

_FIRST = -1  # of a stream's priorities: its blocks go before those of other streams that wait for a place


class SpeechCardService:
    """The torch engine, the voices' network where there is a ``speaker`` checkpoint, and silero's where there is an
    ``activity`` one and the card computes it rightly. What clients have windows
    decoded for waits and is decoded together, in ``rows`` at once, plain and careful. ``apart``: by a thread and on a
    stream of its own, so that the loop over tokens holds up nothing else."""

    def __init__(
        self,
        *,
        device: str,
        checkpoint: str,
        threads: int,
        speaker: str | None = None,
        activity: str | None = None,
        window: float,
        hop: float,
        rows: Sequence[int] | None = None,
        apart: bool = True,
    ) -> None:
        torch.set_num_threads(threads)
        cuda = torch.device(device).type == "cuda"
        self.apart = apart
        self.stream = torch.cuda.Stream(device, priority=_FIRST) if cuda and apart else None
        fixed = Rows(*rows) if rows else _CUDA_ROWS if cuda else _ROWS
        self.engine = TorchEngine(Path(checkpoint), device=device, threads=threads, rows=fixed, stream=self.stream)
        self.voices = VoiceEncoder(Path(speaker), window=window, hop=hop, device=device) if speaker else None
        self.activity = on_device(ActivityNetwork(Path(activity)), device) if activity else None
        self.engine.prepare()  # while nobody else uses the card

    def facts(self) -> dict[str, Any]:
        """See `Service`."""
        voices = self.voices and {"seconds": self.voices.seconds, "parameters": self.voices.parameters()}
        activity = self.activity and {"together": HEARD_TOGETHER, "parameters": self.activity.parameters()}
        own = {"batch": self.engine.batch, "parameters": self.engine.parameters()}
        return {**own, "voices": voices, "activity": activity}

    def session(self) -> SpeechCardSession:
        """See `Service`."""
        return SpeechCardSession(self)


class _Kept(NamedTuple):
    """Encoded windows."""

    encoded: torch.Tensor
    made: torch.cuda.Event | None  # once they are there, for other streams than theirs


class SpeechCardSession(Session):
    """Encoded windows of one client."""

    moving = frozenset({"upload", "sounds", "samples"})
    together = frozenset({"generate", "careful"})

    def __init__(self, service: SpeechCardService) -> None:
        super().__init__()
        self._engine, self._voices, self._stream = service.engine, service.voices, service.stream
        self.apart = service.apart
        self._uploaded: Uploaded | None = None
        self._sound: Sounds | None = None
        self._activity = service.activity
        self._next: Sound | None = None

    def room(self, verb: str) -> int:
        """See `Session`: windows."""
        rows = self._engine.decoders.rows
        return 1 if rows is None else rows[verb == "careful"]

    def size(self, verb: str, arguments: Any) -> int:
        """See `Session`: windows."""
        return len(arguments[1])

    @torch.inference_mode()
    def begin_together(self, verb: str, asked: Sequence[AskedByClient]) -> Sequence[Callable[[], Answer]]:
        """See `Session`: decode the windows of all."""
        with self._decoding():
            some = [self._to_decode(one.session, *one.arguments) for one in asked]
            begun = self._engine.decoders.begin(some, verb == "careful")
        return [partial(_alone, finish) for finish in begun]

    def _to_decode(self, session: Session, chosen: Any, languages: Sequence[str]) -> Asked:
        """Windows that are kept for somebody, for the stream that decodes and is the current one."""
        number, indices = chosen
        encoded, made = session.kept[number]
        if made is not None and self._stream is not None:
            self._stream.wait_event(made)
            encoded.record_stream(self._stream)
        return Asked(self._some(encoded, indices), languages)

    def _decoding(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _some(self, encoded: torch.Tensor, indices: Sequence[int] | None) -> torch.Tensor:
        return encoded if indices is None else self._engine.select(encoded, indices)

    def _chosen(self, number: int, indices: Sequence[int] | None) -> torch.Tensor:
        return self._some(self.kept[number].encoded, indices)

    def _upload(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        self._uploaded = self._engine.upload(arrays)
        return lambda: (None, ())

    def _encode(self, number: int, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        assert self._uploaded is not None
        uploaded, self._uploaded = self._uploaded, None
        encoded = self._engine.encode_uploaded(uploaded)
        made = None
        if self._stream is not None:
            made = torch.cuda.Event()
            made.record(torch.cuda.current_stream(encoded.device))
        self.kept[number] = _Kept(encoded, made)
        return lambda: (None, ())

    def _languages(self, chosen: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        return partial(_alone, self._engine.hearing(self._chosen(*chosen)))

    def _align(self, arguments: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        chosen, language, tokens, seconds = arguments
        return partial(_alone, self._engine.aligning(self._chosen(*chosen), language, tokens, seconds))

    def _features(self, chosen: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        coming = self._engine.fetch_features(self._chosen(*chosen))
        return lambda: (None, coming.wait())

    def _sounds(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        assert self._voices is not None
        self._sound = self._voices.upload(arrays)
        return lambda: (None, ())

    def _voices_of(self, starts: Sequence[float], arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        assert self._voices is not None and self._sound is not None
        sound, self._sound = self._sound, None
        finish = self._voices.begin(sound, starts)

        def found() -> Answer:
            heard = finish()
            spans = [one.spans for one in heard]
            return [len(one) for one in spans], [
                np.concatenate(spans),
                np.concatenate([one.embeddings for one in heard]),
            ]

        return found

    def _samples(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        assert self._activity is not None
        samples, state = arrays
        self._next = self._activity.upload(samples, state)
        return lambda: (None, ())

    def _activity_of(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        assert self._activity is not None and self._next is not None
        sound, self._next = self._next, None
        finish = self._activity.begin(sound)
        return lambda: (None, finish())

    def _shrink(self, count: int, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        self._engine.shrink(count)
        return lambda: (None, ())


def _alone(finish: Callable[[], Any]) -> Answer:
    """An answer without arrays."""
    return finish(), ()
