"""Whole assets out of the tables: parts joined in order, rows turned back into result types, one at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.failures import Failure, FailureCategory
from encoders.results import (
    Cell,
    Chunk,
    Detection,
    Line,
    Page,
    Quad,
    Role,
    Speaker,
    Speech,
    SpokenWord,
    Table,
    Word,
)
from encoders.speech.matching import match_speakers
from pipelines.storage import Storage
from pipelines.tables import read_table

PART_COLUMNS = (
    "part_id",
    "uri",
    "modality",
    "media_type",
    "range_start",
    "status",
    "pages",
    "speech",
    "objects",
    "gui_elements",
    "failures",
    "seconds",
)
BATCH_ROWS = 64  # a part holds up to 32 pages of words; more rows at once would be hundreds of megabytes


@dataclass(slots=True)
class AssetRecord:
    """One asset as the tables know it, over all of its parts.

    ``pages`` are in order; ``speech`` is one transcript with times from the start of the recording and one label
    per voice. ``answers`` are rows of the table `answers`; ``seconds`` has the time of each stage.
    """

    uri: str
    etag: str = ""
    size: int = 0
    modified: datetime | None = None
    media_type: str = ""
    modality: str = ""
    status: str = ""
    parts: int = 0
    page_count: int = 0
    duration: float = 0.0  # seconds, as the probe found
    pages: list[Page] = field(default_factory=list)
    speech: Speech | None = None
    objects: list[Detection] = field(default_factory=list)
    gui_elements: list[Detection] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def read_records(
    out: str | Storage, *, uris: Collection[str] | None = None, status: Collection[str] | None = None
) -> Iterator[AssetRecord]:
    """Every asset of OUT once, in table order; only those of ``uris`` and ``status`` when given.

    One pass over `parts`: an asset leaves when its last part was seen, so that memory holds one batch, the assets
    under way, and the small columns of `assets` and `answers`. Raises InterlaceError when OUT holds no tables.
    """
    assets = read_table(out, "assets").to_table(filter=_condition(uris, status)).combine_chunks()
    pending = {uri: number for number, uri in enumerate(assets["uri"].to_pylist())}  # rows stay Arrow: a tenth of dicts
    counts = assets["parts"].to_pylist()
    answers = read_table(out, "answers").to_table(filter=_condition(uris, None)).combine_chunks()
    answered: dict[str, list[int]] = {}
    for number, uri in enumerate(answers["uri"].to_pylist()):
        answered.setdefault(uri, []).append(number)

    def record(uri: str, parts: list[dict[str, Any]]) -> AssetRecord:
        asset = assets.slice(pending.pop(uri), 1).to_pylist()[0]
        return _record(asset, parts, [answers.slice(number, 1).to_pylist()[0] for number in answered.pop(uri, ())])

    waiting: dict[str, list[dict[str, Any]]] = {}
    scan = read_table(out, "parts").to_batches(
        columns=list(PART_COLUMNS),
        filter=_condition(uris, None),
        batch_size=BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
    )
    for batch in scan:
        for row in batch.to_pylist():
            uri = row["uri"]
            if uri not in pending:
                continue  # filtered out, or its last part is not published yet
            rows = waiting.setdefault(uri, [])
            rows.append(row)
            if len(rows) >= (counts[pending[uri]] or 1):
                yield record(uri, waiting.pop(uri))
    for uri in list(pending):  # parts that are missing, and assets that never had one
        yield record(uri, waiting.pop(uri, []))


def _condition(uris: Collection[str] | None, status: Collection[str] | None) -> pc.Expression | None:
    terms = [
        pc.field(name).isin(pa.array(sorted(values), pa.string()))
        for name, values in (("uri", uris), ("status", status))
        if values is not None
    ]
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else terms[0] & terms[1]


def _record(asset: dict[str, Any], parts: list[dict[str, Any]], answers: list[dict[str, Any]]) -> AssetRecord:
    parts.sort(key=lambda row: row["range_start"] or 0)
    seconds: dict[str, float] = {}
    for part in parts:
        for stage in part["seconds"] or ():
            seconds[stage["stage"]] = seconds.get(stage["stage"], 0.0) + stage["seconds"]
    return AssetRecord(
        uri=asset["uri"],
        etag=asset["etag"] or "",
        size=asset["size"] or 0,
        modified=asset["modified"],
        media_type=asset["media_type"] or "",
        modality=asset["modality"] or "",
        status=asset["status"] or "",
        parts=len(parts),
        page_count=asset["pages"] or 0,
        duration=asset["seconds"] or 0.0,
        pages=sorted((page_of(row) for part in parts for row in part["pages"] or ()), key=lambda page: page.page),
        speech=_whole([speech_of(part["speech"]) for part in parts if part["speech"] is not None]),
        objects=[detection_of(row) for part in parts for row in part["objects"] or ()],
        gui_elements=[detection_of(row) for part in parts for row in part["gui_elements"] or ()],
        failures=[failure_of(row) for part in parts for row in part["failures"] or ()],
        answers=answers,
        seconds=seconds,
    )


def _whole(parts: Sequence[Speech]) -> Speech | None:
    """The parts of a recording as one transcript; voices that sound alike have one label."""
    if len(parts) < 2:
        return parts[0] if parts else None
    matched = match_speakers(parts)
    speakers: dict[str, Speaker] = {}
    for speaker in (speaker for part in matched for speaker in part.speakers):
        known = speakers.get(speaker.speaker)
        total = speaker.seconds + (known.seconds if known else 0.0)
        speakers[speaker.speaker] = Speaker(speaker.speaker, total, (known or speaker).embedding)
    most = max(matched, key=lambda part: sum(chunk.end - chunk.start for chunk in part.chunks))
    return Speech(
        text=" ".join(part.text for part in matched if part.text),
        language=most.language,
        language_confidence=most.language_confidence,
        duration=sum(part.duration for part in matched),
        chunks=tuple(chunk for part in matched for chunk in part.chunks),
        speakers=tuple(speakers[label] for label in sorted(speakers)),
    )


def quad_of(values: Sequence[float] | None) -> Quad:
    """Eight floats of a row as a quad."""
    x0, y0, x1, y1, x2, y2, x3, y3 = (round(value, 2) for value in values or (0.0,) * 8)  # they are float32
    return (x0, y0, x1, y1, x2, y2, x3, y3)


def _share(value: float | None) -> float:
    """A confidence; the tables hold float32, whose tail says nothing."""
    return round(value or 0.0, 4)


def page_of(row: dict[str, Any]) -> Page:
    """A page from its row."""
    lines = tuple(
        Line(
            line["text"] or "",
            quad_of(line["quad"]),
            _share(line["confidence"]),
            tuple(
                Word(word["text"] or "", quad_of(word["quad"]), _share(word["confidence"]))
                for word in line["words"] or ()
            ),
            Role(line["role"] or "body"),
            line["paragraph"] or 0,
            line["script"] or "Latn",
        )
        for line in row["lines"] or ()
    )
    tables = tuple(table_of(table) for table in row["tables"] or ())
    source, text, rotation = row["source"] or "", row["text"] or "", row["rotation"] or 0
    return Page(row["page"], row["width"], row["height"], source, text, lines, tables, rotation)


def table_of(row: dict[str, Any]) -> Table:
    """A table from its row."""
    cells = []
    for cell in row["cells"] or ():
        place = cell["row"], cell["column"], cell["row_span"] or 1, cell["column_span"] or 1
        cells.append(Cell(*place, cell["text"] or "", quad_of(cell["quad"])))
    return Table(quad_of(row["quad"]), row["rows"], row["columns"], tuple(cells), bool(row["continues"]))


def speech_of(row: dict[str, Any]) -> Speech:
    """A transcript from its row."""
    chunks = tuple(
        Chunk(
            chunk["text"] or "",
            chunk["start"],
            chunk["end"],
            _share(chunk["confidence"]),
            chunk["speaker"],
            tuple(
                SpokenWord(word["text"] or "", word["start"], word["end"], _share(word["confidence"]), word["speaker"])
                for word in chunk["words"] or ()
            ),
        )
        for chunk in row["chunks"] or ()
    )
    speakers = tuple(
        Speaker(speaker["speaker"], speaker["seconds"] or 0.0, tuple(speaker["embedding"] or ()))
        for speaker in row["speakers"] or ()
    )
    confidence, duration = _share(row["language_confidence"]), row["duration"] or 0.0
    return Speech(row["text"] or "", row["language"] or "", confidence, duration, chunks, speakers)


def detection_of(row: dict[str, Any]) -> Detection:
    """A detected object or interface element from its row."""
    return Detection(row["label"] or "", quad_of(row["quad"]), _share(row["confidence"]), row["page"] or 1)


def failure_of(row: dict[str, Any]) -> Failure:
    """A failure from its row."""
    category = FailureCategory(row["category"])
    return Failure(category, row["stage"] or "", row["message"] or "", row["task"], row["page"], row["attempt"] or 1)
