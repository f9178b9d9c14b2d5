"""Workers that die: the tables are those of an undisturbed run."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.journal import STRIKES
from pipelines.tables import read_table
from tests.encoders.media_files import noise, sound
from tests.faults.arming import Faults, wait_until
from tests.faults.table import FaultRow, FaultTable
from tests.faults.workers import Driver

LETTERS, SOUNDS = 32, 8
Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    found = Driver(Faults(tmp_path_factory.mktemp("faults")))
    yield found
    found.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(LETTERS):
        (folder / f"{number:02d}.txt").write_text(f"letter {number}\n")
    for number in range(SOUNDS):
        sound(folder / f"{number}.wav", "wav", "pcm_s16le", 16000, noise(1, 16000, 1))
    return folder


@pytest.fixture(scope="module")
def undisturbed(driver: Driver, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    out = tmp_path_factory.mktemp("undisturbed")
    driver.begin(archive, out)
    assert driver.result()["balanced"]
    return rows(out)


def rows(out: Path) -> Rows:
    """Every row of `parts` by uri, without what may differ between runs. Fails when a part is there twice."""
    table = read_table(str(out), "parts").to_table().drop_columns(["run_id", "seconds", "attempts", "read_at"])
    found = {row["uri"]: row for row in table.to_pylist()}
    assert len(found) == table.num_rows
    return found


def reads(faults: Faults, task: str = "*") -> Counter[str]:
    """How often each part was in hand."""
    return Counter(part for hit in faults.log(f"{task}.read") for part in hit.detail.split())


def redone(faults: Faults) -> int:
    return sum(count - 1 for count in reads(faults).values())


def test_one_worker_dies(
    driver: Driver, archive: Path, undisturbed: Rows, tmp_path: Path, fault_table: FaultTable
) -> None:
    faults = driver.faults
    faults.clear()
    faults.arm("ocr.read", "kill", nth=3)
    driver.begin(archive, tmp_path)
    result = driver.result()
    assert result["balanced"] and rows(tmp_path) == undisturbed
    assert "a worker of ocr died over" in result["notes"]
    largest = max(len(hit.detail.split()) for hit in faults.log("ocr.read"))
    assert 0 < redone(faults) <= 2 * largest
    fault_table.add(FaultRow("one worker killed", 1, len(undisturbed), 0, 0, redone(faults), result["seconds"]))


def test_every_worker_of_every_pool_dies_in_flight(
    driver: Driver, archive: Path, undisturbed: Rows, tmp_path: Path, fault_table: FaultTable
) -> None:
    faults = driver.faults
    faults.clear()
    held = [faults.arm(f"{task}.read", "wait", times=10**6) for task in ("ocr", "speech_to_text")]
    writer = faults.arm("storage.create", "kill", match="*/commits/*", nth=2)
    driver.begin(archive, tmp_path)

    def holders() -> set[tuple[str, int]]:
        return {(hit.name, hit.pid) for hit in faults.log("*.read")}

    wait_until(lambda: Counter(name for name, _ in holders()) == {"ocr.read": 2, "speech_to_text.read": 2}, "4 readers")
    for _, pid in holders():
        os.kill(pid, signal.SIGKILL)
    for arm in held:
        arm.disarm()
    result = driver.result()
    assert result["balanced"] and rows(tmp_path) == undisturbed
    assert writer.hits >= 2
    largest = max(len(hit.detail.split()) for hit in faults.log("*.read"))
    assert 0 < redone(faults) <= 4 * 2 * largest
    fault_table.add(FaultRow("all workers killed", 5, len(undisturbed), 0, 0, redone(faults), result["seconds"]))


def test_several_killers_in_one_batch_cost_one_worker_each_and_one(
    driver: Driver, tmp_path: Path, fault_table: FaultTable
) -> None:
    faults = driver.faults
    faults.clear()
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    killers = {3, 4, 9}
    for number in range(12):
        (source / f"{number:02d}.txt").write_text("die\n" if number in killers else f"letter {number}\n")
    driver.begin(source, out, {"cluster.actors.ocr": 1, "cluster.batch_seconds": 1000})
    result = driver.result()
    assert result["balanced"] and result["categories"] == {"crashed": 3}
    found = {int(Path(uri).stem): row["status"] for uri, row in rows(out).items()}
    assert found == {number: "failed" if number in killers else "ok" for number in range(12)}
    batches = _batches(out)
    dead = len({hit.pid for hit in faults.log("ocr.read")}) - 1
    # In each batch one death finds out that there are killers, and one more finds each of them.
    assert dead <= sum(1 + len(killers & batch) for batch in batches if killers & batch)
    assert max(reads(faults).values()) <= STRIKES + len(killers)
    fault_table.add(FaultRow("parts that kill", 3, 12, 0, 0, redone(faults), result["seconds"]))


def _batches(out: Path) -> list[set[int]]:
    """The numbers of the files in each batch of the only run."""
    from pipelines.runfiles import list_runs
    from pipelines.storage import Storage

    found: dict[int, set[int]] = {}
    for row in list_runs(Storage(str(out)))[0].manifest(["uri", "batch"]).to_pylist():
        found.setdefault(row["batch"], set()).add(int(Path(row["uri"]).stem))
    return list(found.values())
