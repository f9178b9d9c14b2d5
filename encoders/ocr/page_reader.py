"""Pages as pixels to lines with text: detection, turning, scripts, recognition."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from encoders.card.client import outliving
from encoders.layout.runs import Ink, Look
from encoders.ocr import detection
from encoders.ocr.batching import halving, require_finite
from encoders.ocr.config import OcrConfig
from encoders.ocr.cropper import Image, Sheet
from encoders.ocr.decoding import ReadCrop, as_lines
from encoders.ocr.detection import FoundLine
from encoders.ocr.engines import load_networks
from encoders.ocr.geometry import Corners, as_quads, turn_image
from encoders.ocr.ink import places
from encoders.ocr.networks import Maps, OcrNetworks
from encoders.ocr.networks_card import CardNetworks
from encoders.ocr.orientation import is_upside_down, sideways_rotation
from encoders.ocr.recogniser import Job, Recogniser
from encoders.ocr.script import NATIVE, PageScripts, ScriptDetector
from encoders.ocr.tesseract import TesseractReader
from encoders.results import Line
from encoders.timing import timed


@dataclass(slots=True)
class ReadPage:
    """A page as read: ``image`` is the turned one, lines are unordered and in its pixels."""

    image: Image
    sheet: Sheet  # the same, where the networks' cropper works on it
    rotation: int = 0
    lines: list[Line] = field(default_factory=list)
    features: list[NDArray[np.float16] | None] = field(default_factory=list)  # per line [steps, d], or none
    seconds: dict[str, float] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)  # that ran for it


class PageReader:
    """Reads pages. Raises `MediaError` when a network fails on one."""

    def __init__(
        self, networks: OcrNetworks, scripts: ScriptDetector, tesseract: TesseractReader, config: OcrConfig
    ) -> None:
        self._networks = networks
        self.pages_at_once = networks.pages_at_once
        self._recogniser = Recogniser(networks)
        self._scripts = scripts
        self._tesseract = tesseract
        self._config = config

    @classmethod
    def load(cls, config: OcrConfig, device: str) -> Self:
        """With all networks on ``device``. Raises `CheckpointError` when there are none to load."""
        networks = load_networks(config, device)
        scripts = ScriptDetector()
        if isinstance(networks, CardNetworks):
            scripts.use(networks.scripts)
        else:
            scripts.load(device)
        return cls(networks, scripts, TesseractReader(), config)

    def read(self, images: Sequence[Image]) -> list[ReadPage]:
        """Each image [h, w, 3] RGB as lines; several at once only share the networks' batches. Raises `CardLost` when
        the process that computes ends over them though they were alone on it."""
        return outliving(lambda: self._read(images))

    def _read(self, images: Sequence[Image]) -> list[ReadPage]:
        started = time.perf_counter()
        pages = [ReadPage(image, self._networks.cropper.sheet(image)) for image in images]
        found = self._detect(pages)
        for page in pages:
            page.seconds["detect"] = (time.perf_counter() - started) / len(pages)
            page.networks.add("ocr_detection")
        corners, seen = self._upright(pages, [[line.corners for line in lines] for lines in found])
        jobs = [
            [Job(page.sheet, line, script) for line, script in zip(lines, self._allowed(scripts.scripts))]
            for page, lines, scripts in zip(pages, corners, seen)
        ]
        self._recognise(pages, jobs)
        for page, routed in zip(pages, jobs):
            with timed(page.seconds, "recognise"):
                self._read_elsewhere(page, [job for job in routed if job.script not in NATIVE])
        return pages

    def _detect(self, pages: Sequence[ReadPage]) -> list[list[FoundLine]]:
        """Lines of each page; pages of one network size share batches."""
        config = self._config.detection
        inputs = [self._networks.cropper.scaled(page.sheet, config) for page in pages]
        waiting: list[tuple[Sequence[int], Callable[[], Maps]]] = []
        for shape in dict.fromkeys(array.shape for array in inputs):
            alike = [index for index, array in enumerate(inputs) if array.shape == shape]
            for start in range(0, len(alike), self._networks.pages_per_batch):
                batch = alike[start : start + self._networks.pages_per_batch]
                waiting += halving(lambda part: [(part, self._networks.detect([inputs[i] for i in part]))], batch)
        found: list[list[FoundLine]] = [[] for _ in pages]
        for some, maps in waiting:
            for index, probability in zip(some, maps(), strict=True):
                require_finite(probability, "line detector")
                height, width = pages[index].image.shape[:2]
                found[index] = detection.find_lines(probability, height, width, config)
        return found

    def ink(self, looks: Sequence[tuple[ReadPage, Look]]) -> list[Ink | None]:
        """The ink of pages that were read, where a card has found it; what it cannot do, the host does."""
        found = None
        with suppress(Exception):  # of a card that has ended meanwhile, or is full
            found = self._networks.cropper.ink([(page.sheet, look) for page, look in looks])() if looks else None
        if found is None:
            return [None] * len(looks)
        return [place.ink(found) for place in places([page.image.shape[:2] for page, _ in looks])]

    # -- turning and routing -----------------------------------------------------------------------------------------

    def _upright(
        self, pages: Sequence[ReadPage], found: Sequence[list[Corners]]
    ) -> tuple[list[list[Corners]], list[PageScripts]]:
        """Turn the pages that must be; their lines as they stand then, and those lines' scripts."""
        lines = list(found)
        for index, page in enumerate(pages):
            if self._config.turn_pages:
                with timed(page.seconds, "turn"):
                    if degrees := sideways_rotation(lines[index], lambda quads, page=page: self._score(page, quads)):  # type: ignore[misc]
                        lines[index] = self._turn(page, degrees)
        started = time.perf_counter()
        seen = self._look(pages, lines)
        each = (time.perf_counter() - started) / max(1, len(pages))
        for page in pages:
            page.seconds["script"] = each
        for index, page in enumerate(pages):
            if self._config.turn_pages:
                with timed(page.seconds, "turn"):
                    probing = lambda quads, page=page: self._score(page, quads)  # noqa: E731
                    if is_upside_down(lines[index], seen[index], probing):
                        lines[index] = self._turn(page, 180)
                        (seen[index],) = self._look([page], [lines[index]])
        return lines, seen

    def _turn(self, page: ReadPage, degrees: int) -> list[Corners]:
        """Turn the page clockwise and find its lines again: the detector knows upright text best."""
        page.image, page.sheet = turn_image(page.image, degrees), self._networks.cropper.turned(page.sheet, degrees)
        page.rotation = (page.rotation + degrees) % 360
        return [line.corners for line in self._detect([page])[0]]

    def _score(self, page: ReadPage, quads: Sequence[Corners]) -> list[float]:
        """How surely each quad is read along its first edge."""
        if quads:
            page.networks.add("ocr_recognition")
        reads = self._recogniser.along_first_edge([Job(page.sheet, corners) for corners in quads])
        return [read.reading.confidence for read in reads]

    def _look(self, pages: Sequence[ReadPage], lines: Sequence[Sequence[Corners]]) -> list[PageScripts]:
        wanted = self._config.scripts
        if wanted != "auto" and len(wanted) == 1 and not self._config.turn_pages:
            return [PageScripts(tuple(wanted) * len(corners), 0.5, 0) for corners in lines]
        for page, corners in zip(pages, lines, strict=True):
            page.networks |= {"script"} if corners else set()
        marked = [(page.sheet, as_quads(corners)) for page, corners in zip(pages, lines, strict=True)]
        return self._scripts.look_at(marked, self._networks.cropper)

    def _allowed(self, scripts: Sequence[str]) -> list[str]:
        """The scripts seen, or the first of the configured ones where another was seen."""
        wanted = self._config.scripts
        return [script if wanted == "auto" or script in wanted else wanted[0] for script in scripts]

    # -- reading -----------------------------------------------------------------------------------------------------

    def _recognise(self, pages: list[ReadPage], jobs: Sequence[Sequence[Job]]) -> None:
        """Read the lines in the built-in recogniser's scripts; the time is shared out by line."""
        started = time.perf_counter()
        mine = [(page, job) for page, routed in zip(pages, jobs) for job in routed if job.script in NATIVE]
        for page, _ in mine:
            page.networks.add("ocr_recognition")
        found = zip(mine, self._recogniser([job for _, job in mine]), strict=True)
        kept = [(*of, read) for of, read in found if read.reading.confidence >= self._config.min_confidence]
        lines = as_lines([ReadCrop(read.reading, read.printed, read.corners, job.script) for _, job, read in kept])
        for (page, _, read), parts in zip(kept, lines, strict=True):
            for placed in parts:
                page.lines.append(placed.line)
                page.features.append(None if read.features is None else read.features[placed.start : placed.stop])
        each = (time.perf_counter() - started) / max(1, len(mine))
        for page, routed in zip(pages, jobs):
            page.seconds["recognise"] = each * sum(job.script in NATIVE for job in routed)

    def _read_elsewhere(self, page: ReadPage, jobs: Sequence[Job]) -> None:
        """Read lines in other scripts with tesseract, script by script; they have no features."""
        before = self._tesseract.runs.copy()
        for script in dict.fromkeys(job.script for job in jobs):
            quads = as_quads([job.corners for job in jobs if job.script == script])
            for line in self._tesseract.read(page.image, quads, script):
                if line.text and line.confidence >= self._config.min_other_confidence:
                    page.lines.append(line)
                    page.features.append(None)
        page.networks |= (self._tesseract.runs - before).keys()

    def parameters(self) -> dict[str, int]:
        """Parameter counts by network, of tesseract's models of those that were needed so far."""
        return {
            **self._networks.parameters(),
            "script": self._scripts.parameters(),
            **{name: self._tesseract.parameters(name) for name in self._tesseract.runs},
        }
