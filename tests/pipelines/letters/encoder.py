"""The letters encoder."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from encoders.base import MediaInput, Perception
from encoders.failures import Failure, FailureCategory
from encoders.results import DocumentResult, Line, Page, quad
from tests.pipelines.letters.config import LettersConfig


class LettersEncoder:
    """One page per part, with the first line of the file on it."""

    name = "ocr"

    def __init__(self, config: LettersConfig) -> None:
        self.config = config

    def fetch(self, device: str = "cpu", progress: object = None) -> None:
        pass

    def load(self, device: str = "cpu", *, lazily: bool = False) -> None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        with self.config.calls.with_name("loads").open("a") as loads:
            loads.write(f"{device} {visible}\n")

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        return [self._read(part) for part in parts]

    def _read(self, part: MediaInput) -> Perception:
        with self.config.calls.open("a") as calls:
            calls.write(f"{part.uri}\n")
        with self.config.calls.with_name("readers").open("a") as readers:
            readers.write(f"{os.getpid()}\n")
        text = self._text(part)
        time.sleep(self.config.seconds)
        if text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "raise":
            raise ValueError("an encoder should not do this")
        if text == "fail":
            return Perception(None, failures=(Failure(FailureCategory.CORRUPT, "open", "it says so"),))
        line = Line(text, quad(0, 0, 10, 10), 1.0)
        pages = tuple(
            Page(number + 1, 100, 100, "text_layer", text, (line,))
            for number in range(int(part.start), int(part.stop or 1))
        )
        return Perception(DocumentResult(pages), seconds={"open": 0.001}, networks=frozenset({"letters"}))

    def _text(self, part: MediaInput) -> str:
        assert part.path is not None
        return part.path.read_text().strip().splitlines()[0]

    def fingerprint(self) -> str:
        return self.config.checkpoint

    def parameters(self) -> dict[str, int]:
        return {"letters": 26}

    def close(self) -> None:
        pass


class PicturesEncoder(LettersEncoder):
    """The same for images, which say nothing."""

    name = "object_detection"

    def _text(self, part: MediaInput) -> str:
        return "a picture"
