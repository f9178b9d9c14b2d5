"""`compact`: small files become large ones, and files that nobody refers to any more are deleted.

Compaction is a Delta commit under the lease, and readers that have the table open keep what they see until the files
that it replaced are vacuumed. What an unfinished run has written and not yet published is in no table and belongs to
nobody else: its folder is left alone, and so is every file younger than the retention.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from encoders.fault_points import fault_point
from pipelines.formats import migrate
from pipelines.lease import Lease
from pipelines.leftovers import remove_leftovers
from pipelines.publish import finish_plans
from pipelines.runfiles import list_runs
from pipelines.storage import Storage, StorageError
from pipelines.tables import data_paths, open_table
from pipelines.transactions import TABLES, fence, fenced

KEEP_HOURS = 168.0
TARGET_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Compacted:
    """What happened to one table."""

    table: str
    files_before: int
    files_after: int
    deleted: int
    bytes_deleted: int


def compact(
    storage: Storage,
    lease: Lease,
    *,
    keep_hours: float = KEEP_HOURS,
    note: Callable[[str], None] = lambda sentence: None,
) -> list[Compacted]:
    """Compact and vacuum every table of OUT under ``lease``, in today's format; ``note`` is told what else was done.

    ``keep_hours`` is how long a reader may go on with an old snapshot, and a dead process's half-written files stay.
    """
    if lease.taken_over:
        fence(storage, lease)
    for sentence in migrate(storage, lease):
        note(sentence)
    unfinished = set()
    runs = list_runs(storage)
    for files in runs:
        if not files.state().get("finished"):
            finish_plans(files, lease)  # a table must not be rewritten between two commits of one publish
            unfinished.add(files.run_id)
    found = []
    for name in TABLES:
        table = open_table(storage, name)
        if table is not None:
            found.append(_compact(storage, lease, name, table, unfinished, keep_hours))
    removed = remove_leftovers(storage, lease, runs, keep_hours)
    if removed:
        note(f"{removed} folders of ended runs are not needed any more, and were removed")
    return found


def _compact(
    storage: Storage, lease: Lease, name: str, table: DeltaTable, unfinished: set[str], keep_hours: float
) -> Compacted:
    before = len(table.file_uris())
    lease.check()
    try:
        fault_point("compact.commit", name)
        table.optimize.compact(target_size=TARGET_BYTES, max_concurrent_tasks=1, commit_properties=fenced(lease))
        fault_point("compact.committed", name)
    except (DeltaError, OSError) as error:
        raise StorageError(f"cannot compact {storage.table_uri(name)}: {error}") from error
    table = open_table(storage, name) or table
    stale = _unreferenced(storage, name, table, unfinished, keep_hours)
    for info in stale:
        lease.check()
        storage.delete(info.path)
    return Compacted(name, before, len(table.file_uris()), len(stale), sum(info.size for info in stale))


def _unreferenced(
    storage: Storage, name: str, table: DeltaTable, unfinished: set[str], keep_hours: float
) -> list[pafs.FileInfo]:
    """Data files of the table's folder that its newest version does not name: replaced ones that left longer ago than
    the retention, and what attempts that never got to a commit record left behind."""
    referenced = {storage.path(name, path) for path in data_paths(table)}
    left = {storage.path(name, action["path"]): action["deletionTimestamp"] for action in _removals(storage, name)}
    bound = time.time() - keep_hours * 3600
    stale = []
    for info in storage.infos(storage.path(name), ".parquet"):
        below = info.path.removeprefix(storage.path(name) + "/")
        if info.path in referenced or below.startswith("_delta_log/") or below.partition("/")[0] in unfinished:
            continue
        since = left.get(info.path, (info.mtime or datetime.now(UTC)).timestamp() * 1000) / 1000
        if since < bound:
            stale.append(info)
    return stale


def _removals(storage: Storage, name: str) -> list[dict[str, Any]]:
    """The remove actions in the table's log; those older than its checkpoints are older than any retention."""
    found = []
    for path in storage.files(storage.path(name, "_delta_log"), ".json"):
        data = storage.read_bytes(path) or b""
        found += [action["remove"] for line in data.splitlines() if (action := json.loads(line)).get("remove")]
    return found
