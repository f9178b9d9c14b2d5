"""`ObjectEncoder` and `GuiEncoder`: pages and images to detections with boxes, labels and confidences."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.base import FeatureSpan, MediaInput, Perception
from encoders.checkpoints.pull import Progress
from encoders.checkpoints.resolve import resolve
from encoders.detection.candidates import Candidates, Detector, Image, features_of
from encoders.detection.config import DetectionConfig, GuiConfig, ObjectConfig
from encoders.failures import Failure, FailureCategory, InterlaceError, MediaError
from encoders.media.config import PIXELS_VERSION
from encoders.media.opened import OpenedPage
from encoders.media.opener import MediaOpener
from encoders.results import Detection, Line, Page, extent, quad

if TYPE_CHECKING:  # these import torch, which a driver that only asks for the fingerprint does not need
    from encoders.detection.grounding import Wanted
    from encoders.ocr.page_reader import PageReader

LEAST = 1_000_000  # pixels that an image counts for: the detectors' processors make as many of smaller ones
SURE = 0.45  # a phrase's best match below this is no match


@dataclass(slots=True)
class _Part:
    """What has been found in a part so far. ``queries``: what is looked for in it, when not what the config says."""

    queries: tuple[str, ...] = ()
    detections: list[Detection] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    features: list[NDArray[np.float16]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)

    def spend(self, stage: str, since: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - since


_Opened: TypeAlias = tuple[_Part, OpenedPage]


class _DetectionEncoder:
    """What both have in common. See `encoders.base.Encoder` for the contract."""

    name: ClassVar[str]
    interface: ClassVar[bool]

    def __init__(self, config: DetectionConfig) -> None:
        self.config = config
        self._queries = tuple(query.strip() for query in config.queries if query.strip())
        self._detector: Detector | None = None
        self._opener: MediaOpener | None = None

    def fetch(self, device: str = "cpu", progress: Progress | None = None) -> None:
        """See `Encoder`. Our own finder and namer are shipped."""
        config = self.config
        resolve(config.text_encoder if config.checkpoint == "default" else config.checkpoint, progress=progress)

    def load(self, device: str = "cpu", *, lazily: bool = False) -> None:
        """Load the networks onto ``cpu`` or ``cuda[:n]``. Raises `CheckpointError` when there are none to load."""
        import torch

        if device == "cpu":
            torch.set_num_threads(self.config.threads)
        self._detector = self._built()
        self._detector.load(device)
        self._device = device
        self._opener = MediaOpener(self.config.opening, self.config.limits)

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        """Look at the parts; one perception each, in the same order. A page that fails costs only itself."""
        if self._detector is None:
            raise RuntimeError("call load() before detecting")
        states = [_Part(part.queries) for part in parts]
        for together in self._together(self._opened(parts, states)):
            self._look(together)
        return [self._perception(state) for state in states]

    def detect(self, image: Image, queries: Sequence[str] | None = None) -> Candidates:
        """Detections on one image [h, w, 3]; ``queries`` in place of the config's. Empty phrases are left out."""
        return self._detected([image], self._asked(queries))[0]

    def fingerprint(self) -> str:
        """Hash of checkpoints, queries and all that shapes a detection; not of threads or limits."""
        shaping = self.config.model_dump(mode="json", exclude={"limits", "threads"})
        shaping["pixels"] = PIXELS_VERSION
        shaping["checkpoints"] = self._built().fingerprint()
        return hashlib.sha256(json.dumps([self.name, shaping], sort_keys=True).encode()).hexdigest()

    def parameters(self) -> dict[str, int]:
        """Parameter count of every loaded network."""
        return self._detector.parameters() if self._detector is not None else {}

    def close(self) -> None:
        """Free the networks and end the opening child."""
        if self._opener is not None:
            self._opener.close()
        self._detector = self._opener = None

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _built(self) -> Detector:
        config = self.config
        if config.checkpoint == "default":
            from encoders.detection.default import DefaultDetector

            return DefaultDetector(
                config.text_encoder,
                interface=self.interface,
                floor=min(0.1, config.min_confidence),
                overlap=config.overlap,
                most=config.max_detections,
            )
        from encoders.detection.vocabulary import everything
        from encoders.detection.zero_shot import ZeroShotDetector

        return ZeroShotDetector(
            config.checkpoint,
            everything(self.interface),
            floor=config.min_confidence,
            overlap=config.overlap,
            most=config.max_detections,
        )

    def _opened(self, parts: Sequence[MediaInput], states: list[_Part]) -> Iterator[_Opened]:
        """Every page of every part that opens; what does not is noted as a failure."""
        assert self._opener is not None
        for part, state in zip(parts, states):
            pages = iter(self._opener.pages(part))
            while True:
                started = time.perf_counter()
                page = next(pages, None)
                state.spend("open", started)
                if page is None:
                    break
                if isinstance(page, Failure):
                    state.failures.append(page.at(task=self.name))
                elif page.image is not None:  # plain text has no picture to look at
                    yield state, page

    def _together(self, opened: Iterator[_Opened]) -> Iterator[list[_Opened]]:
        """Pages that follow each other, ask for the same, and have no more pixels than the detector takes at once."""
        assert self._detector is not None
        together: list[_Opened] = []
        room = 0
        for state, page in opened:
            size = max(page.width * page.height, LEAST)
            if together and (size > room or state.queries != together[0][0].queries):
                yield together
                together = []
            room = (room if together else self._detector.at_once) - size
            together.append((state, page))
        if together:
            yield together

    def _look(self, together: Sequence[_Opened]) -> None:
        """Detect on pages that ask for the same. Where one makes the others fail each is looked at by itself."""
        started = time.perf_counter()
        images = [page.image for _, page in together if page.image is not None]
        asked = self._asked(together[0][0].queries or None)
        before = self._runs()
        try:
            seen = self._detected(images, asked)
        except Exception as error:  # a network may raise anything; the contract is a value
            if len(together) > 1:
                for alone in together:
                    self._look([alone])
                return
            state, page = together[0]
            state.failures.append(_failure(error, self.name, page.page))
        else:
            for (state, page), found in zip(together, seen):
                self._keep(state, page, found)
        share = (time.perf_counter() - started) / len(together)
        networks = (self._runs() - before).keys()
        for state, _ in together:
            state.networks |= networks
            state.seconds["detect"] = state.seconds.get("detect", 0.0) + share

    def _asked(self, queries: Sequence[str] | None) -> tuple[str, ...]:
        return self._queries if queries is None else tuple(query.strip() for query in queries if query.strip())

    def _detected(self, images: Sequence[Image], asked: tuple[str, ...]) -> list[Candidates]:
        assert self._detector is not None
        found = self._detector.find_all(images, asked, vectors=self.config.features)
        return [self._surest(each) for each in found]

    def _runs(self) -> Counter[str]:
        """How often each network ran so far."""
        assert self._detector is not None
        return self._detector.runs.copy()

    def _keep(self, state: _Part, page: OpenedPage, found: Candidates) -> None:
        for row, label in enumerate(found.labels):
            x0, y0, x1, y1 = (float(value) for value in found.boxes[row])
            detection = Detection(label, quad(x0, y0, x1, y1), round(float(found.scores[row]), 4), page.page)
            state.detections.append(detection)
        state.pages.append(Page(page.page, page.width, page.height, "image"))
        if self.config.features and len(found):
            state.features.append(features_of(found, page.width, page.height))

    def _perception(self, state: _Part) -> Perception:
        """The part's detections. A part of which no page could be looked at has no result."""
        result = tuple(state.detections) if state.pages or not state.failures else None
        rows = np.concatenate(state.features) if state.features else np.zeros((0, 0), np.float16)
        spans = []
        if len(rows):
            counts: dict[int, int] = {}
            for at, detection in enumerate(state.detections):
                item = counts.get(detection.page, 0)
                counts[detection.page] = item + 1
                spans.append(FeatureSpan(item, at, at + 1, detection.page))
        failures, pages, networks = tuple(state.failures), tuple(state.pages), frozenset(state.networks)
        return Perception(result, rows, tuple(spans), failures, state.seconds, pages, networks)

    def _surest(self, found: Candidates) -> Candidates:
        rows = [
            row for row in np.argsort(-found.scores, kind="stable") if found.scores[row] >= self.config.min_confidence
        ]
        return found.take(rows[: self.config.max_detections])


