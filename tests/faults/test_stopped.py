"""Runs that are told to stop, and runs whose store fails: what is done is published, and the same command goes on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pipelines.ledger import read_ledger
from pipelines.storage import Storage
from pipelines.tables import read_table
from tests.faults.arming import Faults
from tests.faults.drivers import Driver, InlineRetry, Job
from tests.faults.lakes import Rows, assert_equal, lake_rows, parts_redone, write_archive
from tests.faults.table import FaultTable

PAGES = {"a.pdf": 2, "b.pdf": 1, "c.pdf": 6, "d.pdf": 1, "empty.pdf": 0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Rows]:
    folder = tmp_path_factory.mktemp("undisturbed")
    source = str(write_archive(folder / "in", PAGES))
    Job(source, str(folder / "out"), question="who?").run(folder / "log")
    return source, lake_rows(folder / "out")


def resumes(job: Job, expected: Rows, faults: Faults, folder: Path, table: FaultTable, fault: str) -> None:
    """The same command finishes: equal tables, at most one batch of one part redone."""
    faults_seen = parts_redone(faults)
    again = Driver(job, folder / "again", faults.environment)
    assert again.wait() == 0, again.text
    assert_equal(expected, job.out)
    assert parts_redone(faults) - faults_seen <= 1
    table.measure(fault, expected, job.out, parts_redone(faults))


@pytest.mark.parametrize(
    "number", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.full)]
)  # under Ray it is in tests/pipelines/test_interrupt.py
def test_a_signal_lets_work_in_hand_finish_publishes_and_says_how_to_go_on(
    number: str, undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, expected = undisturbed
    job = Job(source, str(tmp_path / "out"), question="who?")
    gate = faults.arm("storage.write", "wait", match="parts/*", nth=4)  # the third batch is in hand
    driver = Driver(job, tmp_path / "log", faults.environment)
    gate.wait()
    faults.set_driver(driver.pid)
    stopping = faults.arm("storage.written", "wait", match="*/stop/*")
    stopping.release()
    driver.signal(number)
    stopping.wait()
    gate.release()
    assert driver.wait() == 130, driver.text
    assert "stopping: work in hand" in driver.text and "the same command resumes" in driver.text
    found = lake_rows(job.out)
    assert 3 <= found["parts"].total() < expected["parts"].total() and found["assets"].total() >= 3
    assert found["parts"] <= expected["parts"] and found["assets"] <= expected["assets"]
    assert read_ledger(Storage(job.out)).balanced
    assert parts_redone(faults) == 0
    resumes(job, expected, faults, tmp_path, fault_table, "SIGINT, SIGTERM")


def test_a_signal_before_anything_is_frozen_leaves_nothing(
    undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, expected = undisturbed
    job = Job(source, str(tmp_path / "out"), question="who?")
    arm = faults.arm("storage.write", "signal", "SIGTERM", match="*/listing.parquet")
    driver = Driver(job, tmp_path / "log", faults.environment)
    assert driver.wait() == 130 and "interrupted before anything was read" in driver.text
    arm.disarm()
    resumes(job, expected, faults, tmp_path, fault_table, "SIGINT, SIGTERM")


@pytest.mark.parametrize(
    "match",
    [
        "parts/*",
        "*/publish/*",
        *(
            pytest.param(match, marks=pytest.mark.full)
            for match in ("*/manifest-*", "*/journal/*", "*/commits/*", "assets/*", "*/run.json")
        ),
    ],
)
def test_a_full_disk_ends_the_run_with_a_clear_error(
    match: str, undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, expected = undisturbed
    job = Job(source, str(tmp_path / "out"), question="who?")
    name = "storage.create" if "commits" in match or "publish" in match else "storage.write"
    arm = faults.arm(name, "raise", "ENOSPC", match=match, nth=2 if match in ("parts/*", "*/run.json") else 1, times=99)
    driver = Driver(job, tmp_path / "log", faults.environment)
    assert driver.wait() == 2, driver.text
    assert "No space left on device" in driver.text and "the same command resumes" in driver.text
    assert "Traceback" not in driver.text
    found = lake_rows(job.out)
    assert all(found[name] <= expected[name] for name in expected)
    arm.disarm()
    resumes(job, expected, faults, tmp_path, fault_table, "disk full")


def test_a_run_publishes_on_its_way(
    undisturbed: tuple[str, Rows], faults: Faults, tmp_path: Path, fault_table: FaultTable
) -> None:
    source, expected = undisturbed
    job = Job(source, str(tmp_path / "out"), question="who?", settings={"run.publish_every": 1e-9})
    gate = faults.arm("ocr.read", "wait", nth=4)
    driver = Driver(job, tmp_path / "log", faults.environment)
    gate.wait()
    found = lake_rows(job.out)
    assert found["assets"].total() >= 3 and all(found[name] <= expected[name] for name in expected)
    assert read_ledger(Storage(job.out)).balanced
    gate.release()
    assert driver.wait() == 0, driver.text
    assert_equal(expected, job.out)
    assert len(faults.log("delta.committed", "parts")) >= 4
    fault_table.measure("publishes during a run", expected, job.out, parts_redone(faults))


def test_a_resumed_run_keeps_to_its_manifest_and_leaves_what_failed_to_retry(faults: Faults, tmp_path: Path) -> None:
    source, log = write_archive(tmp_path / "in", {"a.pdf": 5, "b.pdf": 1}), tmp_path / "log"
    job = Job(str(source), str(tmp_path / "out"))
    faults.arm("ocr.read", "raise", "MemoryError")
    faults.arm("storage.created", "kill", match="*/commits/*", nth=2)
    assert Driver(job, log, faults.environment).wait() == -signal.SIGKILL
    failed = faults.log("ocr.read")[0].detail
    write_archive(source, {"new.pdf": 3})
    faults.clear()

    def read() -> list[tuple[str, str]]:
        """Asset and id of the parts that were read since this was last asked."""
        ids = [hit.detail for hit in faults.log("ocr.read")]
        faults.clear()
        rows = read_table(job.out, "parts").to_table(columns=["part_id", "uri"]).to_pylist()
        names = {row["part_id"]: Path(row["uri"]).name for row in rows}
        return [(names[part], part) for part in ids]

    job.run(log)
    resumed = read()
    assert {name for name, _ in resumed} == {"a.pdf", "b.pdf"} and failed not in {part for _, part in resumed}
    assert "files that arrived since wait for the next run" in log.read_text()
    job.run(log)
    assert [name for name, _ in read()] == ["new.pdf", "new.pdf"]
    Job(None, job.out, InlineRetry, options={"now": True}).run(log)
    assert read() == [("a.pdf", failed)]
    fresh = Job(str(source), str(tmp_path / "fresh"))
    fresh.run(log)
    assert_equal(lake_rows(fresh.out), job.out)
