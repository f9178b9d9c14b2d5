"""Workers that die, stand still or run out of memory: the tables are those of an undisturbed run."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.journal import STRIKES
from pipelines.tables import read_table
from tests.decoder.tiny import save_tiny
from tests.encoders.media_files import noise, sound
from tests.faults.arming import Faults, wait_until
from tests.faults.lakes import parts_redone, seconds_to_recover
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


@pytest.mark.full
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
    assert 0 < parts_redone(faults) <= 2 * largest
    fault_table.add(
        FaultRow("one worker killed", 1, len(undisturbed), 0, 0, parts_redone(faults), seconds_to_recover(faults))
    )


@pytest.mark.full
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
    assert 0 < parts_redone(faults) <= 4 * 2 * largest
    fault_table.add(
        FaultRow("all workers killed", 5, len(undisturbed), 0, 0, parts_redone(faults), seconds_to_recover(faults))
    )


@pytest.mark.full
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
    fault_table.add(FaultRow("parts that kill", 3, 12, 0, 0, parts_redone(faults), seconds_to_recover(faults)))


@pytest.mark.full
def test_memory_that_runs_out_halves_the_batch(
    driver: Driver, archive: Path, undisturbed: Rows, tmp_path: Path, fault_table: FaultTable
) -> None:
    faults = driver.faults
    faults.clear()
    driver.begin(archive, tmp_path, {"cluster.actors.ocr": 1, "cluster.batch_seconds": 100}, most=1)
    result = driver.result()
    assert result["balanced"] and result["categories"] == {} and rows(tmp_path) == undisturbed
    sizes = [len(hit.detail.split()) for hit in faults.log("ocr.read")]
    assert sizes[0] > 1 and sizes[1] == sizes[0] // 2
    assert set(sizes[sizes.index(1) :]) == {1}  # what fitted is remembered
    fault_table.add(
        FaultRow("memory runs out", sum(n > 1 for n in sizes), len(undisturbed), 0, 0, parts_redone(faults))
    )


@pytest.mark.full
def test_work_that_stands_still_is_named_ended_and_set_aside(
    driver: Driver, tmp_path: Path, fault_table: FaultTable
) -> None:
    faults = driver.faults
    faults.clear()
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(6):
        (source / f"{number}.txt").write_text("stall\n" if number == 2 else f"letter {number}\n")
    driver.begin(source, out, {"run.stall_seconds": 5, "cluster.actors.ocr": 1, "cluster.batch_seconds": 50})
    result = driver.result()
    assert result["balanced"] and result["categories"] == {"timed_out": 1}
    found = rows(out)
    assert {row["status"] for uri, row in found.items() if Path(uri).stem != "2"} == {"ok"}
    failure = found[str(source / "2.txt")]["failures"][0]
    assert re.match(r"no progress for \d+ s, 2 times", failure["message"]) and failure["task"] == "ocr"
    assert re.search(r"a worker of ocr made no progress for \d+ s and was ended over", result["notes"])
    assert str(source / "2.txt") in result["notes"]
    fault_table.add(FaultRow("work that stands still", 2, 6, 0, 0, parts_redone(faults), seconds_to_recover(faults)))


@pytest.mark.full
def test_the_decoder_dies_in_mid_batch(driver: Driver, tmp_path: Path, fault_table: FaultTable) -> None:
    faults = driver.faults
    source, checkpoint = tmp_path / "in", save_tiny(tmp_path / "decoder", "llama")
    source.mkdir()
    for number in range(LETTERS):
        (source / f"{number:02d}.txt").write_text(f"letter {number}\n")
    asked = {"run.prompt": "What is the number?", "decoder.max_new_tokens": 20, "cluster.batch_seconds": 8}
    asked |= {"decoder.checkpoint": str(checkpoint), "decoder.dtype": "float32", "decoder.prompt_tokens": 300}
    given = []
    for name in ("undisturbed", "disturbed"):
        faults.clear()
        if name == "disturbed":
            faults.arm("decoder.generate", "kill", nth=2)
        driver.begin(source, tmp_path / name, asked)
        assert driver.result()["balanced"]
        table = read_table(str(tmp_path / name), "answers").to_table().drop_columns(["run_id"])
        given.append({row["uri"]: row for row in table.to_pylist()})
        assert len(given[-1]) == table.num_rows == LETTERS
    assert given[0] == given[1] and {len(row["failures"]) for row in given[0].values()} == {0}
    hits = faults.log("decoder.generate")
    first, second = dict.fromkeys(hit.pid for hit in hits)
    died = max(hit.time for hit in hits if hit.pid == first)
    seconds = min(hit.time for hit in hits if hit.pid == second) - died
    assert parts_redone(faults) == 0  # nothing is read again for want of an answer
    fault_table.add(FaultRow("decoder killed in mid-batch", 1, LETTERS, 0, 0, 0, seconds))


def _batches(out: Path) -> list[set[int]]:
    """The numbers of the files in each batch of the only run."""
    from pipelines.runfiles import list_runs
    from pipelines.storage import Storage

    found: dict[int, set[int]] = {}
    for row in list_runs(Storage(str(out)))[0].manifest(["uri", "batch"]).to_pylist():
        found.setdefault(row["batch"], set()).add(int(Path(row["uri"]).stem))
    return list(found.values())
