"""Which commit records of a run hold nothing but whole assets, and what became of these: what a publish may take.

By shards of assets, because a run may have more parts than fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest import LISTING
from pipelines.row_file import RowFile
from pipelines.runfiles import CommitRecord, DataFile, RunFiles
from pipelines.shards import Shards
from pipelines.tables import ASSETS

_URI, _RECORD = LISTING.field("uri"), pa.field("record", pa.int32())
_PARTS = pa.schema([_URI, pa.field("status", pa.string()), _RECORD])
_ANSWERS = pa.schema([_URI, _RECORD])
_FILES = pa.schema(
    {"record": pa.int32(), "table": pa.string(), "path": pa.string(), "size": pa.int64(), "rows": pa.int64()}
)
_LISTED = pa.schema([*(field for field in ASSETS if field.name in LISTING.names), pa.field("expected", pa.int32())])
"""``expected``: parts that the run reads."""


class Candidates:
    """The records that no publish has taken yet. `decide` first; the rest is of those that remain."""

    def __init__(self, files: RunFiles, records: Iterable[CommitRecord], retried: Mapping[str, set[str]]) -> None:
        """``retried``: the parts that the run reads again, by asset."""
        self._files, self._retried = files, retried
        self._keys: list[str] = []
        self._data = RowFile(_FILES)
        self._shards = Shards({"parts": _PARTS, "answers": _ANSWERS, "listed": _LISTED, "there": pa.schema([_URI])})
        self._take(records)
        self._blocked = np.zeros(len(self._keys), bool)

    def _take(self, records: Iterable[CommitRecord]) -> None:
        parts, answers = RowFile(_PARTS), RowFile(_ANSWERS)
        for number, record in enumerate(records):
            self._keys.append(record.key)
            for _, uri, status in record.parts:
                parts.append({"uri": uri, "status": status, "record": number})
            for uri in record.answers:
                answers.append({"uri": uri, "record": number})
            for file in record.files:
                row = {"table": file.table, "path": file.path, "size": file.size, "rows": file.rows}
                self._data.append(row | {"record": number})
        for name, rows in (("parts", parts), ("answers", answers)):
            for table in rows.tables():
                self._shards.add(name, table)
        if self._keys:
            self._add_listing(answers.num_rows > 0)

    def _add_listing(self, answered: bool) -> None:
        read = pa.array(["new", "failed", "retried"])
        for rows in self._files.listing_tables([*_LISTED.names[:-1], "state"]):
            if answered:
                self._shards.add("there", rows.filter(pc.equal(rows["state"], "unchanged")).select(["uri"]))
            own = rows.filter(pc.is_in(rows["state"], value_set=read)).drop_columns(["state"])
            expected = own["parts"]
            if self._retried:
                again = [len(self._retried.get(uri, ())) for uri in own["uri"].to_pylist()]
                expected = pa.array([a or parts for a, parts in zip(again, expected.to_pylist())], pa.int32())
            self._shards.add("listed", own.append_column(_LISTED.field("expected"), expected))
        for uris in self._files.announced() if answered else ():
            self._shards.add("there", pa.table([uris], schema=pa.schema([_URI])))

    def decide(self) -> None:
        """A record that holds a part of an unfinished asset waits, and so do the other assets of which it has parts;
        so does one that answers what is not there."""
        before = -1
        while before < self._blocked.sum():
            before = self._blocked.sum()
            for shard in self._shards:
                self._decide(shard)

    def _decide(self, shard: dict[str, pa.Table]) -> None:
        parts = self._left(shard["parts"])
        counted = pc.value_counts(parts["uri"])
        uris = counted.field("values")
        expected = shard["listed"]["expected"].take(pc.index_in(uris, value_set=shard["listed"]["uri"]))
        whole = pc.fill_null(pc.greater_equal(counted.field("counts"), expected), False)
        self._block(parts, pc.is_in(parts["uri"], value_set=uris.filter(pc.invert(whole))))
        answers = self._left(shard["answers"])
        there = pc.or_(*(pc.is_in(answers["uri"], value_set=known) for known in (shard["there"]["uri"], uris)))
        self._block(answers, pc.invert(there))

    def _left(self, rows: pa.Table) -> pa.Table:
        return rows.filter(pa.array(~self._blocked[rows["record"].to_numpy()]))

    def _block(self, rows: pa.Table, which: pa.ChunkedArray) -> None:
        self._blocked[rows["record"].filter(which).to_numpy()] = True

    @property
    def keys(self) -> list[str]:
        """Of the records."""
        return [key for key, blocked in zip(self._keys, self._blocked.tolist(), strict=True) if not blocked]

    def data_files(self) -> Iterator[DataFile]:
        """Of the records."""
        for rows in self._data.tables():
            for row in self._left(rows).drop_columns(["record"]).to_pylist():
                yield DataFile(**row)

    def assets(self) -> Iterator[tuple[dict[str, list[str]], pa.Table]]:
        """For some of the assets after others the states of their parts, and what the listing says of them."""
        for shard in self._shards:
            parts = self._left(shard["parts"])
            states: dict[str, list[str]] = {}
            for uri, status in zip(parts["uri"].to_pylist(), parts["status"].to_pylist(), strict=True):
                states.setdefault(uri, []).append(status)
            if states:
                yield states, shard["listed"]
