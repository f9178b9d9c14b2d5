"""What the report's template shows of one asset: reading views, compact boxes for the script, and the timeline."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from encoders.layout.joining import join
from encoders.results import Cell, Chunk, Line, Page, Role, Table, extent
from pipelines.records import AssetRecord
from pipelines.report_sources import Picture

UNSURE = 0.8  # a line or word below this confidence is underlined in the text
MARGINS = (Role.HEADER, Role.FOOTER, Role.PAGE_NUMBER)
VOICES = 6  # colours before they repeat


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list item or table of the reading view; ``lines`` are (number, text, confidence)."""

    kind: str  # heading, body, list, caption, footnote, margin, table
    lines: list[tuple[int, str, float]]
    rows: list[list[Cell]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PageView:
    """One page: its picture, if there is one, what to draw over it, and its text in reading order."""

    number: int
    width: int
    height: int
    source: str
    rotation: int
    lines: int
    confidence: float | None  # mean over lines
    picture: str  # a data: URI, or ""
    drawing: dict[str, Any]
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class Lane:
    """One speaker of a timeline."""

    speaker: str
    colour: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SpeechView:
    """A recording: lanes by speaker, chunks on them, and the sound when it is small enough to carry."""

    duration: float
    language: str
    lanes: list[Lane]
    chunks: list[tuple[int, Chunk]]  # lane, chunk
    sound: str
    wave: list[float]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer and where it was read; a structured one also by leaf: path, value, confidence, seen in the text."""

    question: str
    answer: str
    structured: bool
    confidence: float | None
    note: str  # what the decoder could not read of the text
    evidence: list[dict[str, Any]]
    leaves: list[dict[str, Any]]
    failures: list[str]


@dataclass(slots=True)
class AssetView:
    """All that the report shows of one asset."""

    number: int
    name: str
    folder: str
    record: AssetRecord
    pages: list[PageView]
    speech: SpeechView | None
    answers: list[AnswerView]


def asset_view(
    number: int,
    record: AssetRecord,
    pages: Sequence[Page],
    pictures: dict[int, Picture],
    sound: Picture | None,
    wave: list[float],
) -> AssetView:
    """The view of one asset with these of its pages."""
    folder, _, name = record.uri.rpartition("/")
    answers = [_answer(row) for row in record.answers]
    marks = [item for answer in answers for item in answer.evidence]
    views = [_page(page, pictures.get(page.page), record, marks) for page in pages]
    return AssetView(number, name or record.uri, folder, record, views, _speech(record, sound, wave), answers)


def wanted_pages(record: AssetRecord, most: int) -> list[Page]:
    """At most ``most`` pages: those with evidence first, then from the beginning."""
    evident = {item["page"] for row in record.answers for item in row["evidence"] or ()}
    ordered = sorted(record.pages, key=lambda page: (page.page not in evident, page.page))
    return sorted(ordered[:most], key=lambda page: page.page)


# -- pages ------------------------------------------------------------------------------------------------------------
def _page(page: Page, picture: Picture | None, record: AssetRecord, marks: Sequence[dict[str, Any]]) -> PageView:
    confidences = [line.confidence for line in page.lines]
    drawing = {
        "lines": [
            [_ints(line.quad), _percent(line.confidence), line.text, line.role.value, _words(line)]
            for line in page.lines
        ],
        "tables": [[_ints(table.quad), [_ints(cell.quad) for cell in table.cells]] for table in page.tables],
        "objects": [
            [_ints(item.quad), _percent(item.confidence), item.label]
            for item in [*record.objects, *record.gui_elements]
            if item.page == page.page
        ],
        "evidence": [_ints(mark["quad"]) for mark in marks if mark["page"] == page.page and mark["quad"]],
    }
    return PageView(
        page.page,
        page.width,
        page.height,
        {"text_layer": "text layer", "ocr": "read by OCR"}.get(page.source, page.source),
        page.rotation,
        len(page.lines),
        sum(confidences) / len(confidences) if confidences else None,
        picture.uri if picture else "",
        drawing,
        list(_blocks(page)),
    )


def _words(line: Line) -> list[list[Any]]:
    return [[_ints(word.quad), _percent(word.confidence), word.text] for word in line.words]


def _ints(quad: Sequence[float]) -> list[int]:
    return [round(value) for value in quad]


def _percent(confidence: float) -> int:
    return round(confidence * 100)


def _blocks(page: Page) -> Iterator[Block]:
    """Lines by paragraph in reading order; the lines of a table become the table, where the first of them stands."""
    shown: set[int] = set()
    group: list[tuple[int, Line]] = []
    for number, line in enumerate(page.lines):
        table = _table_of(page, line)
        if table is None:
            if group and (line.paragraph, line.role) != (group[-1][1].paragraph, group[-1][1].role):
                yield _block(group)
                group = []
            group.append((number, line))
        elif table not in shown:
            if group:
                yield _block(group)
                group = []
            shown.add(table)
            yield Block("table", [], _grid(page.tables[table]))
    if group:
        yield _block(group)


def _block(group: list[tuple[int, Line]]) -> Block:
    role = group[0][1].role
    kind = "margin" if role in MARGINS else "body" if role is Role.TABLE else role.value
    lines = []
    for (number, line), following in itertools.zip_longest(group, group[1:]):
        text = line.text
        if following is not None:  # what joining leaves of this line: its hyphen or not, a space or none
            after = following[1].text.strip()
            text = join(text, after)[: -len(after)] if after else text
        lines.append((number, text, line.confidence))
    return Block(kind, lines)


def _table_of(page: Page, line: Line) -> int | None:
    if line.role is not Role.TABLE:
        return None
    x0, y0, x1, y1 = extent(line.quad)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    for number, table in enumerate(page.tables):
        left, top, right, bottom = extent(table.quad)
        if left <= x <= right and top <= y <= bottom:
            return number
    return None


def _grid(table: Table) -> list[list[Cell]]:
    rows: dict[int, list[Cell]] = {}
    for cell in sorted(table.cells, key=lambda cell: (cell.row, cell.column)):
        rows.setdefault(cell.row, []).append(cell)
    return list(rows.values())


# -- recordings -------------------------------------------------------------------------------------------------------
def _speech(record: AssetRecord, sound: Picture | None, wave: list[float]) -> SpeechView | None:
    speech = record.speech
    if speech is None:
        return None
    labels = list(dict.fromkeys(chunk.speaker or "" for chunk in speech.chunks))
    spoken = {label: sum(c.end - c.start for c in speech.chunks if (c.speaker or "") == label) for label in labels}
    lanes = [Lane(label, index % VOICES, spoken[label]) for index, label in enumerate(labels)]
    end = max((chunk.end for chunk in speech.chunks), default=0.0)
    chunks = [(labels.index(chunk.speaker or ""), chunk) for chunk in speech.chunks]
    uri = sound.uri if sound else ""
    return SpeechView(max(speech.duration, end, 0.1), speech.language, lanes, chunks, uri, wave)


# -- answers ----------------------------------------------------------------------------------------------------------
def _answer(row: dict[str, Any]) -> AnswerView:
    text, structured = row["answer"] or "", False
    if text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            text, structured = json.dumps(json.loads(text), indent=2, ensure_ascii=False), True
    failures = [f"{failure['category']}: {failure['message']}" for failure in row["failures"] or ()]
    evidence: dict[Any, dict[str, Any]] = {}  # a value that is said twice is one place
    for item in row["evidence"] or ():
        evidence.setdefault((item["path"], item["page"], tuple(item["quad"] or ()), item["start"]), item)
    note = (
        (row["note"] or "answered from the part of the text that fits the context window") if row["truncated"] else ""
    )
    leaves = list(row["leaves"] or ()) if structured else []
    question = row["question"] or ""
    return AnswerView(question, text, structured, row["confidence"], note, list(evidence.values()), leaves, failures)
