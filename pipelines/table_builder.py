"""Rows that become Arrow a few thousand at a time: as Python dicts an archive's listing takes ten times the memory."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.tables import rows_to_table

CHUNK_ROWS = 8192


class TableBuilder:
    """Collects rows of one schema."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._chunks: list[pa.Table] = []

    def append(self, row: dict[str, Any]) -> None:
        """One more row; columns that it lacks are null."""
        self._rows.append(row)
        if len(self._rows) >= CHUNK_ROWS:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Rows that are Arrow already, with exactly this schema."""
        self._flush()
        self._chunks.append(table)

    def table(self) -> pa.Table:
        """All rows so far."""
        self._flush()
        return pa.concat_tables(self._chunks) if self._chunks else self._schema.empty_table()

    def _flush(self) -> None:
        if self._rows:
            self._chunks.append(rows_to_table(self._rows, self._schema))
            self._rows = []
