"""Rows in order, of which only so many are in memory: a listing of ten million assets would take gigabytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from pipelines import spill_file
from pipelines.spill_file import Piece, SpillFile
from pipelines.tables import rows_to_table

CHUNK_ROWS = 8192  # become Arrow at once: as Python dicts they take ten times the memory


class RowFile:
    """Collects rows of one schema, and gives them back as often as wanted, in the order in which they came."""

    def __init__(self, schema: pa.Schema, tables: Iterable[pa.Table] = ()) -> None:
        self.schema, self.num_rows = schema, 0
        self._held = 0  # bytes in memory
        self._rows: list[dict[str, Any]] = []
        self._chunks: list[pa.Table | Piece] = []
        self._spilled = 0  # of the chunks, the first ones
        self._file = SpillFile()
        for table in tables:
            self.add(table)

    def append(self, row: dict[str, Any]) -> None:
        """One more row; columns that it lacks are null."""
        self._rows.append(row)
        self.num_rows += 1
        if len(self._rows) >= CHUNK_ROWS:
            self._flush()

    def add(self, table: pa.Table) -> None:
        """Rows that are Arrow already, with exactly this schema."""
        self._flush()
        self.num_rows += table.num_rows
        if table.num_rows:
            self._hold(table)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """All rows so far, some thousands at a time."""
        for table in self.tables():
            yield from table.to_batches()

    def tables(self) -> Iterator[pa.Table]:
        """The same as tables."""
        self._flush()
        for chunk in self._chunks:
            yield self._file.read(chunk) if isinstance(chunk, tuple) else chunk

    def table(self) -> pa.Table:
        """All rows in memory: for those that are known to be few."""
        return pa.concat_tables([self.schema.empty_table(), *self.tables()])

    def _flush(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            self._hold(rows_to_table(rows, self.schema))

    def _hold(self, table: pa.Table) -> None:
        self._chunks.append(table)
        self._held += table.nbytes
        if self._held > spill_file.MEMORY:
            for number in range(self._spilled, len(self._chunks)):
                self._chunks[number] = self._file.append(self._chunks[number])
            self._spilled, self._held = len(self._chunks), 0
