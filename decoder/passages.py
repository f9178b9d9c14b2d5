"""The passages that a prompt is made of: paragraphs, tables, turns of speech, objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoder.headings import headings, place_of
from decoder.placing import in_reading_order, part_of
from decoder.precontext import Precontext
from encoders.adapters.soft import SoftTokens
from encoders.layout.joining import ends_in_hyphen
from encoders.layout.page_text import MARGINS, TextBlock, table_rows, text_blocks
from encoders.layout.printed import PrintedRows
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
    printed once. ``task`` names the specialist. ``confidence`` is that of a detected thing: of several that all match a
    question alike, those that are surer are read first.
    """

    rows: tuple[Row, ...]
    place: str = ""
    task: str = ""
    confidence: float | None = None

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
            found += _detections(entry, heading, paged, items)
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
    printed = PrintedRows(page.lines)
    item = 0
    for block in text_blocks(page):
        numbers = range(item, item + len(block.lines))
        item += len(block.lines)
        if block.role in MARGINS or not block.text.strip():
            continue
        if block.role is Role.TABLE and block.table is not None:
            yield Passage(tuple(_table_rows(page, block, block.table, numbers, items, printed)), place, task)
        else:
            yield Passage(tuple(_rows(page, block, numbers, items, printed)), place, task)


def _rows(page: Page, block: TextBlock, numbers: Sequence[int], items: _Items, printed: PrintedRows) -> Iterator[Row]:
    """A paragraph's rows as they are printed: what is joined into one line no longer shows where a name, an address or
    a label ends. Running text stays in one piece, words that were parted at the end of a row are whole again."""
    rows = printed.of(numbers)
    if printed.running(rows) or any(len(row) == 1 and ends_in_hyphen(page.lines[row[0]].text) for row in rows[:-1]):
        yield Row(block.text, cells=_joined(items, page.page, numbers))
        return
    for cells in printed.in_columns(rows):
        yield _row(page, cells, items)


def _row(page: Page, cells: Sequence[Sequence[int]], items: _Items) -> Row:
    """A printed row of cells, each some lines or, between others, none."""
    texts = [" ".join(page.lines[number].text for number in cell) for cell in cells]
    soft: list[Vectors | str] = []
    for cell, text in zip(cells, texts, strict=True):
        soft += _joined(items, page.page, cell) or (text,)
    return Row(" | ".join(texts), cells=tuple(soft) if any(not isinstance(cell, str) for cell in soft) else ())


def _table_rows(
    page: Page, block: TextBlock, table: Table, numbers: Sequence[int], items: _Items, printed: PrintedRows
) -> Iterator[Row]:
    """The rows of a table's text, each with what its cells have of soft tokens. Where several cells of a row hold
    several printed rows, these come apart: an amount is told by the label that stands next to it."""
    inside: dict[int, dict[int, list[int]]] = {}
    boxes = np.array([extent(cell.quad) for cell in table.cells])
    for number, place in zip(numbers, _cells_of(block.lines, boxes), strict=True):
        cell = table.cells[place]
        inside.setdefault(cell.row, {}).setdefault(cell.column, []).append(number)
    for row, texts in table_rows(table):
        cells = inside.get(row, {})
        if sum(len(printed.of(found)) > 1 for found in cells.values()) > 1:
            column_of = {number: column for column, found in cells.items() for number in found}
            for together in printed.of(list(column_of)):
                last = max(column_of[number] for number in together)
                columns = [[n for n in together if column_of[n] == column] for column in range(last + 1)]
                yield _row(page, columns if table.columns > 2 else [c for c in columns if c], items)
            continue
        soft: list[Vectors | str] = []
        for column, text in texts:
            soft += _joined(items, page.page, cells.get(column, ())) or (text,)
        has_soft = any(not isinstance(cell, str) for cell in soft)
        yield Row(" | ".join(text for _, text in texts), cells=tuple(soft) if has_soft else ())


def _cells_of(lines: Sequence[Line], boxes: NDArray[np.float64]) -> list[int]:
    """The cell that each line of a table stands in, of boxes [n, 4]: the one around its middle, else the nearest."""
    found = np.array([extent(line.quad) for line in lines])
    middles = ((found[:, :2] + found[:, 2:]) / 2)[:, None]
    outside = np.maximum(np.maximum(boxes[:, :2] - middles, middles - boxes[:, 2:]), 0).sum(axis=2)
    apart = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - middles).sum(axis=2)
    nearest = outside <= outside.min(axis=1, keepdims=True)
    chosen: list[int] = np.where(nearest, apart, np.inf).argmin(axis=1).tolist()
    return chosen


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


def _detections(entry: Precontext, heading: str, paged: bool, items: _Items) -> Iterator[Passage]:
    """How large the picture is and how many of what were found in it, none included, and a line for each in reading
    order: label, part of the picture, box in pixels, confidence. What stands beside, above or first is told by the
    order, and which third it stands in by words: both are easier read than coordinates."""
    found, task = entry.result, entry.name
    assert isinstance(found, tuple)
    sizes = {page.page: (page.width, page.height) for page in entry.pages}
    alike = len(set(sizes.values())) == 1  # else each page's size stands beside its number
    inside = f" in {_pixels(next(iter(sizes.values())))}" if alike else ""
    counts = ", ".join(f"{count} {label}" for label, count in Counter(item.label for item in found).items())
    yield Passage((Row(f"{_FOUND.get(task, 'Objects found')}{inside}: {counts or 'none'}"),), heading, task)
    on_page: dict[int, list[Detection]] = {}
    for item in found:
        on_page.setdefault(item.page, []).append(item)
    for page, things in sorted(on_page.items()):
        place = place_of(heading, page if paged or len(on_page) > 1 else None)
        if place and not alike and page in sizes:
            place += f", {_pixels(sizes[page])}"
        for number in in_reading_order([extent(item.quad) for item in things]):
            row = Row(_found(things[number], sizes.get(page)), cells=_joined(items, page, [number]))
            yield Passage((row,), place, task, things[number].confidence)


def _found(item: Detection, size: tuple[int, int] | None) -> str:
    """A detected thing in words."""
    box = extent(item.quad)
    left, top, right, bottom = (round(edge) for edge in box)
    part = "{} {} ".format(*part_of(box, *size)) if size else ""
    return f"{item.label} at {part}({left}, {top}) to ({right}, {bottom}), confidence {item.confidence:.2f}"


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"
