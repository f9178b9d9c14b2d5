"""Memory: an archive larger than the object store flows through; twenty thousand parts leave nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.control_plane import make_documents
from encoders.fault_points import VARIABLE
from pipelines.tables import read_table
from tests.faults.arming import Faults, wait_until
from tests.faults.table import FaultRow, FaultTable

STORE_MIB = 100
PARTS, PART_MIB = 80, 8  # their results are 6.4 times the object store
WORKER_MIB = 700  # of private memory
SOAK_PARTS = 20_000
SOAK_SLOPE = 3.0  # MiB per 1,000 parts, of any process, over the second half of its life


def flow(source: Path, out: Path, config: dict[str, Any], environment: dict[str, str], *settings: str) -> Any:
    command = [sys.executable, "-m", "tests.faults.flow", str(source), str(out), str(STORE_MIB), json.dumps(config)]
    environment = {name: value for name, value in environment.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen([*command, *settings], env=environment, stdout=subprocess.PIPE, text=True)


def result(process: Any) -> dict[str, Any]:
    output, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(output)  # type: ignore[no-any-return]


def lost_and_duplicated(out: Path, parts: int) -> tuple[int, int]:
    ids = Counter(read_table(str(out), "parts").to_table(columns=["part_id"])["part_id"].to_pylist())
    return parts - len(ids), ids.total() - len(ids)


@pytest.mark.full
def test_results_beyond_the_object_store_wait_for_a_slow_consumer(tmp_path: Path, fault_table: FaultTable) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(PARTS):
        (source / f"{number:02d}.txt").write_text(f"part {number}\n")
    faults = Faults(tmp_path / "faults")
    gate = faults.arm("consumer", "wait", times=10**6)
    process = flow(source, out, {"padding": PART_MIB << 20}, faults.environment, "cluster.batch_seconds=1")
    gate.wait()
    last = [0, time.monotonic()]

    def quiet() -> bool:
        """Nothing was read for some seconds: a batch takes a tenth of one."""
        reads = len(faults.log("ocr.read"))
        if reads != last[0]:
            last[:] = [reads, time.monotonic()]
        return time.monotonic() - last[1] > 5

    wait_until(quiet, "backpressure")
    ahead = sum(len(hit.detail.split()) for hit in faults.log("ocr.read"))
    gate.disarm()
    told = result(process)
    assert told["balanced"] and told["done"] == PARTS
    # What is read ahead of a consumer that stands still fits the store, and a batch in the hands of each actor.
    assert ahead * PART_MIB <= STORE_MIB + 2 * 2 * PART_MIB, f"{ahead} of {PARTS} parts were read ahead"
    assert not told["spilled"]
    workers = [p for p in told["processes"] if "ray::" in p["name"]]
    peak = max(p["peak"] for p in workers)
    assert peak < WORKER_MIB
    fault_table.add(FaultRow("consumer that stands still", 1, PARTS, *lost_and_duplicated(out, PARTS), 0))
    fault_table.notes.append(
        f"{PARTS * PART_MIB} MiB of results through an object store of {STORE_MIB} MiB: {ahead * PART_MIB} MiB read "
        f"ahead of a consumer that stood still, nothing spilled, no worker above {peak:.0f} MiB"
    )


@pytest.mark.full
def test_twenty_thousand_parts_leave_nothing_behind(tmp_path: Path, fault_table: FaultTable) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    make_documents(source, SOAK_PARTS)
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    told = result(flow(source, out, {}, environment, "run.pages_per_part=1", "cluster.batch_seconds=60"))
    assert told["balanced"] and told["done"] == SOAK_PARTS
    per_minute = SOAK_PARTS / told["seconds"] * 60
    lasting = [p for p in told["processes"] if p["seconds"] > told["seconds"] / 4]
    slopes = {f"{p['name']} ({p['pid']})": p["slope"] / per_minute * 1000 for p in lasting}
    fault_table.add(FaultRow("none: a soak", 0, SOAK_PARTS, *lost_and_duplicated(out, SOAK_PARTS), 0))
    fault_table.notes.append(f"{SOAK_PARTS:,} parts in {told['seconds']:.0f} s, MiB per 1,000 parts, and the peak:")
    fault_table.notes += [
        f"  {slope:+6.2f} {process['peak']:6.0f} MiB  {name}"
        for process, (name, slope) in sorted(zip(lasting, slopes.items()), key=lambda pair: -pair[1][1])
    ]
    assert {name: slope for name, slope in slopes.items() if slope > SOAK_SLOPE} == {}