class ObjectEncoder(_DetectionEncoder):
    """Finds objects: all that the vocabulary names, or what the queries ask for."""

    name: ClassVar[str] = "object_detection"
    interface: ClassVar[bool] = False

    def __init__(self, config: ObjectConfig) -> None:
        super().__init__(config)


class GuiEncoder(_DetectionEncoder):
    """Finds interface elements: all of them with their kinds, or those that phrases name."""

    name: ClassVar[str] = "gui_detection"
    interface: ClassVar[bool] = True
    config: GuiConfig

    def __init__(self, config: GuiConfig) -> None:
        super().__init__(config)
        self._reader: PageReader | None = None
        self._read_runs: Counter[str] = Counter()  # pages that each of the OCR networks read

    def _detected(self, images: Sequence[Image], asked: tuple[str, ...]) -> list[Candidates]:
        """With our own network phrases are pointed at. OCR runs only when a phrase may name a text."""
        from encoders.detection.default import DefaultDetector

        if not asked or not isinstance(self._detector, DefaultDetector):
            return super()._detected(images, asked)
        return [self._surest(self.point(image, asked)) for image in images]

    def point(self, image: Image, queries: Sequence[str], *, text_encoder: bool = True) -> Candidates:
        """For each phrase the element it means: kind, text and drawing weighed together. Phrases that mean a kind
        ("all buttons") get all of that kind. ``text_encoder`` False is for measuring what it brings."""
        from encoders.detection.default import DefaultDetector
        from encoders.detection.grounding import around_text, element_texts, ground, parse

        detector = self._detector
        assert isinstance(detector, DefaultDetector)
        found = detector.elements(image)
        if text_encoder:
            found.vectors = detector.look(image, found)
        phrases = [parse(query) for query in queries]
        lines: list[Line] = []
        if self._reads(phrases):
            lines = self._read(image)
        found = _with_texts(found, lines)
        inside, beside = element_texts(found, lines)
        if text_encoder:
            detector.phrases([wanted.name for wanted in phrases if wanted.name])  # together, and remembered
        rows: list[int] = []
        scores: list[float] = []
        labels: list[str] = []
        for wanted in phrases:
            fits = ground(wanted, found, inside, beside, detector.phrases if text_encoder else None)
            if not len(fits):
                continue
            if wanted.name:
                best = float(fits.max())
                chosen = [int(row) for row in np.flatnonzero(fits >= max(SURE, best * 0.98))][:5]
                chosen = chosen or ([int(fits.argmax())] if best >= self.config.min_confidence else [])
            else:
                chosen = [int(row) for row in np.flatnonzero(fits >= self.config.min_confidence)]
            rows += chosen
            scores += [float(fits[row]) for row in chosen]
            labels += [wanted.phrase] * len(chosen)
        taken = found.take(rows)
        for row, kind in enumerate(taken.labels):
            if kind == "menu item":
                taken.boxes[row] = around_text(taken.boxes[row], lines)
        return Candidates(taken.boxes, np.array(scores, np.float32), labels, taken.pointers, taken.vectors)

    def fetch(self, device: str = "cpu", progress: Progress | None = None) -> None:
        """As the base's; what reads texts is loaded only where phrases may need it, as `point` says."""
        super().fetch(device, progress)
        if self._queries and self.config.read_text and self.config.checkpoint == "default":
            from encoders.ocr.encoder import OcrEncoder

            OcrEncoder(self.config.ocr).fetch(device, progress)

    def _read(self, image: Image) -> list[Line]:
        """The lines on the image; the OCR networks are loaded when they are first needed."""
        if self._reader is None:
            from encoders.ocr.page_reader import PageReader

            self._reader = PageReader.load(self.config.ocr, self._device)
        [page] = self._reader.read([image])
        self._read_runs.update(page.networks)
        return page.lines

    def _reads(self, phrases: Sequence[Wanted]) -> bool:
        """Whether OCR is needed: a phrase may name a text."""
        return self.config.read_text and any(wanted.may_name_text for wanted in phrases)

    def _runs(self) -> Counter[str]:
        return super()._runs() + self._read_runs

    def parameters(self) -> dict[str, int]:
        """As the base's, and of the OCR networks once a phrase has needed them."""
        return {**super().parameters(), **(self._reader.parameters() if self._reader is not None else {})}

    def fingerprint(self) -> str:
        """As the base's; the reading of texts only counts when phrases may need it."""
        if self._queries and self.config.read_text:
            from encoders.ocr.encoder import OcrEncoder

            own = super().fingerprint() + OcrEncoder(self.config.ocr).fingerprint()
            return hashlib.sha256(own.encode()).hexdigest()
        return super().fingerprint()

    def close(self) -> None:
        """Free the networks and end the opening child."""
        super().close()
        self._reader = None


