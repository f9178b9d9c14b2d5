"""What must hold for any bytes at all: a value or a failure with a category, never an error, never nonsense."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from encoders.base import MediaInput
from encoders.failures import Failure, MediaError
from encoders.media import sniff
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.media.opened import AudioWindow, OpenedPage, Probe
from encoders.media.opener import MediaOpener
from encoders.results import Line

MAX_PIXELS = 2_000_000  # small, so that a case costs milliseconds
LIMITS = OpeningLimits(page_seconds=5.0, cpu_seconds=20.0, memory_gib=1.0)
PAGES, WINDOWS = 8, 4  # looked at of one case
_OUR_BUG = re.compile(r"\.py:\d+\)")  # `as_failure` names the place when the code that raised is ours


class Checker:
    """Opens cases in one child and tells what is wrong with what comes out. Counts outcomes by category."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._openers = [
            MediaOpener(OpeningConfig(ocr=ocr, max_pixels=MAX_PIXELS), LIMITS) for ocr in ("auto", "always")
        ]
        self.children: Counter[str] = Counter()  # failures that cost a child: contained, but worth knowing

    def __call__(self, data: bytes, name: str = "file") -> list[str]:
        """What is wrong; empty when all is well."""
        problems: list[str] = []
        try:
            found = sniff.media_type(data[: sniff.HEAD_BYTES], data[-sniff.TAIL_BYTES :], name)
            modality = sniff.modality(found)
        except Exception as error:
            return [f"sniffing raised {error!r}"]
        for opener in self._openers if modality != "audio" else self._openers[:1]:
            try:
                problems += self._open(opener, MediaInput("part", name, "", data=data), modality)
            except Exception as error:
                problems.append(f"opening raised {error!r}")
        return problems

    def close(self) -> None:
        for opener in self._openers:
            opener.close()

    def _open(self, opener: MediaOpener, item: MediaInput, modality: str | None) -> Iterator[str] | list[str]:
        try:
            seen = opener.probe(item)
        except MediaError as error:
            failure = error.failure("probe")
            self.outcomes[failure.category] += 1
            return _failure(failure, self.children)
        self.outcomes["opened"] += 1
        problems = list(_probe(seen, modality))
        if seen.modality == "audio":
            return problems + list(self._windows(islice(opener.audio(item), WINDOWS)))
        return problems + list(self._pages(islice(opener.pages(item), PAGES), seen))

    def _pages(self, values: Iterable[OpenedPage | Failure], seen: Probe) -> Iterator[str]:
        expected = 1
        for value in values:
            if isinstance(value, Failure):
                self.outcomes[f"page {value.category}"] += 1
                yield from _failure(value, self.children)
            else:
                yield from _page(value)
            if value.page is not None:
                if value.page != expected:
                    yield f"page {value.page} came in place of {expected}"
                expected += 1
        if expected == 1 and seen.pages and not isinstance(value, Failure):
            yield "no page and no failure"

    def _windows(self, values: Iterable[AudioWindow | Failure]) -> Iterator[str]:
        end = 0.0
        for value in values:
            if isinstance(value, Failure):
                self.outcomes[f"window {value.category}"] += 1
                yield from _failure(value, self.children)
                continue
            if value.samples.dtype != np.int16 or value.samples.ndim != 2 or not 0 < value.samples.shape[1] <= 480_000:
                yield f"a window of {value.samples.shape} {value.samples.dtype}"
            if value.start < end - 1e-3:
                yield f"a window at {value.start} behind {end}"
            end = value.start + value.samples.shape[1] / 16_000


def _probe(seen: Probe, modality: str | None) -> Iterator[str]:
    if seen.modality != modality:
        yield f"sniffed as {modality}, probed as {seen.modality}"
    if not math.isfinite(seen.seconds) or seen.seconds < 0 or seen.pages < 0 or seen.channels < 0:
        yield f"an impossible probe: {seen}"
    if seen.seconds <= 0 if seen.modality == "audio" else seen.pages < 1:
        yield f"an empty probe that is no failure: {seen}"


def _page(page: OpenedPage) -> Iterator[str]:
    large = page.image is not None and page.width * page.height > MAX_PIXELS * 1.01 + 64_000
    if page.width < 1 or page.height < 1 or large:
        yield f"a page of {page.width} x {page.height}"
    if page.image is None and page.lines is None:
        yield "a page with neither pixels nor lines"
    if page.image is not None and page.image.shape != (page.height, page.width, 3):
        yield f"an image of {page.image.shape} on a page of {page.width} x {page.height}"
    for line in page.lines or ():
        yield from _line(line)
    if not all(math.isfinite(value) for rule in page.rules for value in rule):
        yield "a ruling line that is not finite"


def _line(line: Line) -> Iterator[str]:
    for item in (line, *line.words):
        if not all(map(math.isfinite, item.quad)):
            yield f"a box that is not finite: {item.quad}"
        if not _encodable(item.text):
            yield f"text that UTF-8 does not hold: {item.text!r}"


def _failure(failure: Failure, children: Counter[str]) -> list[str]:
    problems = []
    if not failure.message or len(failure.message) > 1000 or not _encodable(failure.message):
        problems.append(f"a message that no row takes: {failure.message[:200]!r}")
    if "process ended with status" in failure.message:
        problems.append(f"the child did not catch an error: {failure.message}")
    if _OUR_BUG.search(failure.message):
        problems.append(f"an error of our own making: {failure.message}")
    if failure.category in ("crashed", "timed_out", "out_of_memory"):
        children[f"{failure.category}: {failure.message[:60]}"] += 1
    return problems


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def case_files() -> list[Path]:
    """The cases that once found something, as files."""
    return sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.name != ".gitkeep")
