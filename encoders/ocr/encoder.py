"""`OcrEncoder`: documents and images to pages of lines and words, with their places and confidences."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders.base import FeatureSpan, MediaInput, Perception
from encoders.checkpoints.errors import CheckpointError
from encoders.checkpoints.pull import Progress
from encoders.checkpoints.resolve import checkpoint_digest
from encoders.failures import Failure, FailureCategory, MediaError, is_out_of_memory
from encoders.heartbeat import beat
from encoders.media.config import PIXELS_VERSION
from encoders.media.opened import OpenedPage
from encoders.media.opener import MediaOpener
from encoders.ocr.config import OcrConfig
from encoders.results import DocumentResult, Line, Page, Quad
from encoders.timing import timed

if TYPE_CHECKING:  # torch and OpenCV take long to import, and a driver only asks for the fingerprint
    from encoders.layout import Draft
    from encoders.layout.runs import Ink
    from encoders.ocr.page_reader import PageReader, ReadPage

TASK = "ocr"

PIXELS_AT_ONCE = 160_000_000
"""A group of pages on a card is read once it has so many: sixteen A4 scans at 300 dpi, half a GB on the host and as
much on the card. Sixteen images at the limit of `OpeningConfig.max_pixels` would take four times that."""

_NOT_SHAPING = {
    "limits",
    "threads",
    "engine",
    "block_waits",
    "card_process",
    "detector",
    "recogniser",
}

_SCRIPT_WEIGHTS = Path(__file__).with_name("script_weights.safetensors")


@dataclass(slots=True)
class _Part:
    """What has been read of a part so far."""

    pages: list[Page] = field(default_factory=list)
    features: dict[tuple[int, Quad], NDArray[np.float16]] = field(default_factory=dict)  # by page and line
    failures: list[Failure] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)

    def spend(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


@dataclass(slots=True)
class _PageRead:
    """A page of a part between its reading and its layout."""

    state: _Part
    opened: OpenedPage
    read: ReadPage
    draft: Draft | None = None
    ink: Ink | None = None


class OcrEncoder:
    """Reads documents and images. See `encoders.base.Encoder` for the contract."""

    name: ClassVar[str] = TASK

    def __init__(self, config: OcrConfig) -> None:
        self.config = config
        self._device = "cpu"
        self._reader: PageReader | None = None
        self._opener: MediaOpener | None = None

    def fetch(self, device: str = "cpu", progress: Progress | None = None) -> None:
        """See `Encoder`."""
        from encoders.ocr.engines import locate_networks

        locate_networks(self.config, device, progress)

    def load(self, device: str = "cpu", *, lazily: bool = False) -> None:
        """Load the networks onto ``cpu`` or ``cuda[:n]``; ``lazily`` on a CPU: with the first page that is an image.
        Raises `CheckpointError` when there are none to load."""
        self._device = device
        if self.config.block_waits and device.startswith("cuda") and not self.config.shares_process(device):
            from encoders.transfers import block_waits

            block_waits(device)
        if lazily and device == "cpu":
            self.fetch(device)
        else:  # on a card kernels may be tried and compiled first, for longer than a batch may take
            self._load_reader()
        self._opener = MediaOpener(self.config.opening, self.config.limits)

    def _load_reader(self) -> PageReader:
        """The reader, which takes a second to load."""
        if self._reader is None:
            from encoders.ocr.page_reader import PageReader

            try:
                self._reader = PageReader.load(self.config, self._device)
            except Exception as error:  # as many kinds as there are engines
                named = f"{self.config.detector} and {self.config.recogniser}"
                raise CheckpointError(f"{named} cannot be loaded onto {self._device}: {error}") from error
        return self._reader

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        """Read the parts; one perception each, in the same order. Pages are let go as soon as they are read."""
        if self._opener is None:
            raise RuntimeError("call load() before reading")
        states = [_Part() for _ in parts]
        group: list[tuple[_Part, OpenedPage]] = []
        for state, opened in self._opened(parts, states):
            group.append((state, opened))
            if _is_to_be_read(opened):
                self._load_reader()
            if self._reader is None or len(group) >= self._reader.pages_at_once or _pixels(group) >= PIXELS_AT_ONCE:
                self._read_group(group)
                group = []
        self._read_group(group)
        return [self._perception(state) for state in states]

    def fingerprint(self) -> str:
        """Hash of checkpoints, opening settings and all that shapes a reading; not of engine, waiting,
        threads, limits or which process computes."""
        shaping = self.config.model_dump(mode="json", exclude=_NOT_SHAPING)
        shaping["pixels"] = PIXELS_VERSION
        shaping["checkpoints"] = [
            checkpoint_digest(self.config.detector),
            checkpoint_digest(self.config.recogniser),
            hashlib.sha256(_SCRIPT_WEIGHTS.read_bytes()).hexdigest(),
        ]
        return hashlib.sha256(json.dumps([TASK, shaping], sort_keys=True).encode()).hexdigest()

    def parameters(self) -> dict[str, int]:
        """Parameter count of every loaded network."""
        return self._reader.parameters() if self._reader is not None else {}

    def close(self) -> None:
        """Free the networks and end the opening child."""
        if self._opener is not None:
            self._opener.close()
        self._reader = self._opener = None

    # -- one call ----------------------------------------------------------------------------------------------------

    def _opened(self, parts: Sequence[MediaInput], states: list[_Part]) -> Iterator[tuple[_Part, OpenedPage]]:
        """Every page of every part that opens; what does not is noted as a failure."""
        assert self._opener is not None
        for part, state in zip(parts, states):
            pages = iter(self._opener.pages(part))
            while True:
                started = time.perf_counter()
                opened = next(pages, None)
                state.spend("open", time.perf_counter() - started)
                if opened is None:
                    break
                if isinstance(opened, Failure):
                    state.failures.append(opened.at(task=TASK))
                else:
                    yield state, opened

    def _read_group(self, group: Sequence[tuple[_Part, OpenedPage]]) -> None:
        """Read the pages that have no sound text layer, then lay all of them out."""
        to_read = [(state, opened) for state, opened in group if _is_to_be_read(opened)]
        pages: list[_PageRead] = []
        for (state, opened), read in zip(to_read, self._read(to_read)):
            if isinstance(read, Failure):
                state.failures.append(read)
            else:
                for stage, seconds in read.seconds.items():
                    state.spend(stage, seconds)
                state.networks |= read.networks
                pages.append(_PageRead(state, _turned(opened, read), read))
        self._look_for_rules(pages)
        for page in pages:
            self._lay_out(page.state, page.opened, page.read.lines, page)
        for state, opened in group:
            if opened.lines is not None:
                self._lay_out(state, opened, opened.lines, None)
        beat()

    def _look_for_rules(self, pages: Sequence[_PageRead]) -> None:
        """Have the networks' card look for ruling lines on all pages at once, if it does that."""
        from encoders.layout import Draft

        wanted = []
        for page in pages:
            with timed(page.state.seconds, "layout"), suppress(Exception):  # which laying it out will tell of
                page.draft = Draft(page.opened, page.read.lines)
                if page.draft.look is not None:
                    wanted.append((page, page.draft.look))
        if not wanted:
            return
        assert self._reader is not None
        started = time.perf_counter()
        inks = self._reader.ink([(page.read, look) for page, look in wanted])
        each = (time.perf_counter() - started) / len(wanted)
        for (page, _), ink in zip(wanted, inks, strict=True):
            page.ink = ink
            page.state.spend("layout", each)

    def _read(self, to_read: Sequence[tuple[_Part, OpenedPage]]) -> list[ReadPage | Failure]:
        """Read the pages; a group that fails is read page by page, or in halves when it was memory that ran out."""
        if not to_read:
            return []
        assert self._reader is not None
        try:
            return list(self._reader.read([opened.image for _, opened in to_read if opened.image is not None]))
        except Exception as error:  # a network may raise anything; the contract is a value
            failure, step = _failure(error, to_read[0][1].page), len(to_read) // 2 if is_out_of_memory(error) else 1
        # Outside the handler: the traceback holds on to tensors.
        if len(to_read) == 1:
            return [failure]
        return [read for at in range(0, len(to_read), step) for read in self._read(to_read[at : at + step])]

    def _lay_out(self, state: _Part, opened: OpenedPage, lines: list[Line], read: _PageRead | None) -> None:
        from encoders.layout import Draft

        try:
            with timed(state.seconds, "layout"):
                if read is None:
                    page = Draft(opened, lines).page("text_layer")
                else:
                    draft = read.draft or Draft(opened, lines)
                    page = draft.page("ocr", read.read.rotation, read.ink)
        except Exception as error:
            state.failures.append(_failure(error, opened.page))
            return
        state.pages.append(page)
        for line, features in zip(lines, read.read.features if read else []):
            if features is not None:
                state.features[page.page, line.quad] = features

    def _perception(self, state: _Part) -> Perception:
        """The part's pages put together, with features in the order of their lines."""
        from encoders.layout import arrange_document

        with timed(state.seconds, "layout"):
            pages = tuple(arrange_document(sorted(state.pages, key=lambda page: page.page)))
        spans: list[FeatureSpan] = []
        rows: list[NDArray[np.float16]] = []
        position = 0
        for page in pages:
            for item, line in enumerate(page.lines):
                features = state.features.get((page.page, line.quad))
                if features is not None:
                    spans.append(FeatureSpan(item, position, position + len(features), page.page))
                    rows.append(features)
                    position += len(features)
        result = DocumentResult(pages) if pages or not state.failures else None
        features = np.concatenate(rows) if rows else np.zeros((0, 0), np.float16)
        networks = frozenset(state.networks)
        return Perception(result, features, tuple(spans), tuple(state.failures), state.seconds, networks=networks)


def _is_to_be_read(opened: OpenedPage) -> bool:
    """Whether a page is pixels, without a sound text layer."""
    return opened.lines is None and opened.image is not None


def _pixels(group: Sequence[tuple[_Part, OpenedPage]]) -> int:
    """Pixels of the group's images."""
    return sum(opened.width * opened.height for _, opened in group if opened.image is not None)


def _turned(opened: OpenedPage, read: ReadPage) -> OpenedPage:
    """The opened page as it was read; ruling lines of a turned page are found again in its pixels."""
    height, width = read.image.shape[:2]
    rules = () if read.rotation else opened.rules
    return OpenedPage(opened.page, width, height, read.image, None, rules)


def _failure(error: Exception, page: int) -> Failure:
    """An exception of reading one page as a value."""
    if isinstance(error, MediaError):
        return Failure(error.category, TASK, str(error), TASK, page)
    if is_out_of_memory(error):
        return Failure(FailureCategory.OUT_OF_MEMORY, TASK, str(error) or "out of memory", TASK, page)
    return Failure(FailureCategory.MODEL_FAILED, TASK, f"{type(error).__name__}: {error}", TASK, page)
