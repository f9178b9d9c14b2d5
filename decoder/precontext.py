"""What the specialists read in one asset, and the passages that a prompt is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.adapters.soft import SoftTokens
from encoders.layout.page_text import MARGINS, text_blocks
from encoders.results import Chunk, Detection, DocumentResult, Page, Role, Speech, extent

Result = DocumentResult | Speech | tuple[Detection, ...]
_TURN_WORDS = 60  # longest turn that is one passage


@dataclass(frozen=True, slots=True)
class Precontext:
    """One specialist's result for one part of the asset, with its soft tokens when an adapter made some."""

    name: str  # the task: ocr, speech_to_text, object_detection, gui_detection
    result: Result
    part_id: str = ""
    soft: SoftTokens | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of precontext that stays together: a paragraph, a table, a turn of speech, an object.

    ``place`` says where it comes from when that is not clear from the passages before ("Page 3"); it is printed
    once. ``soft`` is [m, d_model], with no rows when there are no soft tokens for it.
    """

    text: str
    place: str = ""
    soft: NDArray[np.float16] | None = None


def passages(precontext: Sequence[Precontext]) -> list[Passage]:
    """The asset's passages in reading order. Running headers, footers and page numbers are left out."""
    pages = sum(len(entry.result.pages) for entry in precontext if isinstance(entry.result, DocumentResult))
    found: list[Passage] = []
    for entry in precontext:
        if isinstance(entry.result, DocumentResult):
            for page in entry.result.pages:
                found += _page_passages(page, f"Page {page.page}" if pages > 1 else "", entry.soft)
        elif isinstance(entry.result, Speech):
            found += _turns(entry.result, entry.soft)
        else:
            found += _detections(entry.name, entry.result, entry.soft, pages > 1)
    return found


def _page_passages(page: Page, place: str, soft: SoftTokens | None) -> Iterator[Passage]:
    if not page.lines:
        yield from (Passage(text.strip(), place) for text in page.text.split("\n\n") if text.strip())
        return
    item = 0
    for block in text_blocks(page):
        items = range(item, item + len(block.lines))
        item += len(block.lines)
        if block.role in MARGINS or not block.text.strip():
            continue
        vectors = soft.of(page.page, items) if soft is not None else None
        text = block.text.replace("\t", " | ") if block.role is Role.TABLE else block.text
        yield Passage(text, place, vectors)


def _turns(speech: Speech, soft: SoftTokens | None) -> Iterator[Passage]:
    """Consecutive chunks of one speaker as one passage, with the time it starts at."""
    turn: list[int] = []
    for index, chunk in enumerate(speech.chunks):
        words = sum(len(speech.chunks[i].text.split()) for i in turn)
        if turn and (chunk.speaker != speech.chunks[turn[-1]].speaker or words >= _TURN_WORDS):
            yield _turn(speech.chunks, turn, soft)
            turn = []
        turn.append(index)
    if turn:
        yield _turn(speech.chunks, turn, soft)


def _turn(chunks: Sequence[Chunk], turn: Sequence[int], soft: SoftTokens | None) -> Passage:
    first = chunks[turn[0]]
    speaker = f" {first.speaker}" if first.speaker else ""
    minutes, seconds = divmod(int(first.start), 60)
    text = " ".join(chunks[i].text.strip() for i in turn)
    return Passage(f"[{minutes}:{seconds:02d}{speaker}] {text}", "", soft.of(1, turn) if soft is not None else None)


_FOUND = {"gui_detection": "Interface elements found"}


def _detections(name: str, items: Sequence[Detection], soft: SoftTokens | None, paged: bool) -> Iterator[Passage]:
    """How many of what were found, none included, and a line for each: label, box in pixels, confidence."""
    counts = ", ".join(f"{count} {label}" for label, count in Counter(item.label for item in items).items())
    yield Passage(f"{_FOUND.get(name, 'Objects found')}: {counts or 'none'}")
    paged = paged or len({item.page for item in items}) > 1
    on_page: Counter[int] = Counter()
    for item in items:
        left, top, right, bottom = (round(edge) for edge in extent(item.quad))
        text = f"{item.label} at ({left}, {top}) to ({right}, {bottom}), confidence {item.confidence:.2f}"
        vectors = soft.of(item.page, [on_page[item.page]]) if soft is not None else None
        on_page[item.page] += 1
        yield Passage(text, f"Page {item.page}" if paged else "", vectors)
