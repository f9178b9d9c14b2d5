"""Services for tests of the process on a card."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from encoders.card.service import Answer
from encoders.ocr.card_service import OcrCardService, OcrCardSession
from encoders.ocr.torch_cropper import TorchCropper
from encoders.speech.card_service import SpeechCardService, SpeechCardSession


class OcrAsOnACard(OcrCardService):
    """The OCR networks batched as for a GPU, on a CPU; ends itself over the first batch of lines that the
    file ``dies_once`` is not there for, and over every page as high as ``deadly`` says."""

    def __init__(self, *, dies_once: str, deadly: int = 0, **arguments: Any) -> None:
        super().__init__(**arguments)
        networks: Any = self.networks
        networks.pages_at_once, networks.line_batches = 2, (1, 2, 4)
        networks.cropper = TorchCropper(torch.device("cpu"), torch.float32, networks.line_batches)
        self._dies_once, self._deadly = Path(dies_once), deadly

    def session(self) -> OcrCardSession:
        session = super().session()
        begin = session.begin

        def dying(verb: str, arguments: Any, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
            if verb == "recognise" and not self._dies_once.exists():
                self._dies_once.touch()
                os._exit(9)
            if verb == "sheet" and arrays[0].shape[0] == self._deadly:
                os._exit(9)
            return begin(verb, arguments, arrays)

        session.begin = dying  # type: ignore[method-assign]
        return session


class SpeechEnding(SpeechCardService):
    """Speech, an end when asked for it, and no memory for more than three windows or for a single frame."""

    def session(self) -> SpeechCardSession:
        return _EndingSession(self)


class _EndingSession(SpeechCardSession):
    def _encode(self, number: int, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        if self._uploaded is not None and len(self._uploaded.lengths) > 3:
            raise MemoryError("four windows are too many")
        return super()._encode(number, arrays)

    def _activity_of(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        if self._next is not None and len(self._next.samples) < 1000:
            raise MemoryError("one frame is too few")
        return super()._activity_of(arguments, arrays)

    def _end(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        os._exit(9)
