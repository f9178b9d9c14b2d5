"""Two commands on one OUT, and those that come back to life after somebody else took over."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from pipelines.compact import compact
from pipelines.lease import Lease, LeaseHeld, LeaseLost, holder
from pipelines.publish import publish
from pipelines.row_file import RowFile
from pipelines.runfiles import RunFiles, list_runs
from pipelines.storage import Storage
from pipelines.tables import ANSWERS, PARTS, rows_to_table
from pipelines.transactions import URIS, Stale, commit_once, fence
from tests.faults.arming import Faults, wait_until
from tests.faults.drivers import Driver, Job
from tests.faults.lakes import Rows, assert_equal, lake_rows, parts_redone, write_archive
from tests.faults.table import FaultTable

PAGES = {"a.pdf": 5, "b.pdf": 1, "c.pdf": 2, "empty.pdf": 0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Rows]:
    folder = tmp_path_factory.mktemp("undisturbed")
    job = Job(str(write_archive(folder / "in", PAGES)), str(folder / "out"), question="who?")
    job.run(folder / "log")
    assert job.source is not None
    return job.source, lake_rows(job.out)


def test_the_second_run_says_who_is_there_or_waits(
    undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, expected = undisturbed
    out = str(tmp_path / "out")
    gate = faults.arm("ocr.read", "wait", nth=2)
    first = Driver(Job(source, out, question="who?"), tmp_path / "first", faults.environment)
    gate.wait()
    second = Driver(Job(source, out, question="who?"), tmp_path / "second", faults.environment)
    assert second.wait() == 3
    assert f"process {first.pid} on" in second.text and "its lease runs to" in second.text and "--wait" in second.text
    with pytest.raises(LeaseHeld, match="interlace run"), Lease(Storage(out), "compact"):
        pass
    patient = Driver(Job(source, out, question="who?", options={"wait": True}), tmp_path / "third", faults.environment)
    wait_until(lambda: patient.log.exists() and "waiting for interlace run" in patient.text, "a run that waits")
    merging = threading.Thread(target=compact_when_free, args=(out,))
    merging.start()
    gate.release()
    assert first.wait() == 0 and patient.wait() == 0
    merging.join(60)
    assert_equal(expected, out)
    assert parts_redone(faults) == 0
    fault_table.measure("two runs and compact at once", expected, out, parts_redone(faults))


def compact_when_free(out: str) -> None:
    with Lease(Storage(out), "compact", wait=True) as lease:
        compact(Storage(out), lease, keep_hours=0)


@pytest.mark.parametrize("table", [pytest.param("parts", marks=pytest.mark.full), "assets"])
def test_a_driver_that_stood_still_commits_nothing_after_its_lease_was_taken_over(
    table: str, undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, expected = undisturbed
    short = Job(source, str(tmp_path / "out"), question="who?", options={"lease_seconds": 1.0, "wait": True})
    gate = faults.arm("delta.commit", "wait", match=table)
    zombie = Driver(short, tmp_path / "zombie", faults.environment)
    gate.wait()
    os.kill(zombie.pid, signal.SIGSTOP)  # a machine that hangs: its renewals stop as well
    started = time.monotonic()
    heir = Driver(short, tmp_path / "heir", faults.environment)
    assert heir.wait() == 0, heir.text
    seconds = time.monotonic() - started
    assert_equal(expected, short.out)
    gate.release()
    os.kill(zombie.pid, signal.SIGCONT)
    assert zombie.wait() == 4 and "took over" in zombie.text
    assert_equal(expected, short.out)
    fault_table.measure("zombie driver", expected, short.out, parts_redone(faults), seconds)


def test_a_table_that_saw_a_newer_lease_refuses_an_older_one(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    no_rows = Stale(RowFile(URIS), frozenset(), "run")
    with Lease(storage, "first", seconds=0.2) as old:
        old._ended.set()  # its renewals stop, and nobody tells it
        with Lease(storage, "second", wait=True) as new:
            assert new.token == old.token + 1 and new.taken_over
            fence(storage, new)
            with pytest.raises(LeaseLost, match="took over"):
                old.check()
            old._lost = None
            with pytest.raises(LeaseLost, match="taken over"):
                commit_once(storage, "parts", "run", 1, _Unaware(old), [], no_rows)
            commit_once(storage, "parts", "run", 1, new, [], no_rows)
            assert holder(storage) is not None


class _Unaware(Lease):
    """A lease whose holder has not looked since it was lost."""

    def __init__(self, lease: Lease) -> None:
        self.__dict__ = dict(lease.__dict__)

    def check(self) -> None:
        pass


def test_a_late_attempt_at_a_batch_belongs_to_nobody(
    undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    """Two workers have the same batch in hand; the one that is late has written its rows, and writes its record after
    the other's was published."""
    source, expected = undisturbed
    job, storage = Job(source, str(tmp_path / "out"), question="who?"), Storage(str(tmp_path / "out"))
    job.run(tmp_path / "log")
    [files] = list_runs(storage)
    record = next(record for record in files.commits() if record.answers and record.parts)
    rows = {
        name: storage.read_parquet(storage.path(name, next(f.path for f in record.files if f.table == name)))
        for name in ("parts", "answers")
    }
    gate = faults.arm("storage.create", "wait", match="*/commits/*")
    found = []
    late = threading.Thread(target=lambda: found.append(files.commit(rows)))
    late.start()
    gate.wait()
    before = set(storage.files(storage.path("parts"), ".parquet"))
    gate.release()
    late.join()
    assert found == [record]  # the first attempt's
    assert before >= set(storage.files(storage.path("parts"), ".parquet"))  # its own rows lay there, and still lie
    assert len(before) == sum(f.table == "parts" for r in files.commits() for f in r.files) + 1
    with Lease(storage, "test") as lease:
        assert publish(files, lease) is None
    assert_equal(expected, job.out)
    fault_table.measure("zombie attempt", expected, job.out, 0)


def test_two_publishers_of_one_run_register_its_files_once(tmp_path: Path) -> None:
    """What the lease prevents, and what still holds if it did not: a plan is made once, and a table takes it once."""
    storage = Storage(str(tmp_path / "out"))
    files = RunFiles(storage, "run")
    row = {"part_id": "p", "uri": "u", "etag": "e", "status": "ok", "failures": [], "run_id": "run"}
    with Lease(storage, "test") as lease:
        record = files.commit({"parts": rows_to_table([row], PARTS), "answers": ANSWERS.empty_table()})
        stale = Stale(RowFile(URIS), frozenset(), "run")
        commits = [
            threading.Thread(target=commit_once, args=(storage, "parts", "run", 1, lease, record.files, stale))
            for _ in range(4)
        ]
        for thread in commits:
            thread.start()
        for thread in commits:
            thread.join()
    assert lake_rows(storage.out)["parts"].total() == 1
