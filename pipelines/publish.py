"""Publish: make exactly the files whose work is committed part of the tables, one Delta commit per table.

A publish is planned on disk before its first commit, and every commit carries the run as application and the
publish's number as version; whoever finds a plan whose version a table has not reached commits it again. So a
driver that dies at any point is finished by the next one, and nothing is registered twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.kept import keep_what_was_read
from pipelines.lease import Lease, LeaseLost
from pipelines.row_file import RowFile
from pipelines.runfiles import DataFile, RunFiles
from pipelines.shards import Shards
from pipelines.storage import Storage
from pipelines.tables import ASSETS, open_table, read_rows
from pipelines.transactions import TABLES, URIS, Stale, commit_once
from pipelines.whole import Candidates


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish added: rows by table."""

    version: int
    rows: dict[str, int]


def publish(files: RunFiles, lease: Lease) -> Published | None:
    """Register the committed files that no earlier publish of this run took. None when there is nothing new.

    Only whole assets are published: a file waits until every asset in it has its last part. Raises LeaseLost when
    somebody else took over meanwhile.
    """
    version = finish_plans(files, lease)
    taken = {key for plan in files.plans() for key in plan["keys"]}
    gone, retried = _marked(files)
    fresh = Candidates(files, files.commits(skip=taken), retried)
    fresh.decide()
    deleted = gone.difference(files.deleted())
    if not fresh.keys and not deleted:
        return None
    reread = sorted(
        uri
        for states, _ in (fresh.assets() if retried else ())
        for uri, own in states.items()
        if uri in retried and set(own) - {"failed"}
    )
    if retried:
        keys = set(fresh.keys)
        kept = [record for record in files.commits(skip=taken) if record.key in keys]
        fresh = Candidates(files, keep_what_was_read(files, kept, set().union(*retried.values())), retried)
    assets = RowFile(URIS)
    data = [*fresh.data_files(), *_write_assets(files, fresh, retried, assets)]
    plan = {
        "nonce": uuid.uuid4().hex,
        "keys": fresh.keys,
        "files": [asdict(file) for file in data],
        "deleted": sorted(deleted),
        "reread": reread,
    }
    if not files.create_plan(version + 1, plan, (rows["uri"].combine_chunks() for rows in assets.tables())):
        raise LeaseLost(f"publish {version + 1} of run {files.run_id} was planned by another process")
    _commit(files, version + 1, lease)
    return Published(version + 1, {name: sum(file.rows for file in data if file.table == name) for name in TABLES})


def finish_plans(files: RunFiles, lease: Lease) -> int:
    """Commit what a dead driver planned, and nothing when all tables have it; returns the number of plans."""
    plans = len(files.plan_paths())
    if plans:  # those before the last were finished before it was made
        _commit(files, plans, lease)
    return plans


def _marked(files: RunFiles) -> tuple[set[str], dict[str, set[str]]]:
    """Assets whose rows leave, because they are gone from the source or something now that no encoder reads; and the
    parts that a run reads again, by asset, whose other parts stay as they are."""
    gone: set[str] = set()
    again: set[str] = set()
    for rows in files.listing_tables(["uri", "state", "replaces"]):
        unread = pc.and_(pc.equal(rows["state"], "skipped"), pc.fill_null(rows["replaces"], False))
        gone.update(rows["uri"].filter(pc.or_(pc.equal(rows["state"], "deleted"), unread)).to_pylist())
        again.update(rows["uri"].filter(pc.equal(rows["state"], "retried")).to_pylist())
    retried: dict[str, set[str]] = {}
    for rows in files.manifest_tables(["uri", "part_id"]) if again else ():
        for uri, part in zip(rows["uri"].to_pylist(), rows["part_id"].to_pylist(), strict=True):
            if uri in again:
                retried.setdefault(uri, set()).add(part)
    return gone, retried


