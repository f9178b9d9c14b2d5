"""What runs leave behind below OUT/_interlace that nobody needs any more: `compact` removes it.

A finished run's commit records, journal and stop marks were for itself; its state, listing, manifest and plans are
what the ledger counts from, and stay. Of a run that changed nothing not even those are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pipelines.lease import Lease
from pipelines.ledger import idle_runs
from pipelines.runfiles import RunFiles
from pipelines.storage import Storage


def remove_leftovers(storage: Storage, lease: Lease, runs: list[RunFiles], keep_hours: float) -> int:
    """Remove what runs that ended ``keep_hours`` ago do not need; returns how many folders went.

    ``runs`` are all there are. Runs that were killed before they froze their manifest go whole.
    """
    before = datetime.now(UTC) - timedelta(hours=keep_hours)
    past = [files for files in runs if _ended(files) < before]
    idle = {files.run_id for files in idle_runs(runs)} - _needed(runs)
    removed = 0
    for folder in [*_unborn(storage, runs, before), *(f.folder for f in past if f.run_id in idle)]:
        lease.check()
        storage.delete(f"{folder}/run.json")  # first: without it, whatever is left by a death here is removed next time
        storage.delete_folder(folder)
        removed += 1
    for folder in _working_files(storage, [files for files in past if files.run_id not in idle]):
        lease.check()
        storage.delete_folder(folder)
        removed += 1
    return removed + _remove_journals(storage, lease, runs)


def _ended(files: RunFiles) -> datetime:
    finished = files.state().get("finished")
    return datetime.fromisoformat(finished) if finished else datetime.max.replace(tzinfo=UTC)


def _needed(runs: Sequence[RunFiles]) -> set[str]:
    """The newest run, and the newest listing of sources: it says what no encoder reads, and with which settings a retry
    goes on."""
    listings = [files.run_id for files in runs if files.state().get("verb", "run") == "run"]
    return {*listings[-1:], *(files.run_id for files in runs[-1:])}


def _unborn(storage: Storage, runs: Sequence[RunFiles], before: datetime) -> Iterator[str]:
    known = {files.run_id for files in runs}
    for name in storage.folders(storage.path("_interlace", "runs")):
        folder = storage.path("_interlace", "runs", name)
        if name not in known and all(info.mtime < before for info in storage.infos(folder)):
            yield folder


def _working_files(storage: Storage, ended: Sequence[RunFiles]) -> Iterator[str]:
    """Commit records and stop marks; the newest records of parts stay: the report draws the throughput from them."""
    drawn = False
    for files in reversed(ended):
        there = set(storage.folders(files.folder))
        keeps = "commits" in there and not drawn and files.has_parts()
        drawn = drawn or keeps
        yield from (
            f"{files.folder}/{name}"
            for name in ("commits", "stop")
            if name in there and not (keeps and name == "commits")
        )


def _remove_journals(storage: Storage, lease: Lease, runs: Sequence[RunFiles]) -> int:
    """Marks of parts in hand count only for a run that goes on."""
    working = {files.run_id for files in runs if not files.state().get("finished")}
    names = set(storage.folders(storage.path("_interlace", "journal"))) - working
    for name in sorted(names):
        lease.check()
        storage.delete_folder(storage.path("_interlace", "journal", name))
    return len(names)
