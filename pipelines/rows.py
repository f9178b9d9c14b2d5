"""Rows of the tables back as result types: the inverse of `tables.as_row`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

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


_NOWHERE = (0.0,) * 8


def _quads_of(rows: Sequence[dict[str, Any]]) -> list[Quad]:
    """`quad_of` of many rows, in a twentieth of the time: what float32 times 100 is a float64 knows exactly, so this
    rounds alike."""
    corners = np.array([row["quad"] or _NOWHERE for row in rows], np.float64).reshape(-1, 8)
    return list(map(tuple, (np.rint(corners * 100) / 100).tolist()))  # type: ignore[arg-type]


def _shares_of(rows: Sequence[dict[str, Any]]) -> list[float]:
    """`_share` of many rows."""
    values = np.array([row["confidence"] or 0.0 for row in rows], np.float64)
    return (np.rint(values * 10_000) / 10_000).tolist()  # type: ignore[no-any-return]


def _share(value: float | None) -> float:
    """A confidence; the tables hold float32, whose tail says nothing."""
    return round(value or 0.0, 4)


def page_of(row: dict[str, Any]) -> Page:
    """A page from its row."""
    printed = [(line, line["words"] or ()) for line in row["lines"] or ()]
    placed = [line for line, _ in printed] + [word for _, words in printed for word in words]
    places = list(zip(_quads_of(placed), _shares_of(placed), strict=True))
    following = iter(places[len(printed) :])
    lines = tuple(
        Line(
            line["text"] or "",
            corners,
            share,
            tuple(Word(word["text"] or "", *next(following)) for word in words),
            Role(line["role"] or "body"),
            line["paragraph"] or 0,
            line["script"] or "Latn",
        )
        for (line, words), (corners, share) in zip(printed, places)
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
