"""The three tables and their Arrow schemas: one place, explicit, in plain types that any engine reads.

Delta has no float16, and a column that is empty everywhere loses its type unless it is cast, so every file is
written through one of these schemas. `objects` and `gui_elements` are null until their encoder ran; `soft_tokens`
and `features` are null unless a run kept them (`pipelines.tensors`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from encoders.failures import InterlaceError
from pipelines.storage import ROWS, Storage, told

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_QUAD = pa.list_(pa.float32())
_STRING = pa.string()


def _struct(**fields: pa.DataType) -> pa.StructType:
    return pa.struct(list(fields.items()))


WORD = _struct(text=_STRING, quad=_QUAD, confidence=pa.float32())
LINE = _struct(
    text=_STRING,
    quad=_QUAD,
    confidence=pa.float32(),
    role=_STRING,
    paragraph=pa.int32(),
    script=_STRING,
    words=pa.list_(WORD),
)
CELL = _struct(row=pa.int32(), column=pa.int32(), row_span=pa.int32(), column_span=pa.int32(), text=_STRING, quad=_QUAD)
TABLE = _struct(quad=_QUAD, rows=pa.int32(), columns=pa.int32(), continues=pa.bool_(), cells=pa.list_(CELL))
PAGE = _struct(
    page=pa.int32(),
    width=pa.int32(),
    height=pa.int32(),
    rotation=pa.int32(),
    source=_STRING,
    text=_STRING,
    lines=pa.list_(LINE),
    tables=pa.list_(TABLE),
)
SPOKEN_WORD = _struct(text=_STRING, start=pa.float64(), end=pa.float64(), confidence=pa.float32(), speaker=_STRING)
CHUNK = _struct(
    text=_STRING,
    start=pa.float64(),
    end=pa.float64(),
    confidence=pa.float32(),
    speaker=_STRING,
    words=pa.list_(SPOKEN_WORD),
)
SPEAKER = _struct(speaker=_STRING, seconds=pa.float64(), embedding=pa.list_(pa.float32()))
SPEECH = _struct(
    text=_STRING,
    language=_STRING,
    language_confidence=pa.float32(),
    duration=pa.float64(),
    chunks=pa.list_(CHUNK),
    speakers=pa.list_(SPEAKER),
)
DETECTION = _struct(label=_STRING, quad=_QUAD, confidence=pa.float32(), page=pa.int32())
TENSOR = _struct(task=_STRING, data=pa.binary(), dtype=_STRING, shape=pa.list_(pa.int32()))
FAILURE = _struct(category=_STRING, stage=_STRING, message=_STRING, task=_STRING, page=pa.int32(), attempt=pa.int32())
STAGE_SECONDS = _struct(stage=_STRING, seconds=pa.float64())
EVIDENCE = _struct(
    path=_STRING,
    value=_STRING,
    part_id=_STRING,
    page=pa.int32(),
    quad=_QUAD,
    start=pa.float64(),
    end=pa.float64(),
    speaker=_STRING,
    confidence=pa.float32(),
)
LEAF = _struct(path=_STRING, value=_STRING, confidence=pa.float32(), seen=pa.bool_())
_TIME = pa.timestamp("us", tz="UTC")

ASSETS = pa.schema(
    {
        "uri": _STRING,
        "etag": _STRING,
        "size": pa.int64(),
        "modified": _TIME,
        "media_type": _STRING,
        "modality": _STRING,
        "pages": pa.int32(),
        "seconds": pa.float64(),
        "status": _STRING,
        "perception_fingerprint": _STRING,
        "parts": pa.int32(),
        "run_id": _STRING,
    }
)
PARTS = pa.schema(
    {
        "part_id": _STRING,
        "uri": _STRING,
        "etag": _STRING,
        "modality": _STRING,
        "media_type": _STRING,
        "range_start": pa.float64(),
        "range_stop": pa.float64(),
        "status": _STRING,
        "perception_fingerprint": _STRING,
        "pages": pa.list_(PAGE),
        "speech": SPEECH,
        "objects": pa.list_(DETECTION),
        "gui_elements": pa.list_(DETECTION),
        "soft_tokens": pa.list_(TENSOR),
        "features": pa.list_(TENSOR),  # that adapters are trained on; since format 3
        "text": _STRING,
        "failures": pa.list_(FAILURE),
        "attempts": pa.int32(),
        "read_at": _TIME,  # when the last attempt ended; since format 2
        "checkpoints": pa.list_(_STRING),
        "seconds": pa.list_(STAGE_SECONDS),
        "run_id": _STRING,
    }
)
ANSWERS = pa.schema(
    {
        "uri": _STRING,
        "etag": _STRING,
        "answer_fingerprint": _STRING,
        "question": _STRING,
        "answer": _STRING,
        "confidence": pa.float32(),
        "evidence": pa.list_(EVIDENCE),
        "leaves": pa.list_(LEAF),
        "truncated": pa.bool_(),
        "note": _STRING,
        "precontext": pa.list_(_STRING),
        "failures": pa.list_(FAILURE),
        "run_id": _STRING,
    }
)
SCHEMAS: dict[str, pa.Schema] = {"assets": ASSETS, "parts": PARTS, "answers": ANSWERS}
FORMAT = 3
"""Of the tables. 1: as first written, without a mark. 2: `parts` knows when it was read. 3: and may hold
features. See `pipelines.formats`."""
FORMAT_KEY = "interlace.format"
"""The property of each table that holds its format."""


def rows_to_table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as an Arrow table with exactly this schema; missing columns become null."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def as_row(value: Any) -> Any:
    """A result dataclass as nested dicts and tuples that `rows_to_table` accepts. `dataclasses.asdict` copies every
    corner of every word, which takes four times as long."""
    if isinstance(value, tuple):
        return tuple(map(as_row, value)) if value and _names(value[0].__class__) else value
    names = _names(value.__class__)
    if not names:
        return value
    row = {}
    for name in names:
        inner = getattr(value, name)
        row[name] = inner if type(inner) in _PLAIN else as_row(inner)
    return row


_PLAIN = frozenset({str, int, float, bool, type(None)})


@cache
def _names(kind: type) -> tuple[str, ...]:
    """A dataclass's fields; none of any other type."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def open_table(out: str | Storage, name: str) -> DeltaTable | None:
    """The Delta table ``name`` under OUT, or None when nothing was published there yet."""
    storage = out if isinstance(out, Storage) else Storage(out)
    with told("open", storage.table_uri(name), DeltaError):
        try:
            return DeltaTable(storage.table_uri(name), storage_options=storage.delta_options())
        except TableNotFoundError:
            return None


