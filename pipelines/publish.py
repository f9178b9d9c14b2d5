"""Publish: make exactly the files whose work is committed part of the tables, one Delta commit per table.

A publish is planned on disk before its first commit, and every commit carries the run as application and the
publish's number as version; whoever finds a plan whose version a table has not reached commits it again. So a
driver that dies at any point is finished by the next one, and nothing is registered twice.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from encoders.fault_points import fault_point
from pipelines.runfiles import CommitRecord, DataFile, RunFiles
from pipelines.storage import Storage
from pipelines.tables import ASSETS, SCHEMAS, open_table, rows_to_table

TABLES = ("parts", "answers", "assets")
"""In this order: `assets` says that an asset is done, so it comes last."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish added: rows by table."""

    version: int
    rows: dict[str, int]


def publish(files: RunFiles) -> Published | None:
    """Register the committed files that no earlier publish of this run took. None when there is nothing new.

    Only whole assets are published: a file waits until every asset in it has its last part. Call it under the
    lease: two publishers at once would plan the same number.
    """
    version = 0
    while files.storage.exists(_plan_path(files, version + 1)):
        version += 1
        _commit(files, version)  # finishes what a dead driver planned; does nothing when all tables have it
    plans = [_plan(files, number) for number in range(1, version + 1)]
    taken = {key for plan in plans for key in plan["keys"]}
    announced = {uri for plan in plans for uri in plan["assets"]}
    listing = {row["uri"]: row for row in files.listing().to_pylist()}
    fresh, whole = _whole(files.commits(), listing, taken, announced)
    if not fresh:
        return None
    assets = [_asset_row(listing[uri], states, files.run_id) for uri, states in sorted(whole.items())]
    plan = _make_plan(files, fresh, assets)
    files.storage.write_json(_plan_path(files, version + 1), plan)
    _commit(files, version + 1)
    rows = {name: sum(item["rows"] for item in plan["files"] if item["table"] == name) for name in TABLES}
    return Published(version + 1, rows)


def _whole(
    commits: Iterable[CommitRecord], listing: dict[str, dict[str, Any]], taken: set[str], announced: set[str]
) -> tuple[list[CommitRecord], dict[str, list[str]]]:
    """The new records that hold nothing but whole assets, and the part states of the assets that they complete.

    A record that holds a part of an unfinished asset waits, and so do the other assets of which it has parts.
    """
    fresh = [record for record in commits if record.key not in taken]
    while True:
        states: dict[str, list[str]] = {}
        for record in fresh:
            for _, uri, status in record.parts:
                states.setdefault(uri, []).append(status)
        short = {uri for uri, found in states.items() if len(found) < listing[uri]["parts"]}
        there = announced | set(states) | {uri for uri, row in listing.items() if row["state"] == "unchanged"}
        kept = [
            record
            for record in fresh
            if not short & {uri for _, uri, _ in record.parts} and set(record.answers) <= there
        ]
        if len(kept) == len(fresh):
            return fresh, states
        fresh = kept


def _asset_row(listed: dict[str, Any], states: list[str], run_id: str) -> dict[str, Any]:
    status = states[0] if len(set(states)) == 1 else "partial"
    return {name: listed.get(name) for name in ASSETS.names} | {"status": status, "run_id": run_id}


def _plan_path(files: RunFiles, version: int) -> str:
    return f"{files.folder}/publish/{version:06d}.json"


def _plan(files: RunFiles, version: int) -> dict[str, Any]:
    plan: dict[str, Any] = files.storage.read_json(_plan_path(files, version))
    return plan


def _make_plan(files: RunFiles, records: Iterable[CommitRecord], assets: list[dict[str, Any]]) -> dict[str, Any]:
    data = [asdict(file) for record in records for file in record.files]
    if assets:
        path = f"{files.run_id}/assets-{uuid.uuid4().hex[:12]}.parquet"
        size = files.storage.write_parquet(files.storage.path("assets", path), rows_to_table(assets, ASSETS))
        data.append(asdict(DataFile("assets", path, size, len(assets))))
    return {"keys": [record.key for record in records], "assets": [row["uri"] for row in assets], "files": data}


def _commit(files: RunFiles, version: int) -> None:
    plan = _plan(files, version)
    complete = set(plan["assets"])
    replaced = {row["uri"] for row in files.listing().to_pylist() if row["replaces"] and row["uri"] in complete}
    for name in TABLES:
        storage = files.storage
        table = _open_or_create(storage, name)
        if (table.transaction_version(files.run_id) or 0) >= version:
            continue
        added = [_add(DataFile(**item)) for item in plan["files"] if item["table"] == name]
        stale = _replace(storage, table, name, replaced, keep=files.run_id) if replaced else []
        _transact(table, name, [*added, *stale], files.run_id, version)


def _open_or_create(storage: Storage, name: str) -> DeltaTable:
    """The table at its newest version, created empty when it is not there."""
    table = open_table(storage, name)
    if table is None:
        options = storage.delta_options()
        DeltaTable.create(storage.table_uri(name), SCHEMAS[name], mode="ignore", storage_options=options)
        table = open_table(storage, name)
    assert table is not None
    return table


def _transact(table: DeltaTable, name: str, actions: list[AddAction | RemoveAction], app: str, version: int) -> None:
    fault_point("delta.commit", name)
    table.create_write_transaction(
        actions,
        mode="append",
        schema=SCHEMAS[name],
        commit_properties=CommitProperties(app_transactions=[Transaction(app, version)], max_commit_retries=50),
    )
    fault_point("delta.committed", name)


def _add(file: DataFile) -> AddAction:
    now = int(time.time() * 1000)
    return AddAction(file.path, file.size, {}, now, True, json.dumps({"numRecords": file.rows}))


def _replace(
    storage: Storage, table: DeltaTable, name: str, uris: set[str], keep: str
) -> list[AddAction | RemoveAction]:
    """Actions that take the rows of these assets out of the table's files, other than those of run ``keep``.

    A file that also holds other assets is written anew without them.
    """
    actions: list[AddAction | RemoveAction] = []
    now = int(time.time() * 1000)
    wanted = pa.array(sorted(uris), pa.string())
    for path in pa.table(table.get_add_actions(flatten=True))["path"].to_pylist():
        full = storage.path(name, path)
        column = storage.read_parquet(full, ["uri", "run_id"])
        stale = pc.and_(pc.is_in(column["uri"], wanted), pc.not_equal(column["run_id"], keep))
        if not pc.any(stale).as_py():
            continue
        actions.append(RemoveAction(path, True, now))
        rest = storage.read_parquet(full).filter(pc.invert(stale))
        if rest.num_rows:
            renewed = f"{keep}/kept-{uuid.uuid4().hex[:12]}.parquet"
            size = storage.write_parquet(storage.path(name, renewed), rest.cast(SCHEMAS[name]))
            actions.append(_add(DataFile(name, renewed, size, rest.num_rows)))
    return actions
