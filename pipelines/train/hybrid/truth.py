"""What a corpus is known to hold, as rows of Parquet: `row_of` a sample, and `sample_of` a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.train.hybrid.samples import PagePlan, PrintedLine, Sample, Task, Turn
from pipelines.train.script.render import Face

_STRING = pa.string()
_BOX = pa.list_(pa.float64())  # left, top, right, bottom in pixels of the page


def _structs(**fields: pa.DataType) -> pa.ListType:
    return pa.list_(pa.struct(list(fields.items())))


_LINES = _structs(text=_STRING, box=_BOX, script=_STRING, face=_STRING, face_index=pa.int32(), size=pa.int32())
_PAGES = _structs(width=pa.int32(), height=pa.int32(), lines=_LINES, rules=pa.list_(_BOX))
_TURNS = _structs(speaker=_STRING, text=_STRING, start=pa.float64(), end=pa.float64())

TRUTH = pa.schema(
    {
        "sample": pa.int64(),  # its number in the corpus
        "assets": pa.list_(_STRING),  # names below `archive/`: documents, then recordings
        "seed": pa.int64(),
        "kind": _STRING,
        "language": _STRING,
        "layout": _STRING,
        "held_out": pa.bool_(),
        "documents": pa.list_(_PAGES),
        "recordings": pa.list_(_TURNS),
        "tasks": _structs(kind=_STRING, question=_STRING, schema=_STRING, answer=_STRING, accepted=pa.list_(_STRING)),
        "notes": _structs(name=_STRING, value=_STRING),
    }
)
"""A row for each sample. Boxes are where lines were printed, before a scan turned the page by at most 0.8 degrees."""


def row_of(number: int, sample: Sample, assets: Sequence[str]) -> dict[str, Any]:
    """A sample with the names of its assets. Of faces only the file's name is kept: paths are of one machine."""
    return {
        "sample": number,
        "assets": list(assets),
        **{name: getattr(sample, name) for name in ("seed", "kind", "language", "layout", "held_out")},
        "documents": [[_page_row(page) for page in pages] for pages in sample.documents],
        "recordings": [[asdict(turn) for turn in turns] for turns in sample.recordings],
        "tasks": [asdict(task) for task in sample.tasks],
        "notes": [{"name": name, "value": value} for name, value in sample.notes.items()],
    }


def sample_of(row: dict[str, Any]) -> Sample:
    """The sample of a row; paths of its faces are bare names."""
    return Sample(
        row["seed"],
        row["kind"],
        row["language"],
        row["layout"],
        tuple(tuple(map(_page_of, pages)) for pages in row["documents"]),
        tuple(tuple(Turn(**turn) for turn in turns) for turns in row["recordings"]),
        tuple(Task(**task | {"accepted": tuple(task["accepted"])}) for task in row["tasks"]),
        row["held_out"],
        {note["name"]: note["value"] for note in row["notes"]},
    )


def _page_row(page: PagePlan) -> dict[str, Any]:
    lines = [
        {
            "text": line.text,
            "box": list(line.box),
            "script": line.script,
            "face": line.face.path.name,
            "face_index": line.face.index,
            "size": line.size,
        }
        for line in page.lines
    ]
    return {"width": page.width, "height": page.height, "lines": lines, "rules": [list(rule) for rule in page.rules]}


def _page_of(row: dict[str, Any]) -> PagePlan:
    lines = tuple(
        PrintedLine(
            line["text"], _box(line["box"]), Face(Path(line["face"]), line["face_index"]), line["size"], line["script"]
        )
        for line in row["lines"]
    )
    return PagePlan(row["width"], row["height"], lines, tuple(map(_box, row["rules"])))


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = values
    return left, top, right, bottom
