"""The files of one run below OUT/_interlace/runs/RUN: its state, listing, batches, and commit records.

A commit record is the durable mark that parts are done: it is created, once, after the data files it names are
whole. Whatever a killed or late worker left without a record does not exist for anybody.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, count, groupby, islice, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.manifest import LISTING, MANIFEST, Manifest
from pipelines.storage import Storage, told
from pipelines.tables import SCHEMAS

BATCHES_PER_FILE = 256  # a footer of more row groups costs more to read than the batch
_ROW_GROUP = 65_536
FEW_ASSETS = 100_000  # of a publish that are named in its plan
_ASSETS = pa.schema([LISTING.field("uri")])


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file that is not yet part of a table: its path below the table's folder."""

    table: str
    path: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What one write made durable: parts and answers, and the files that hold their rows."""

    key: str
    parts: tuple[tuple[str, str, str], ...]  # part_id, uri, status
    answers: tuple[str, ...]  # uris
    files: tuple[DataFile, ...]


class RunFiles:
    """Reads and writes the files of one run. Picklable."""

    def __init__(self, storage: Storage, run_id: str) -> None:
        self.storage, self.run_id = storage, run_id
        self.folder = storage.path("_interlace", "runs", run_id)
        self._state: dict[str, Any] = {}

    # -- state ------------------------------------------------------------------------------------------------
    def write_state(self, state: dict[str, Any]) -> None:
        """Replace run.json."""
        self.storage.write_json(f"{self.folder}/run.json", state)
        self._state = state

    def state(self) -> dict[str, Any]:
        """The contents of run.json, read once; empty when the run never froze its manifest."""
        self._state = self._state or self.storage.read_json(f"{self.folder}/run.json") or {}
        return self._state

    def write_live(self, data: bytes) -> None:
        """Replace what the run tells of itself while it works; see `pipelines.live`."""
        self.storage.write_notice(f"{self.folder}/live.json", data)

    def live(self) -> dict[str, Any] | None:
        """What it told last; None when it never did."""
        value: dict[str, Any] | None = self.storage.read_json(f"{self.folder}/live.json")
        return value

    # -- manifest ---------------------------------------------------------------------------------------------
    def freeze(self, manifest: Manifest) -> None:
        """Write listing and batches; a run exists once its run.json is written after this.

        The parts come in the order of their batches, which are numbered from 0."""
        with self.storage.parquet_writer(f"{self.folder}/listing.parquet", LISTING) as writer:
            for rows in _together(manifest.listing.to_batches()):
                writer.write_table(rows, row_group_size=rows.num_rows)
        batches = _by_batch(manifest.parts.to_batches())
        for number in count():
            if (first := next(batches, None)) is None:
                return
            path = f"{self.folder}/manifest-{number:05d}.parquet"
            with self.storage.parquet_writer(path, MANIFEST, small=True) as writer:
                for rows in chain([first], islice(batches, BATCHES_PER_FILE - 1)):
                    writer.write_table(rows, row_group_size=rows.num_rows)

    def listing(self, columns: list[str] | None = None) -> pa.Table:
        """One row per listed asset."""
        return self.storage.read_parquet(f"{self.folder}/listing.parquet", columns)

    def listing_up_to(self, rows: int, columns: list[str]) -> pa.Table | None:
        """The listing, or None when it has more rows than that."""
        return self.storage.read_parquet_up_to(f"{self.folder}/listing.parquet", rows, columns)

    def listing_tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The same, some ten thousand rows at a time."""
        return self.storage.read_parquet_rows(f"{self.folder}/listing.parquet", columns)

    def manifest(self, columns: list[str] | None = None) -> pa.Table:
        """One row per part, in batch order."""
        schema = MANIFEST if columns is None else pa.schema([MANIFEST.field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *self.manifest_tables(columns)])

    def has_parts(self) -> bool:
        """Whether it had anything to read."""
        return self.storage.exists(f"{self.folder}/manifest-00000.parquet")

    def manifest_tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The same, file by file."""
        for path in self.storage.files(self.folder, ".parquet"):
            if "/manifest-" in path:
                yield self.storage.read_parquet(path, columns)

    def batches(self, numbers: Sequence[int]) -> Iterator[pa.Table]:
        """The parts of these batches, in turn; the numbers rise, so that a file is opened once."""
        for file, own in groupby(numbers, lambda number: number // BATCHES_PER_FILE):
            path = f"{self.folder}/manifest-{file:05d}.parquet"
            with told("read", self.storage.shown(path)), self.storage.filesystem.open_input_file(path) as stream:
                reader = pq.ParquetFile(stream)
                for number in own:
                    yield reader.read_row_group(number % BATCHES_PER_FILE)

    # -- commits ----------------------------------------------------------------------------------------------
    def commit(self, rows: dict[str, pa.Table]) -> CommitRecord:
        """Write the rows of each table to a file of its own, then the record that makes them count.

        The key depends on what was done, not on its outcome, so that a second attempt at the same batch finds the
        record of the first and leaves its own files to nobody.
        """
        parts, answers = rows["parts"], rows["answers"]
        done = tuple(zip(*(parts[name].to_pylist() for name in ("part_id", "uri", "status")), strict=True))
        answered = tuple(answers["uri"].to_pylist())
        asked = sorted(zip(answers["uri"].to_pylist(), answers["answer_fingerprint"].to_pylist(), strict=True))
        names = sorted(part for part, _, _ in done) or [name for pair in asked for name in pair]
        key = hashlib.sha256("\0".join(names).encode()).hexdigest()[:24]
        files = []
        for name, table in rows.items():
            if table.num_rows:
                path = f"{self.run_id}/{key}-{uuid.uuid4().hex[:8]}.parquet"
                size = self.storage.write_parquet(self.storage.path(name, path), table.cast(SCHEMAS[name]))
                files.append(DataFile(name, path, size, table.num_rows))
        record = CommitRecord(key, done, answered, tuple(files))
        body = json.dumps(asdict(record)).encode()
        if not self.storage.write_if_absent(f"{self.folder}/commits/{key}.json", body):  # another attempt was first
            return self._read(f"{self.folder}/commits/{key}.json")
        return record

    def commits(self, skip: Collection[str] = ()) -> Iterator[CommitRecord]:
        """Every record, sorted by key, except those whose key is in ``skip``."""
        paths = self.storage.files(f"{self.folder}/commits", ".json")
        wanted = (path for path in paths if path.rpartition("/")[2].removesuffix(".json") not in skip)
        with ThreadPoolExecutor(16) as pool:
            while some := list(islice(wanted, 64)):
                yield from pool.map(self._read, some)

    # -- publishes --------------------------------------------------------------------------------------------
    def plan_path(self, version: int) -> str:
        """Where the plan of the run's publish ``version`` lies, counted from 1."""
        return f"{self.folder}/publish/{version:06d}.json"

    def plan_paths(self) -> list[str]:
        """Where the plans of all publishes so far lie, in order."""
        return list(self.storage.files(f"{self.folder}/publish", ".json"))

    def plans(self) -> Iterator[dict[str, Any]]:
        """The plans of all publishes so far, in order."""
        return map(self.storage.read_json, self.plan_paths())

    def create_plan(self, version: int, plan: dict[str, Any], assets: Iterable[pa.Array]) -> bool:
        """Write the plan of a publish, once: False when another process was first. ``assets`` are the uris that it
        makes whole: in the plan, or when they are many in a file of their own."""
        few: list[str] = []
        rest = iter(assets)
        for uris in rest:
            few += uris.to_pylist()
            if len(few) > FEW_ASSETS:
                path = f"{self.folder}/publish/{version:06d}-{uuid.uuid4().hex[:12]}.parquet"
                with self.storage.parquet_writer(path, _ASSETS) as writer:
                    for more in chain([pa.array(few, pa.string())], rest):
                        writer.write_table(pa.table([more], schema=_ASSETS))
                return self.storage.create_json(self.plan_path(version), plan | {"assets_in": path.rpartition("/")[2]})
        return self.storage.create_json(self.plan_path(version), plan | {"assets": few})

    def assets_of(self, plan: dict[str, Any]) -> Iterator[pa.Array]:
        """The uris of the assets that a publish made whole."""
        if "assets" in plan:
            yield pa.array(plan["assets"], pa.string())
        else:
            for rows in self.storage.read_parquet_rows(f"{self.folder}/publish/{plan['assets_in']}"):
                yield rows["uri"].combine_chunks()

    def announced(self, plans: int | None = None) -> Iterator[pa.Array]:
        """The uris of the assets that all publishes made whole, or the first ``plans`` of them."""
        for path in self.plan_paths()[:plans]:
            yield from self.assets_of(self.storage.read_json(path))

    def deleted(self) -> list[str]:
        """The uris of the assets that publishes took out."""
        return [uri for plan in self.plans() for uri in plan.get("deleted", ())]

    # -- stopping ---------------------------------------------------------------------------------------------
    def ask_to_stop(self, attempt: str) -> None:
        """Actors of this attempt at the run take up no further batch."""
        self.storage.write_bytes(f"{self.folder}/stop/{attempt}", b"")

    def stopping(self, attempt: str) -> bool:
        """Whether that was asked for."""
        return bool(attempt) and self.storage.exists(f"{self.folder}/stop/{attempt}")

    def _read(self, path: str) -> CommitRecord:
        value = self.storage.read_json(path)
        files = tuple(DataFile(**item) for item in value["files"])
        parts = tuple((part, uri, sys.intern(status)) for part, uri, status in value["parts"])
        return CommitRecord(value["key"], parts, tuple(value["answers"]), files)


def _together(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Rows by the row group: footers of many small ones are read whole."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _ROW_GROUP:
            yield pa.Table.from_batches(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _by_batch(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The parts of each batch, of rows in the order of their batches."""
    held = MANIFEST.empty_table()
    for rows in batches:
        held = pa.concat_tables([held, pa.Table.from_batches([rows])])
        starts = [0, *(np.flatnonzero(np.diff(held["batch"].to_numpy())) + 1).tolist()]
        for start, stop in pairwise(starts):
            yield held.slice(start, stop - start)
        held = held.slice(starts[-1])  # its batch may go on
    if held.num_rows:
        yield held


def list_runs(storage: Storage) -> list[RunFiles]:
    """Runs with a frozen manifest, oldest first. One listing and a small read for each: lakes have hundreds of them."""
    runs = [RunFiles(storage, run_id) for run_id in storage.folders(storage.path("_interlace", "runs"))]
    with ThreadPoolExecutor(16) as pool:
        return [files for files, state in zip(runs, pool.map(RunFiles.state, runs), strict=True) if state]