def data_paths(table: DeltaTable) -> list[str]:
    """Paths of a table's data files below its folder; `DeltaTable.file_uris` encodes spaces, and opens nothing."""
    with told("read the log of", table.table_uri, DeltaError):
        paths: list[str] = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    return paths


def require_tables(out: str | Storage) -> None:
    """Raise InterlaceError when OUT holds no tables."""
    storage = out if isinstance(out, Storage) else Storage(out)
    if open_table(storage, "assets") is None:
        raise InterlaceError(
            f"{storage.out} holds no Interlace tables; write some with: interlace run SOURCE --out {storage.out}"
        )


def read_table(out: str | Storage, name: str) -> ds.Dataset:
    """The published rows of ``assets``, ``parts`` or ``answers`` as a pyarrow dataset.

    Over the files that the Delta log names, through Arrow's own filesystem: Arrow's threads call Python in deltalake's,
    and a test process died in native code once, after scans through it had failed.

    Raises InterlaceError when OUT holds no tables; an unwritten table of a lake that has others reads as empty.
    """
    import pyarrow.dataset as ds  # brings pandas with it: half a second that a run with nothing to do does not need

    storage = out if isinstance(out, Storage) else Storage(out)
    table = open_table(storage, name)
    with told("read", storage.table_uri(name)):
        files = [storage.path(name, path) for path in data_paths(table)] if table is not None else []
        if files:
            return ds.dataset(files, schema=SCHEMAS[name], format="parquet", filesystem=storage.filesystem)
    if name == "assets" and table is None:
        require_tables(storage)
    return ds.dataset(SCHEMAS[name].empty_table())


