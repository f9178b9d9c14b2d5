"""The passages that a prompt is made of: paragraphs, tables, turns of speech, objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoder.headings import headings, place_of
from decoder.precontext import Precontext
from encoders.adapters.soft import SoftTokens
from encoders.layout.page_text import MARGINS, TextBlock, table_rows, text_blocks
from encoders.results import Chunk, Detection, DocumentResult, Line, Page, Role, Speech, Table, extent

_TURN_WORDS = 60  # longest turn that is one passage

Vectors = NDArray[np.float16]
_Items = Mapping[tuple[int, int], Vectors]  # soft tokens by page and item


@dataclass(frozen=True, slots=True)
class Row:
    """A printed row of a passage: all of a paragraph or a turn, one row of a table.

    ``head`` stands before it in every mode (time and speaker of a turn). ``cells`` has the soft tokens [m, d_model] of
    every cell, and the text of one that has none; it is empty for a row without soft tokens.
    """

    text: str
    head: str = ""
    cells: tuple[Vectors | str, ...] = ()

    @property
    def printed(self) -> str:
        """The row as text."""
        return f"{self.head} {self.text}" if self.head else self.text


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of precontext that stays together: a paragraph, a table, a turn of speech, an object.

    ``place`` says where it comes from when that is not clear from the passages before ("Page 3", "Recording"); it is
    printed once. ``task`` names the specialist.
    """

    rows: tuple[Row, ...]
    place: str = ""
    task: str = ""

    @property
    def text(self) -> str:
        """The passage as text, a line a row."""
        return "\n".join(row.printed for row in self.rows)

    @property
    def soft(self) -> bool:
        """Whether any of it has soft tokens."""
        return any(row.cells for row in self.rows)


def passages(precontext: Sequence[Precontext]) -> list[Passage]:
    """The passages in reading order. Running headers, footers and page numbers are left out."""
    found: list[Passage] = []
    for entry, (heading, paged) in zip(precontext, headings(precontext), strict=True):
        items = _by_item(entry.soft)
        if isinstance(entry.result, DocumentResult):
            for page in entry.result.pages:
                found += _page(page, place_of(heading, page.page if paged else None), items, entry.name)
        elif isinstance(entry.result, Speech):
            found += _turns(entry.result, heading, items, entry.name)
        else:
            found += _detections(entry.result, heading, paged, items, entry.name)
    return found


def _by_item(soft: SoftTokens | None) -> _Items:
    if soft is None:
        return {}
    return {(span.page, span.item): soft.vectors[span.start : span.stop] for span in soft.spans}


def _joined(items: _Items, page: int, wanted: Sequence[int]) -> tuple[Vectors, ...]:
    """The soft tokens of some items as one cell; none unless every item has some, or what the others say is lost."""
    found = [items[page, item] for item in wanted if (page, item) in items]
    return (np.concatenate(found),) if found and len(found) == len(wanted) else ()


def _page(page: Page, place: str, items: _Items, task: str) -> Iterator[Passage]:
    if not page.lines:
        yield from (Passage((Row(text.strip()),), place, task) for text in page.text.split("\n\n") if text.strip())
        return
    item = 0
    for block in text_blocks(page):
        numbers = range(item, item + len(block.lines))
        item += len(block.lines)
        if block.role in MARGINS or not block.text.strip():
            continue
        if block.role is Role.TABLE and block.table is not None:
            yield Passage(tuple(_table_rows(page, block, block.table, numbers, items)), place, task)
        else:
            text = block.text.replace("\t", " | ") if block.role is Role.TABLE else block.text
            yield Passage((Row(text, cells=_joined(items, page.page, numbers)),), place, task)


def _table_rows(page: Page, block: TextBlock, table: Table, numbers: Sequence[int], items: _Items) -> Iterator[Row]:
    """The rows of a table's text, each with what its cells have of soft tokens."""
    inside: dict[tuple[int, int], list[int]] = {}
    if any((page.page, number) in items for number in numbers):
        boxes = [extent(cell.quad) for cell in table.cells]
        for number, line in zip(numbers, block.lines, strict=True):
            cell = table.cells[_cell_of(line, boxes)]
            inside.setdefault((cell.row, cell.column), []).append(number)
    for number, texts in table_rows(table):
        soft: list[Vectors | str] = []
        for column, text in texts:
            soft += _joined(items, page.page, inside.get((number, column), ())) or (text,)
        has_soft = any(not isinstance(cell, str) for cell in soft)
        text = (" " if table.columns <= 2 else " | ").join(text for _, text in texts)
        yield Row(text, cells=tuple(soft) if has_soft else ())


def _cell_of(line: Line, boxes: Sequence[tuple[float, float, float, float]]) -> int:
    """The cell that a line of a table stands in: the one around its middle, else the nearest."""
    left, top, right, bottom = extent(line.quad)
    x, y = (left + right) / 2, (top + bottom) / 2

    def distance(number: int) -> tuple[float, float]:
        x0, y0, x1, y1 = boxes[number]
        outside = max(x0 - x, 0, x - x1) + max(y0 - y, 0, y - y1)
        return outside, abs((y0 + y1) / 2 - y) + abs((x0 + x1) / 2 - x)

    return min(range(len(boxes)), key=distance)


def _turns(speech: Speech, place: str, items: _Items, task: str) -> Iterator[Passage]:
    """Consecutive chunks of one speaker as one passage, with the time it starts at."""
    turn: list[int] = []
    for index, chunk in enumerate(speech.chunks):
        words = sum(len(speech.chunks[i].text.split()) for i in turn)
        if turn and (chunk.speaker != speech.chunks[turn[-1]].speaker or words >= _TURN_WORDS):
            yield Passage((_turn(speech.chunks, turn, items),), place, task)
            turn = []
        turn.append(index)
    if turn:
        yield Passage((_turn(speech.chunks, turn, items),), place, task)


def _turn(chunks: Sequence[Chunk], turn: Sequence[int], items: _Items) -> Row:
    first = chunks[turn[0]]
    speaker = f" {first.speaker}" if first.speaker else ""
    minutes, seconds = divmod(int(first.start), 60)
    text = " ".join(chunks[i].text.strip() for i in turn)
    return Row(text, f"[{minutes}:{seconds:02d}{speaker}]", _joined(items, 1, turn))


_FOUND = {"gui_detection": "Interface elements found"}


def _detections(found: Sequence[Detection], heading: str, paged: bool, items: _Items, task: str) -> Iterator[Passage]:
    """How many of what were found, none included, and a line for each: label, box in pixels, confidence."""
    counts = ", ".join(f"{count} {label}" for label, count in Counter(item.label for item in found).items())
    yield Passage((Row(f"{_FOUND.get(task, 'Objects found')}: {counts or 'none'}"),), heading, task)
    paged = paged or len({item.page for item in found}) > 1
    on_page: Counter[int] = Counter()
    for item in found:
        left, top, right, bottom = (round(edge) for edge in extent(item.quad))
        text = f"{item.label} at ({left}, {top}) to ({right}, {bottom}), confidence {item.confidence:.2f}"
        cells = _joined(items, item.page, [on_page[item.page]])
        on_page[item.page] += 1
        yield Passage((Row(text, cells=cells),), place_of(heading, item.page if paged else None), task)
