"""What a retry must not take away: a part that was read in part, and not at all the second time, keeps what it had."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.runfiles import CommitRecord, DataFile, RunFiles
from pipelines.tables import PARTS, read_rows, rows_to_table


def keep_what_was_read(
    files: RunFiles, records: Iterable[CommitRecord], part_ids: Collection[str]
) -> list[CommitRecord]:
    """The records of a retry of ``part_ids``, with files in which a part that now holds less is its row in the table,
    with its attempts counted on; the records' states say the same."""
    records = list(records)
    bad = {part for record in records for part, _, status in record.parts if status != "ok"}.intersection(part_ids)
    if not bad:
        return records
    chosen = pc.field("part_id").isin(pa.array(sorted(bad), pa.string())) & (pc.field("status") == "partial")
    old = {row["part_id"]: row for row in read_rows(files.storage, "parts", filter=chosen).to_pylist()}
    touched = [any(part in old for part, _, _ in record.parts) for record in records]
    return [_kept(files, record, old) if some else record for record, some in zip(records, touched, strict=True)]


def _kept(files: RunFiles, record: CommitRecord, old: dict[str, dict[str, Any]]) -> CommitRecord:
    data: list[DataFile] = []
    states = {part: status for part, _, status in record.parts}
    for file in record.files:
        if file.table == "parts":
            rows = files.storage.read_parquet(files.storage.path("parts", file.path)).to_pylist()
            rows = [_better(old.get(row["part_id"]), row) for row in rows]
            states |= {row["part_id"]: row["status"] for row in rows}
            path = f"{files.run_id}/kept-{uuid.uuid4().hex[:12]}.parquet"
            size = files.storage.write_parquet(files.storage.path("parts", path), rows_to_table(rows, PARTS))
            data.append(DataFile("parts", path, size, len(rows)))
        else:
            data.append(file)
    parts = tuple((part, uri, states[part]) for part, uri, _ in record.parts)
    return replace(record, parts=parts, files=tuple(data))


def _better(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    if old is None or new["status"] == "ok" or _size(new) >= _size(old):
        return new
    return _merged(old, new)


def _size(row: dict[str, Any]) -> tuple[int, bool]:
    return len(row["pages"] or ()), row["speech"] is not None


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The old row, and that it was tried again; a failure that comes back the same is there once."""
    known = {(failure["category"], failure["message"]) for failure in old["failures"]}
    more = [failure for failure in new["failures"] if (failure["category"], failure["message"]) not in known]
    counted = {name: new[name] for name in ("attempts", "read_at", "run_id")}
    return old | counted | {"failures": [*old["failures"], *more]}