def read_rows(out: str | Storage, name: str, *, columns: list[str] | None = None, filter: Any = None) -> pa.Table:
    """Rows of a table in memory. Raises InterlaceError as `read_table` does, StorageError when the store fails."""
    storage = out if isinstance(out, Storage) else Storage(out)
    rows = read_table(storage, name)
    with told("read", storage.table_uri(name)):
        return rows.to_table(columns=columns, filter=filter)


def read_batches(out: str | Storage, name: str, **scan: Any) -> Iterator[pa.RecordBatch]:
    """The same, batch after batch; ``scan`` is what a dataset's `to_batches` takes."""
    storage = out if isinstance(out, Storage) else Storage(out)
    rows = read_table(storage, name)
    with told("read", storage.table_uri(name)):
        yield from rows.to_batches(**scan)


def read_columns(out: str | Storage, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Columns of a table, some ten thousand rows at a time; nothing when it was never written.

    They may be leaves of nested columns ("pages.page"), which a dataset cannot read alone: counting pages must not read
    their words. Rows of small files come together, with one schema: thousands of tables with their own take more than
    what is in them.
    """
    storage = out if isinstance(out, Storage) else Storage(out)
    table = open_table(storage, name)
    paths = iter([storage.path(name, path) for path in data_paths(table)] if table is not None else [])

    def read(file: str) -> pa.Table | None:
        """The rows of a file, unless they are many."""
        pa.default_memory_pool().release_unused()  # what the main thread freed of this one's
        with told("read", storage.shown(file)), storage.filesystem.open_input_file(file) as stream:
            reader = pq.ParquetFile(stream)
            rows = reader.metadata.num_rows
            return None if rows > ROWS else reader.read(_leaves(reader, columns), use_threads=False)

    def parts(file: str) -> Iterator[pa.Table]:
        with told("read", storage.shown(file)), storage.filesystem.open_input_file(file) as stream:
            reader = pq.ParquetFile(stream)
            for batch in reader.iter_batches(ROWS, columns=_leaves(reader, columns), use_threads=False):
                yield pa.Table.from_batches([batch])

    def declared(rows: pa.Table) -> pa.Table:
        rows = rows.select([column for column in SCHEMAS[name].names if column in rows.column_names])
        return rows.cast(pa.schema([_as_declared(field, SCHEMAS[name].field(field.name)) for field in rows.schema]))

    with ThreadPoolExecutor(_READERS) as pool:
        while some := list(islice(paths, 2 * _READERS)):
            found = list(pool.map(read, some))
            small = [declared(rows) for rows in found if rows is not None]
            if small:
                yield pa.concat_tables(small).combine_chunks()
            for file in (file for file, rows in zip(some, found, strict=True) if rows is None):
                yield from map(declared, parts(file))


def _leaves(reader: pq.ParquetFile, columns: Sequence[str]) -> list[str]:
    paths = [reader.schema.column(number).path for number in range(len(reader.schema))]
    return [path for path in paths if _REPEATED.sub("", path) in columns]


def _as_declared(found: pa.Field, declared: pa.Field) -> pa.Field:
    """What was found with the types that were declared for it. Other writers use others for the same values: after a
    delete by deltalake strings are views, for which Arrow has no lookups."""
    if pa.types.is_struct(found.type):
        fields = [_as_declared(field, declared.type.field(field.name)) for field in found.type]
        return pa.field(found.name, pa.struct(fields))
    if pa.types.is_list(found.type):
        return pa.field(found.name, pa.list_(_as_declared(found.type.value_field, declared.type.value_field)))
    return pa.field(found.name, declared.type)


_READERS = 8  # files at once: they are many and small, and a store takes its time over each
_REPEATED = re.compile(r"\.list\.(element|item)")  # what Parquet puts between a list and its values
