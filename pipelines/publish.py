"""Publish: make exactly the files whose work is committed part of the tables, one Delta commit per table.

A publish is planned on disk before its first commit, and every commit carries the run as application and the
publish's number as version; whoever finds a plan whose version a table has not reached commits it again. So a
driver that dies at any point is finished by the next one, and nothing is registered twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.kept import keep_what_was_read
from pipelines.lease import Lease, LeaseLost
from pipelines.runfiles import CommitRecord, DataFile, RunFiles
from pipelines.storage import Storage
from pipelines.tables import ASSETS, open_table, read_rows
from pipelines.transactions import TABLES, Stale, commit_once


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish added: rows by table."""

    version: int
    rows: dict[str, int]


@dataclass(slots=True)
class _Listed:
    """What a run's listing says about publishing."""

    rows: pa.Table  # of assets that are not unchanged
    unchanged: frozenset[str]  # a nightly listing is mostly these
    expected: dict[str, int]  # uri -> parts that this run reads
    retried: dict[str, set[str]]  # uri -> parts that it reads again; the asset's other parts stay as they are
    deleted: set[str] = field(default_factory=set)  # gone, or now something that no encoder reads


def publish(files: RunFiles, lease: Lease) -> Published | None:
    """Register the committed files that no earlier publish of this run took. None when there is nothing new.

    Only whole assets are published: a file waits until every asset in it has its last part. Raises LeaseLost when
    somebody else took over meanwhile.
    """
    version = finish_plans(files, lease)
    plans = files.plans()
    taken = {key for plan in plans for key in plan["keys"]}
    announced = {uri for plan in plans for uri in plan["assets"]}
    listed = _read_listing(files)
    fresh, whole = _whole(files.commits(skip=taken), listed, announced)
    deleted = listed.deleted - {uri for plan in plans for uri in plan.get("deleted", ())}
    if not fresh and not deleted:
        return None
    reread = sorted(uri for uri in listed.retried if set(whole.get(uri, ())) - {"failed"})
    if listed.retried:
        fresh = keep_what_was_read(files, fresh, set().union(*listed.retried.values()))
        whole = _states(fresh)
    others = _other_parts(files.storage, {uri: ids for uri, ids in listed.retried.items() if uri in whole})
    status = {uri: _status([*states, *others.get(uri, ())]) for uri, states in sorted(whole.items())}
    plan = _make_plan(files, fresh, _asset_rows(listed.rows, status, files.run_id))
    plan |= {"deleted": sorted(deleted), "reread": reread}
    if not files.storage.create_json(files.plan_path(version + 1), plan):
        raise LeaseLost(f"publish {version + 1} of run {files.run_id} was planned by another process")
    _commit(files, version + 1, plan, lease, listed)
    rows = {name: sum(item["rows"] for item in plan["files"] if item["table"] == name) for name in TABLES}
    return Published(version + 1, rows)


def finish_plans(files: RunFiles, lease: Lease) -> int:
    """Commit what a dead driver planned, and nothing when all tables have it; returns the number of plans."""
    plans = files.plans()
    if plans:  # those before the last were finished before it was made
        _commit(files, len(plans), plans[-1], lease, None)
    return len(plans)


def _read_listing(files: RunFiles) -> _Listed:
    listing = files.listing()
    same = pc.equal(listing["state"], "unchanged")
    unchanged = frozenset(listing["uri"].filter(same).to_pylist())
    rows = listing.filter(pc.invert(same))
    expected = dict(zip(rows["uri"].to_pylist(), rows["parts"].to_pylist(), strict=True))
    again = rows["uri"].filter(pc.equal(rows["state"], "retried"))
    retried: dict[str, set[str]] = {}
    if len(again):
        manifest = files.manifest(["uri", "part_id"])
        manifest = manifest.filter(pc.is_in(manifest["uri"], value_set=again))
        for uri, part in zip(manifest["uri"].to_pylist(), manifest["part_id"].to_pylist(), strict=True):
            retried.setdefault(uri, set()).add(part)
        expected |= {uri: len(parts) for uri, parts in retried.items()}
    unread = pc.and_(pc.equal(rows["state"], "skipped"), rows["replaces"])
    gone = rows["uri"].filter(pc.or_(pc.equal(rows["state"], "deleted"), unread))
    return _Listed(rows, unchanged, expected, retried, set(gone.to_pylist()))


def _whole(
    commits: Iterable[CommitRecord], listed: _Listed, announced: set[str]
) -> tuple[list[CommitRecord], dict[str, list[str]]]:
    """The new records that hold nothing but whole assets, and the part states of the assets that they complete.

    A record that holds a part of an unfinished asset waits, and so do the other assets of which it has parts.
    """
    there = listed.unchanged | announced
    fresh = list(commits)
    while True:
        states = _states(fresh)
        short = {uri for uri, found in states.items() if len(found) < listed.expected[uri]}
        answerable = there | set(states)
        kept = [
            record
            for record in fresh
            if not short & {uri for _, uri, _ in record.parts} and set(record.answers) <= answerable
        ]
        if len(kept) == len(fresh):
            return fresh, states
        fresh = kept


def _states(records: Iterable[CommitRecord]) -> dict[str, list[str]]:
    """uri -> the states of its parts."""
    states: dict[str, list[str]] = {}
    for record in records:
        for _, uri, status in record.parts:
            states.setdefault(uri, []).append(status)
    return states


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


def _make_plan(files: RunFiles, records: Iterable[CommitRecord], assets: pa.Table) -> dict[str, Any]:
    data = [asdict(file) for record in records for file in record.files]
    if assets.num_rows:
        path = f"{files.run_id}/assets-{uuid.uuid4().hex[:12]}.parquet"
        size = files.storage.write_parquet(files.storage.path("assets", path), assets)
        data.append(asdict(DataFile("assets", path, size, assets.num_rows)))
    return {
        "nonce": uuid.uuid4().hex,
        "keys": [record.key for record in records],
        "assets": assets["uri"].to_pylist(),
        "files": data,
    }


def _commit(files: RunFiles, version: int, plan: dict[str, Any], lease: Lease, listed: _Listed | None) -> None:
    """Bring every table to this version. What it replaces comes from the listing, read only when a table lacks it."""
    lease.check()
    for name in TABLES:
        table = open_table(files.storage, name)
        if table is not None and (table.transaction_version(files.run_id) or 0) >= version:
            continue
        listed = listed or _read_listing(files)
        added = [DataFile(**item) for item in plan["files"] if item["table"] == name]
        commit_once(files.storage, name, files.run_id, version, lease, added, _stale(plan, listed, name, files.run_id))


def _stale(plan: dict[str, Any], listed: _Listed, name: str, run_id: str) -> Stale:
    """Rows that this publish replaces. A retried asset's answers go only when something new was read in it."""
    complete = set(plan["assets"])
    replaced = listed.rows["uri"].filter(pc.fill_null(listed.rows["replaces"], False)).to_pylist()
    uris = complete.intersection(replaced) | set(plan.get("deleted", ()))
    retried = complete & set(listed.retried)
    if name == "parts":
        return Stale(frozenset(uris), frozenset().union(*(listed.retried[uri] for uri in retried)), run_id)
    return Stale(frozenset(uris | (set(plan.get("reread", ())) if name == "answers" else retried)), frozenset(), run_id)
