"""The OCR networks in another process of this node, which computes for all actors of a card (`encoders.card`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.card.client import CardClient, Held
from encoders.card.service import ServiceSpec
from encoders.layout.runs import Look
from encoders.ocr.config import DetectionConfig
from encoders.ocr.cropper import Crop, Cropper, Grey, Image, Marked, PrintedCrop, Sheet
from encoders.ocr.detection import network_size
from encoders.ocr.geometry import Corners
from encoders.ocr.networks import ALL, Maps, Steps
from encoders.ocr.script_engine import Scores


class _Sheet(NamedTuple):
    """A page that the process holds."""

    held: Held
    height: int
    width: int


class _Scaled(NamedTuple):
    """A page as it is to be scaled there."""

    sheet: _Sheet
    config: DetectionConfig
    shape: tuple[int, int, int, int]


class _Line(NamedTuple):
    """A crop that the process holds: which of a cut."""

    cut: Held
    number: int


class CardNetworks:
    """See `OcrNetworks`. Calls and what they return raise `CardLost` when the process ends."""

    def __init__(self, spec: ServiceSpec) -> None:
        self._client = CardClient(spec)
        facts = self._client.facts
        self.characters: dict[str, list[str]] = facts["characters"]
        self.pages_at_once: int = facts["pages_at_once"]
        self.pages_per_batch: int = facts["pages_per_batch"]
        self.line_batches: tuple[int, ...] = facts["line_batches"]
        self._parameters: dict[str, int] = facts["parameters"]
        self.cropper: Cropper = CardCropper(self._client)
        self.scripts = CardScripts(self._client, self._parameters.pop("script"))

    def detect(self, pages: Sequence[_Scaled]) -> Callable[[], Maps]:
        """See `OcrNetworks`."""
        coming = self._client.ask("detect", ([page.sheet.held.number for page in pages], pages[0].config))

        def maps() -> Maps:
            came = coming()[1]
            return came[0] if len(came) == 1 else np.concatenate(came)  # in parts when memory ran out over all

        return maps

    def recognise(self, lines: Sequence[_Line], alphabet: str = ALL) -> Callable[[], Steps]:
        """See `OcrNetworks`."""
        coming = self._client.ask("recognise", (lines[0].cut.number, [line.number for line in lines], alphabet))

        def steps() -> Steps:
            symbols, confidences, *features = coming()[1]
            return Steps(symbols, confidences, features[0] if features else None)

        return steps

    def parameters(self) -> dict[str, int]:
        """See `OcrNetworks`."""
        return self._parameters


class CardCropper:
    """See `Cropper`."""

    def __init__(self, client: CardClient) -> None:
        self._client = client

    def sheet(self, image: Image) -> Sheet:
        """See `Cropper`."""
        held = self._client.hold()
        self._client.ask("sheet", held.number, [image])()
        return _Sheet(held, *image.shape[:2])

    def turned(self, sheet: Sheet, degrees: int) -> Sheet:
        """See `Cropper`."""
        held = self._client.hold()
        self._client.ask("turned", (held.number, sheet.held.number, degrees))()
        sides = (sheet.height, sheet.width) if degrees == 180 else (sheet.width, sheet.height)
        return _Sheet(held, *sides)

    def scaled(self, sheet: Sheet, config: DetectionConfig) -> _Scaled:
        """See `Cropper`."""
        return _Scaled(sheet, config, (1, 3, *network_size(sheet.height, sheet.width, config)))

    def scaled_all(self, sheets: Sequence[Sheet], config: DetectionConfig) -> list[_Scaled]:
        """See `Cropper`."""
        return [self.scaled(sheet, config) for sheet in sheets]

    def cut(self, pages: Sequence[Marked]) -> Callable[[], Sequence[Sequence[Crop]]]:
        """See `Cropper`."""
        corners, counts = _marked(pages)
        if not corners:
            return lambda: [[] for _ in pages]
        held = self._client.hold()
        coming = self._client.ask("cut", (held.number, counts), [np.stack(corners)])

        def crops() -> list[list[Crop]]:
            widths, (printed,) = coming()
            lines = enumerate(zip(widths, accumulate(widths)))
            made = iter([PrintedCrop(_Line(held, i), printed[end - width : end]) for i, (width, end) in lines])
            return [[next(made) for _ in range(count)] for _, count in counts]

        return crops

    def greys(self, pages: Sequence[Marked]) -> Callable[[], list[list[Grey]]]:
        """See `Cropper`."""
        corners, counts = _marked(pages)
        if not corners:
            return lambda: [[] for _ in pages]
        coming = self._client.ask("greys", counts, [np.stack(corners)])

        def greys() -> list[list[Grey]]:
            made = iter(coming()[1])
            return [[next(made) for _ in range(count)] for _, count in counts]

        return greys

    def stack(self, lines: Sequence[_Line]) -> Sequence[_Line]:
        """See `Cropper`."""
        return lines

    def ink(self, looks: Sequence[tuple[Sheet, Look]]) -> Callable[[], NDArray[np.uint8] | None]:
        """See `Cropper`."""
        coming = self._client.ask("ink", [(sheet.held.number, look) for sheet, look in looks])

        def ink() -> NDArray[np.uint8] | None:
            came = coming()[1]
            return came[0] if came else None

        return ink


def _marked(pages: Sequence[Marked]) -> tuple[list[Corners], list[tuple[int, int]]]:
    """The corners of all lines, and for each page the number of its sheet and how many lines it has."""
    sheets: list[tuple[_Sheet, Sequence[Corners]]] = list(pages)
    return [line for _, lines in sheets for line in lines], [(sheet.held.number, len(lines)) for sheet, lines in sheets]


class CardScripts:
    """See `script.Engine`."""

    def __init__(self, client: CardClient, parameters: int) -> None:
        self._client, self._parameters = client, parameters

    def __call__(self, windows: NDArray[np.uint8]) -> Callable[[], Scores]:
        """See `script.Engine`."""
        coming = self._client.ask("script", None, [windows])

        def scores() -> Scores:
            scored, turned = coming()[1]
            return scored, turned

        return scores

    def parameters(self) -> int:
        """See `script.Engine`."""
        return self._parameters