def _write_assets(
    files: RunFiles, fresh: Candidates, retried: dict[str, set[str]], assets: RowFile
) -> Iterator[DataFile]:
    """Write the rows of `assets` for what is whole; their uris go to ``assets``."""
    for states, listed in fresh.assets():
        others = _other_parts(files.storage, {uri: ids for uri, ids in retried.items() if uri in states})
        status = {uri: _status([*own, *others.get(uri, ())]) for uri, own in sorted(states.items())}
        rows = _asset_rows(listed, status, files.run_id)
        assets.add(rows.select(["uri"]))
        path = f"{files.run_id}/assets-{uuid.uuid4().hex[:12]}.parquet"
        size = files.storage.write_parquet(files.storage.path("assets", path), rows)
        yield DataFile("assets", path, size, rows.num_rows)


def _other_parts(storage: Storage, retried: dict[str, set[str]]) -> dict[str, list[str]]:
    """States of the parts of retried assets that were not read again."""
    if not retried:
        return {}
    chosen = pc.field("uri").isin(pa.array(sorted(retried), pa.string()))
    found: dict[str, list[str]] = {}
    for row in read_rows(storage, "parts", columns=["uri", "part_id", "status"], filter=chosen).to_pylist():
        if row["part_id"] not in retried[row["uri"]]:
            found.setdefault(row["uri"], []).append(row["status"])
    return found


def _status(states: list[str]) -> str:
    return states[0] if len(set(states)) == 1 else "partial"


def _asset_rows(listed: pa.Table, status: dict[str, str], run_id: str) -> pa.Table:
    """Rows of `assets` for these uris, in their order."""
    uris = pa.array(status, pa.string())
    found = listed.take(pc.index_in(uris, value_set=listed["uri"]))
    more = {"status": pa.array(status.values(), pa.string()), "run_id": pa.repeat(run_id, len(uris))}
    columns = [more[name] if name in more else found[name] for name in ASSETS.names]
    return pa.table(columns, names=ASSETS.names).cast(ASSETS)


def _commit(files: RunFiles, version: int, lease: Lease) -> None:
    """Bring every table to this version, by its plan."""
    lease.check()
    plan: dict[str, Any] | None = None
    for name in TABLES:
        table = open_table(files.storage, name)
        if table is not None and (table.transaction_version(files.run_id) or 0) >= version:
            continue
        if plan is None:
            plan = files.storage.read_json(files.plan_path(version))
            replaced, (_, retried) = _replaced(files, plan), _marked(files)
        added = [DataFile(**item) for item in plan["files"] if item["table"] == name]
        stale = _stale(files, plan, name, replaced, retried)
        commit_once(files.storage, name, files.run_id, version, lease, added, stale)


def _replaced(files: RunFiles, plan: dict[str, Any]) -> RowFile:
    """Assets of a plan of which the tables hold an older version."""
    shards = Shards({"listed": URIS, "complete": URIS})
    some = False
    for rows in files.listing_tables(["uri", "replaces"]):
        own = rows.filter(pc.fill_null(rows["replaces"], False)).select(["uri"])
        some = some or own.num_rows > 0
        shards.add("listed", own)
    for uris in files.assets_of(plan) if some else ():
        shards.add("complete", pa.table([uris], schema=URIS))
    replaced = RowFile(URIS)
    for shard in shards:
        replaced.add(shard["listed"].filter(pc.is_in(shard["listed"]["uri"], value_set=shard["complete"]["uri"])))
    return replaced


def _stale(files: RunFiles, plan: dict[str, Any], name: str, replaced: RowFile, retried: dict[str, set[str]]) -> Stale:
    """Rows that a publish replaces. A retried asset's answers go only when something new was read in it."""
    again = {uri for uris in files.assets_of(plan) for uri in uris.to_pylist() if uri in retried} if retried else set()
    more = {"parts": (), "answers": plan.get("reread", ()), "assets": again}[name]
    others = pa.table([pa.array([*plan.get("deleted", ()), *more], pa.string())], schema=URIS)
    parts = frozenset().union(*(retried[uri] for uri in again)) if name == "parts" else frozenset()
    return Stale(RowFile(URIS, [*replaced.tables(), others]), parts, files.run_id)
