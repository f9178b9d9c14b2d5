"""Rows of the tables back as result types: the inverse of `tables.as_row`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
