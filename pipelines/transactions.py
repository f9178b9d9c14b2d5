"""Delta transactions: files in and out of a table in one commit that happens once and only under the lease.

Every commit carries two application transactions: (run, publish number), so that whoever repeats a publish sees that
it happened, and ("interlace-lease", token), so that a holder that lost the lease cannot commit after its successor
did. Both are read first, and Delta lets a commit fail when either was written since: of two at once one wins.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from encoders.fault_points import fault_point
from pipelines.lease import Lease, LeaseLost
from pipelines.row_file import RowFile
from pipelines.runfiles import DataFile
from pipelines.shards import Shards
from pipelines.storage import Storage, StorageError
from pipelines.tables import FORMAT, FORMAT_KEY, SCHEMAS, data_paths, open_table

TABLES = ("parts", "answers", "assets")
"""In this order: `assets` says that an asset is done, so it comes last."""
FENCE = "interlace-lease"
ATTEMPTS = 4  # at one commit
URIS = pa.schema({"uri": pa.string()})
_PLACES = pa.schema({"uri": pa.string(), "file": pa.int32(), "row": pa.int32()})
_READERS = 16  # files looked at at once when rows are replaced


@dataclass(frozen=True, slots=True)
class Stale:
    """Rows to take out: those of these assets (URIS) and those of these parts, unless run ``keep`` wrote them."""

    uris: RowFile
    part_ids: frozenset[str]
    keep: str

    def __bool__(self) -> bool:
        return bool(self.uris.num_rows or self.part_ids)


def open_or_create(storage: Storage, name: str) -> DeltaTable:
    """The table at its newest version, created empty when it is not there."""
    table = open_table(storage, name)
    if table is None:
        DeltaTable.create(
            storage.table_uri(name),
            SCHEMAS[name],
            mode="ignore",
            configuration={FORMAT_KEY: str(FORMAT)},
            storage_options=storage.delta_options(),
            raise_if_key_not_exists=False,
        )
        table = open_table(storage, name)
    assert table is not None
    return table


def commit_once(
    storage: Storage, name: str, app: str, version: int, lease: Lease, files: Sequence[DataFile], stale: Stale
) -> None:
    """Put files into a table and take stale rows out, unless the table has seen this version of ``app``.

    Raises LeaseLost when somebody else took over, StorageError when the store fails.
    """
    for attempt in range(ATTEMPTS):
        try:
            table = open_or_create(storage, name)
            # On a later attempt this also tells whether the one before succeeded and only its reply was lost.
            if (table.transaction_version(app) or 0) >= version:
                return
            actions: list[AddAction | RemoveAction] = [_add(file) for file in files]
            if stale:
                actions += _without(storage, table, name, stale)
            transact(table, name, actions, lease, {app: version})
            return
        except (DeltaError, OSError) as error:  # a put that was cut off is not repeated by the library
            if attempt == ATTEMPTS - 1:
                raise StorageError(f"cannot commit to {storage.table_uri(name)}: {error}") from error


def transact(
    table: DeltaTable, name: str, actions: list[AddAction | RemoveAction], lease: Lease, versions: dict[str, int]
) -> None:
    """One commit under the lease."""
    lease.check()
    _check_fence(table, lease)
    fault_point("delta.commit", name)
    table.create_write_transaction(
        actions, mode="append", schema=SCHEMAS[name], commit_properties=fenced(lease, versions)
    )
    fault_point("delta.committed", name)


def _check_fence(table: DeltaTable, lease: Lease) -> None:
    seen = table.transaction_version(FENCE) or 0
    if seen > lease.token:
        raise LeaseLost(f"{table.table_uri} was written under lease {seen}, after ours ({lease.token}) was taken over")


def fenced(lease: Lease, versions: dict[str, int] | None = None) -> CommitProperties:
    """Properties of a commit under the lease."""
    applications = [Transaction(app, version) for app, version in (versions or {}).items()]
    return CommitProperties(app_transactions=[*applications, Transaction(FENCE, lease.token)], max_commit_retries=50)


def fence(storage: Storage, lease: Lease) -> None:
    """After a lease was taken over: let every table see the new token before anything is read from it, so that a former
    holder that comes back to life can commit nothing more."""
    for name in TABLES:
        while True:
            try:
                table = open_or_create(storage, name)
                if (table.transaction_version(FENCE) or 0) < lease.token:
                    transact(table, name, [], lease, {})
                break
            except CommitFailedError:
                continue  # the former holder was faster once more, or the reply to our commit was lost
            except (DeltaError, OSError) as error:
                raise StorageError(f"cannot commit to {storage.table_uri(name)}: {error}") from error


def _add(file: DataFile) -> AddAction:
    now = int(time.time() * 1000)
    return AddAction(file.path, file.size, {}, now, True, json.dumps({"numRecords": file.rows}))


def _without(storage: Storage, table: DeltaTable, name: str, stale: Stale) -> Iterator[AddAction | RemoveAction]:
    """Actions that take stale rows out; a file that also holds other rows is written anew without them."""
    paths, now = data_paths(table), int(time.time() * 1000)
    for number, found in _stale_rows(storage, name, paths, stale):
        yield RemoveAction(paths[number], True, now)
        rows = storage.read_parquet(storage.path(name, paths[number]))
        stays = np.ones(rows.num_rows, bool)
        stays[found] = False
        if stays.any():
            renewed = f"{stale.keep}/kept-{uuid.uuid4().hex[:12]}.parquet"
            rest = conform(rows.filter(pa.array(stays)), name)
            size = storage.write_parquet(storage.path(name, renewed), rest)
            yield _add(DataFile(name, renewed, size, rest.num_rows))


def _stale_rows(storage: Storage, name: str, paths: list[str], stale: Stale) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers of files, and of their rows that are stale."""
    part_ids = pa.array(sorted(stale.part_ids), pa.string())
    shards = Shards({"rows": _PLACES, "stale": URIS})
    for uris in stale.uris.tables():
        shards.add("stale", uris)
    found = [_PLACES.empty_table()]

    def look(number: int) -> tuple[pa.Table, pa.Table]:
        """The rows of other runs, and of these the ones of stale parts."""
        ids = ["part_id"] if name == "parts" else []
        rows = storage.read_parquet(storage.path(name, paths[number]), ["uri", "run_id", *ids])
        numbers = pa.array(np.full(rows.num_rows, number, np.int32)), pa.array(np.arange(rows.num_rows, dtype=np.int32))
        others = pc.not_equal(rows["run_id"].cast(pa.string()), stale.keep)
        places = pa.table([rows["uri"].cast(pa.string()), *numbers], schema=_PLACES).filter(others)
        parts = pc.is_in(rows["part_id"].cast(pa.string()), part_ids).filter(others) if ids else None
        return places, places.slice(0, 0) if parts is None else places.filter(parts)

    todo = iter(range(len(paths)))
    with ThreadPoolExecutor(_READERS) as pool:
        while some := list(islice(todo, 2 * _READERS)):
            looked = list(pool.map(look, some))
            shards.add("rows", pa.concat_tables([places for places, _ in looked]).combine_chunks())
            found += [places for _, places in looked if places.num_rows]
    for shard in shards:
        found.append(shard["rows"].filter(pc.is_in(shard["rows"]["uri"], value_set=shard["stale"]["uri"])))
    files, rows = (np.concatenate([places[column].to_numpy() for places in found]) for column in ("file", "row"))
    order = np.argsort(files, kind="stable")
    rows, bounds = rows[order], np.searchsorted(files[order], np.arange(len(paths) + 1)).tolist()
    for number, (start, stop) in enumerate(pairwise(bounds)):
        if start < stop:
            yield number, rows[start:stop]


def conform(rows: pa.Table, name: str) -> pa.Table:
    """Rows as an older format wrote them in today's schema: columns that it did not have are null."""
    schema = SCHEMAS[name]
    columns = [
        rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(len(rows), f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
