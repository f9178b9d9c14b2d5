"""Joins of tables that do not fit in memory: rows with the same key meet in one of many shards, and each shard is
joined in memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import spill_file
from pipelines.spill_file import Piece, SpillFile

BITS = 8  # of a key's hash: 256 shards
_KEYS = 16_384


class Shards:
    """Rows of several tables, divided by the hash of a column that all of them have. What fits in memory stays there
    and is one shard; a shard that does not is divided again."""

    def __init__(self, schemas: Mapping[str, pa.Schema], key: str = "uri", level: int = 0) -> None:
        self._schemas, self._key, self._level = dict(schemas), key, level
        self._held: dict[str, list[pa.Table]] = {name: [] for name in schemas}
        self._bytes = 0
        self._file = SpillFile()
        self._pieces: list[dict[str, list[Piece]]] = []
        self._sizes = [0] * 2**BITS  # of the shards in memory, roughly

    def add(self, name: str, rows: pa.Table | pa.RecordBatch) -> None:
        """Rows of one of the tables; within a shard they keep the order in which they came."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if not table.num_rows:
            return
        self._held[name].append(table)
        self._bytes += table.nbytes
        if self._bytes > spill_file.MEMORY:
            self._spill()

    def __iter__(self) -> Iterator[dict[str, pa.Table]]:
        """Shard after shard the rows of each table; as often as wanted, once all rows are there."""
        if not self._pieces:
            yield {
                name: pa.concat_tables([self._schemas[name].empty_table(), *held]) for name, held in self._held.items()
            }
            return
        self._spill()
        for pieces, size in zip(self._pieces, self._sizes, strict=True):
            if size > 2 * spill_file.MEMORY and (self._level + 2) * BITS <= 32:
                yield from self._divided(pieces)
            elif size:
                yield {
                    name: pa.concat_tables([schema.empty_table(), *map(self._file.read, pieces[name])])
                    for name, schema in self._schemas.items()
                }

    def _divided(self, pieces: dict[str, list[Piece]]) -> Shards:
        within = Shards(self._schemas, self._key, self._level + 1)
        for name, own in pieces.items():
            for piece in own:
                within.add(name, self._file.read(piece))
        return within

    def _spill(self) -> None:
        self._pieces = self._pieces or [{name: [] for name in self._schemas} for _ in range(2**BITS)]
        for name, tables in self._held.items():
            if tables:
                self._split(name, tables)
        self._bytes = 0
        pa.default_memory_pool().release_unused()  # it keeps what other threads have freed

    def _split(self, name: str, tables: list[pa.Table]) -> None:
        rows = pa.concat_tables(tables).combine_chunks()
        tables.clear()
        bits = _hashes(rows[self._key]) >> np.uint32(BITS * self._level) & np.uint32(2**BITS - 1)
        shard = bits.astype(np.uint8)
        order = np.argsort(shard, kind="stable")
        bounds = np.searchsorted(shard[order], np.arange(2**BITS + 1))
        rows = rows.take(pa.array(order))
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            own = rows.slice(bounds[number], bounds[number + 1] - bounds[number])
            self._pieces[number][name].append(self._file.append(own))
            self._sizes[number] += own.nbytes


def _hashes(keys: pa.ChunkedArray) -> np.ndarray:
    """32 bits of each key; as Python bytes only some thousands are there at once."""
    found = np.empty(len(keys), np.uint32)
    for start in range(0, len(keys), _KEYS):
        values = pc.fill_null(keys.slice(start, _KEYS), "").cast(pa.binary()).to_pylist()
        found[start : start + len(values)] = np.fromiter(map(zlib.crc32, values), np.uint32, len(values))
    return found