def _with_texts(found: Candidates, lines: Sequence[Line]) -> Candidates:
    """Lines that lie in no element stand for themselves, of kind "text": a phrase may mean plain text."""
    from encoders.detection.candidates import Candidates

    free = []
    for line in lines:
        x0, y0, x1, y1 = extent(line.quad)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        small = [
            row for row, label in enumerate(found.labels)
            if label not in ("table", "image", "figure")
            and found.boxes[row, 0] <= x <= found.boxes[row, 2] and found.boxes[row, 1] <= y <= found.boxes[row, 3]
        ]  # fmt: skip
        if not small:
            free.append((x0, y0, x1, y1))
    if not free:
        return found
    boxes = np.array(free, np.float32)
    vectors = found.vectors
    if len(found.vectors):
        vectors = np.concatenate((found.vectors, np.zeros((len(free), found.vectors.shape[1]), np.float32)))
    return Candidates(
        np.concatenate((found.boxes, boxes)),
        np.concatenate((found.scores, np.full(len(free), 0.2, np.float32))),
        [*found.labels, *["text"] * len(free)],
        np.concatenate((found.pointers, boxes)),
        vectors,
    )


def _failure(error: Exception, task: str, page: int) -> Failure:
    """An exception of looking at one page as a value."""
    if isinstance(error, MediaError):
        return Failure(error.category, task, str(error), task, page)
    if isinstance(error, MemoryError):
        return Failure(FailureCategory.OUT_OF_MEMORY, task, str(error) or "out of memory", task, page)
    if isinstance(error, InterlaceError):
        return Failure(FailureCategory.MODEL_FAILED, task, str(error), task, page)
    return Failure(FailureCategory.MODEL_FAILED, task, f"{type(error).__name__}: {error}"[:500], task, page)
