"""The stub encoder: one short line on every page of the part, without opening the file."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.stub.config import StubConfig
from encoders.base import MediaInput, Perception
from encoders.results import DocumentResult, Line, Page, Word, quad

_BOX = quad(0, 0, 100, 10)
_LINE = Line("a line", _BOX, 1.0, (Word("a", _BOX, 1.0), Word("line", _BOX, 1.0)))


class StubEncoder:
    """Follows `encoders.base.Encoder`."""

    name = "ocr"

    def __init__(self, config: StubConfig) -> None:
        self.config = config

    def fetch(self, device: str = "cpu", progress: object = None) -> None:
        """Nothing to fetch."""

    def load(self, device: str = "cpu", *, lazily: bool = False) -> None:
        """Nothing to load."""

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        """One perception per part."""
        return [self._read(part) for part in parts]

    def _read(self, part: MediaInput) -> Perception:
        numbers = range(int(part.start) + 1, int(part.stop or 0) + 1)
        pages = tuple(Page(number, 100, 100, "text_layer", "a line", (_LINE,)) for number in numbers)
        return Perception(DocumentResult(pages))

    def fingerprint(self) -> str:
        """Constant."""
        return "stub-1"

    def parameters(self) -> dict[str, int]:
        """None."""
        return {}

    def close(self) -> None:
        """Nothing to close."""
