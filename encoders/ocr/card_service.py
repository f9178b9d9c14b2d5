"""`OcrCardService`: the OCR networks of one process, for all actors that share its card (`encoders.card`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders import transfers
from encoders.card.service import Answer, Session
from encoders.layout.runs import Look
from encoders.ocr.batching import halving
from encoders.ocr.config import DetectionConfig
from encoders.ocr.cropper import Marked
from encoders.ocr.networks import OcrNetworks, Steps
from encoders.ocr.script_engine import ScriptEngine

_Pages = list[tuple[int, int]]
"""Numbers of sheets, and how many lines each has."""


class OcrCardService:
    """Detector, recogniser and script network, loaded as torch runs them."""

    def __init__(
        self, *, device: str, detector: str, recogniser: str, features: str, threads: int,
        block_waits: bool = False,
    ) -> None:  # fmt: skip
        import cv2

        from encoders.ocr.networks_torch import TorchNetworks

        if block_waits and device.startswith("cuda"):
            transfers.block_waits(device)

        cv2.setNumThreads(threads)
        paths = Path(detector), Path(recogniser)
        self.networks: OcrNetworks = TorchNetworks(*paths, device=device, features=features, threads=threads)
        self.scripts = ScriptEngine(device)

    def facts(self) -> dict[str, Any]:
        """See `Service`: what `OcrNetworks` has beside its methods."""
        return {
            "characters": self.networks.characters,
            "pages_at_once": self.networks.pages_at_once,
            "pages_per_batch": self.networks.pages_per_batch,
            "line_batches": self.networks.line_batches,
            "parameters": {**self.networks.parameters(), "script": self.scripts.parameters()},
        }

    def session(self) -> OcrCardSession:
        """See `Service`."""
        return OcrCardSession(self.networks, self.scripts)


class OcrCardSession(Session):
    """Pages and crops of one client."""

    moving = frozenset({"sheet"})

    def __init__(self, networks: OcrNetworks, scripts: ScriptEngine) -> None:
        super().__init__()  # sheets, and the pixels of each cut
        self._networks, self._scripts = networks, scripts

    def _sheet(self, number: int, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        self.kept[number] = self._networks.cropper.sheet(arrays[0])
        return lambda: (None, ())

    def _turned(self, arguments: tuple[int, int, int], arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        number, old, degrees = arguments
        self.kept[number] = self._networks.cropper.turned(self.kept[old], degrees)
        return lambda: (None, ())

    def _detect(
        self, arguments: tuple[list[int], DetectionConfig], arrays: Sequence[NDArray[Any]]
    ) -> Callable[[], Answer]:
        numbers, config = arguments
        cropper = self._networks.cropper
        waiting = halving(
            lambda some: [self._networks.detect(cropper.scaled_all([self.kept[number] for number in some], config))],
            numbers,
        )
        return lambda: (None, [maps() for maps in waiting])

    def _cut(self, arguments: tuple[int, _Pages], arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        number, pages = arguments
        coming = self._networks.cropper.cut(self._marked(pages, arrays[0]))

        def printed() -> Answer:
            crops = [crop for page in coming() for crop in page]
            self.kept[number] = [crop.pixels for crop in crops]
            # As one array: each that travels takes its receiver 12 microseconds.
            return [crop.width for crop in crops], [np.concatenate([crop.printed for crop in crops])]

        return printed

    def _greys(self, pages: _Pages, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        coming = self._networks.cropper.greys(self._marked(pages, arrays[0]))
        return lambda: (None, [grey for page in coming() for grey in page])

    def _marked(self, pages: _Pages, corners: NDArray[np.float32]) -> list[Marked]:
        ends = np.cumsum([count for _, count in pages])[:-1]
        return [(self.kept[sheet], list(some)) for (sheet, _), some in zip(pages, np.split(corners, ends), strict=True)]

    def _recognise(self, arguments: tuple[int, list[int], str], arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        number, lines, alphabet = arguments
        pixels, stack = self.kept[number], self._networks.cropper.stack
        waiting = halving(
            lambda some: [(len(some), self._networks.recognise(stack([pixels[i] for i in some]), alphabet))], lines
        )

        def steps() -> Answer:
            came = _joined([_first(wait(), count) for count, wait in waiting])
            return None, [came.symbols, came.confidences, *([] if came.features is None else [came.features])]

        return steps

    def _ink(self, arguments: list[tuple[int, Look]], arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        coming = self._networks.cropper.ink([(self.kept[number], look) for number, look in arguments])

        def ink() -> Answer:
            found = coming()
            return None, () if found is None else (found,)

        return ink

    def _script(self, arguments: None, arrays: Sequence[NDArray[Any]]) -> Callable[[], Answer]:
        coming = self._scripts(arrays[0])
        return lambda: (None, coming())


def _first(steps: Steps, count: int) -> Steps:
    """Without what a batch was filled up with."""
    features = None if steps.features is None else steps.features[:count]
    return Steps(steps.symbols[:count], steps.confidences[:count], features)


def _joined(parts: Sequence[Steps]) -> Steps:
    """One batch of several, whose lines end with blanks."""
    if len(parts) == 1:
        return parts[0]
    most = max(part.symbols.shape[1] for part in parts)

    def together(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        padded = [np.pad(array, [(0, 0), (0, most - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]) for array in arrays]
        return np.concatenate(padded)

    features = [part.features for part in parts if part.features is not None]
    return Steps(
        together([part.symbols for part in parts]),
        together([part.confidences for part in parts]),
        together(features) if features else None,
    )
