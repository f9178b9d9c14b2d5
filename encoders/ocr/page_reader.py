"""Pages as pixels to lines with text: detection, turning, recognition."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from encoders.ocr import crops as cropping
from encoders.ocr import detection
from encoders.ocr.batching import halving, require_finite
from encoders.ocr.config import OcrConfig
from encoders.ocr.decoding import Reading, as_line, decode
from encoders.ocr.detection import FoundLine
from encoders.ocr.geometry import TALL, Corners, read_downwards, read_upwards, size_of, turn_image
from encoders.ocr.networks import STEP, OcrNetworks
from encoders.ocr.orientation import page_rotation
from encoders.results import Line

Image = NDArray[np.uint8]


@dataclass(slots=True)
class ReadPage:
    """A page as read: ``image`` is the turned one, lines are unordered and in its pixels."""

    image: Image
    rotation: int
    lines: list[Line] = field(default_factory=list)
    features: list[NDArray[np.float16]] = field(default_factory=list)  # per line [steps, d], empty without features
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Read:
    """One crop as recognised."""

    corners: Corners
    crop: Image
    reading: Reading
    features: NDArray[np.float16] | None


class PageReader:
    """Reads pages with the two networks. Raises `MediaError` when a network fails on one."""

    def __init__(self, networks: OcrNetworks, config: OcrConfig) -> None:
        self._networks = networks
        self._config = config

    def read(self, images: Sequence[Image]) -> list[ReadPage]:
        """Each image [h, w, 3] RGB as lines; several at once only share the recogniser's batches."""
        started = time.perf_counter()
        found = self._detect(images)
        each = (time.perf_counter() - started) / max(1, len(images))
        pages = [ReadPage(image, 0, seconds={"detect": each}) for image in images]
        if self._config.turn_pages:
            for number, page in enumerate(pages):
                started = time.perf_counter()
                if degrees := page_rotation(found[number], self._scorer(page.image)):
                    page.image, page.rotation = turn_image(page.image, degrees), degrees
                    found[number] = self._detect([page.image])[0]
                page.seconds["turn"] = time.perf_counter() - started
        self._recognise_pages(pages, found)
        return pages

    def _detect(self, images: Sequence[Image]) -> list[list[FoundLine]]:
        """Lines of each image; images of one network size share batches."""
        config = self._config.detection
        inputs = [detection.network_input(image, config) for image in images]
        found: list[list[FoundLine]] = [[] for _ in images]
        for shape in dict.fromkeys(array.shape for array in inputs):
            alike = [index for index, array in enumerate(inputs) if array.shape == shape]
            for start in range(0, len(alike), self._networks.pages_per_batch):
                batch = alike[start : start + self._networks.pages_per_batch]
                maps = halving(
                    lambda part: list(self._networks.detect(np.concatenate([inputs[i] for i in part]))), batch
                )
                for index, probability in zip(batch, maps):
                    require_finite(probability, "line detector")
                    height, width = images[index].shape[:2]
                    found[index] = detection.find_lines(probability, height, width, config)
        return found

    def _scorer(self, image: Image):  # type: ignore[no-untyped-def]
        def score(quads: Sequence[Corners]) -> list[float]:
            return [read.reading.confidence for read in self._recognise([(image, corners) for corners in quads])]

        return score

    def _recognise_pages(self, pages: list[ReadPage], found: list[list[FoundLine]]) -> None:
        """Fill in lines and features; the time is shared out by line."""
        started = time.perf_counter()
        jobs = [(number, line.corners) for number, lines in enumerate(found) for line in lines]
        reads = self._recognise_either_way([(pages[number].image, corners) for number, corners in jobs])
        for (number, _), read in zip(jobs, reads):
            if read.reading.confidence < self._config.min_confidence or not read.reading.characters:
                continue
            pages[number].lines.append(as_line(read.reading, read.crop, read.corners))
            if read.features is not None:
                pages[number].features.append(read.features)
        each = (time.perf_counter() - started) / max(1, len(jobs))
        for page, lines in zip(pages, found):
            page.seconds["recognise"] = each * len(lines)

    def _recognise_either_way(self, jobs: list[tuple[Image, Corners]]) -> list[_Read]:
        """Recognise; a line that runs up or down an upright page is read both ways and the surer one kept."""
        tall = [size_of(corners)[1] >= TALL * size_of(corners)[0] for _, corners in jobs]
        both = [
            (image, turn(corners))
            for (image, corners), is_tall in zip(jobs, tall)
            for turn in ((read_upwards, read_downwards) if is_tall else (_as_it_is,))
        ]
        reads = iter(self._recognise(both))
        chosen = []
        for is_tall in tall:
            read = next(reads)
            if is_tall:
                read = max(read, next(reads), key=lambda r: r.reading.confidence)
            chosen.append(read)
        return chosen

    def _recognise(self, jobs: Sequence[tuple[Image, Corners]]) -> list[_Read]:
        """Recognise quads along their first edge; results in the order given."""
        crops = [cropping.cut(image, corners) for image, corners in jobs]
        reads: list[_Read | None] = [None] * len(jobs)
        for batch in cropping.batches_by_width([crop.shape[1] for crop in crops], self._networks.lines_per_batch):
            for index, read in zip(batch, halving(lambda part: self._run(part, jobs, crops), batch)):
                reads[index] = read
        return [read for read in reads if read is not None]

    def _run(self, batch: Sequence[int], jobs: Sequence[tuple[Image, Corners]], crops: list[Image]) -> list[_Read]:
        steps = self._networks.recognise(cropping.network_input([crops[index] for index in batch]))
        require_finite(steps.confidences, "line recogniser")
        reads = []
        for row, index in enumerate(batch):
            count = -(-crops[index].shape[1] // STEP)  # steps behind the crop, without its padding
            reading = decode(steps.symbols[row, :count], steps.confidences[row, :count], self._networks.characters)
            features = None if steps.features is None else steps.features[row, :count]
            reads.append(_Read(jobs[index][1], crops[index], reading, features))
        return reads


def _as_it_is(corners: Corners) -> Corners:
    return corners
