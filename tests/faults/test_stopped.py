"""Runs that are told to stop, and runs whose store fails: what is done is published, and the same command goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.ledger import read_ledger
from pipelines.storage import Storage
from tests.faults.arming import Faults
from tests.faults.drivers import Driver, Job
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


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
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
        *("*/journal/*", "parts/*", "*/publish/*"),
        *(pytest.param(m, marks=pytest.mark.full) for m in ("*/manifest-*", "*/commits/*", "assets/*", "*/run.json")),
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
