"""Where the items of a perception were seen or heard, as the numbers that adapters read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.adapters.base import GEOMETRY
from encoders.base import FeatureSpan, Perception
from encoders.results import Chunk, Detection, DocumentResult, Page, Quad, Speech, extent

_SPEAKERS = 8  # that can be told apart


def geometry_of(perception: Perception) -> NDArray[np.float32]:
    """[len(spans), 6], a row for each span: the page's logarithm, counted from 1; left, top, right and bottom as shares
    of the page, or start in minutes, the speaker, end in minutes, 0; confidence."""
    result, spans = perception.result, perception.spans
    if isinstance(result, DocumentResult):
        pages = {page.page: page for page in result.pages}
        lines = [pages[span.page].lines[span.item] for span in spans]
        rows = [_on_page(pages[span.page], line.quad, line.confidence) for span, line in zip(spans, lines, strict=True)]
    elif isinstance(result, Speech):
        rows = [_in_time(result.chunks[span.item]) for span in spans]
    else:
        rows = _detections(result or (), {page.page: page for page in perception.pages}, spans)
    return np.array(rows, np.float32).reshape(-1, GEOMETRY)


def _on_page(page: Page, quad: Quad, confidence: float) -> list[float]:
    left, top, right, bottom = extent(quad)
    width, height = max(1, page.width), max(1, page.height)
    return [math.log(page.page), left / width, top / height, right / width, bottom / height, confidence]


def _in_time(chunk: Chunk) -> list[float]:
    """The speaker's number stands where a page has a line's top."""
    number = (chunk.speaker or "").rpartition("_")[2]
    speaker = (int(number) + 1) / _SPEAKERS if number.isdigit() else 0.0
    return [0.0, chunk.start / 60, speaker, chunk.end / 60, 0.0, chunk.confidence]


def _detections(found: Sequence[Detection], pages: dict[int, Page], spans: Sequence[FeatureSpan]) -> list[list[float]]:
    """Spans count the detections of each page from 0."""
    by_page: dict[int, list[Detection]] = {}
    for detection in found:
        by_page.setdefault(detection.page, []).append(detection)
    items = [by_page[span.page][span.item] for span in spans]
    return [_on_page(pages[item.page], item.quad, item.confidence) for item in items]
