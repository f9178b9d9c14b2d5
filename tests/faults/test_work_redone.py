"""What a killed worker costs in seconds of work, with the real OCR and batches as they are by default."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.bulk_ocr import make_pages
from cluster.service_times import DEFAULTS
from pipelines.tables import read_table
from tests.faults.arming import Faults
from tests.faults.table import FaultRow, FaultTable
from tests.faults.workers import Driver

PAGES = 56  # dense scans of four pages each: enough for a batch of full size
MOST_SECONDS = 60.0  # of work of an actor, done again, at the speed that plans go by


@pytest.mark.full
def test_a_killed_worker_costs_less_than_a_minute_of_its_work(tmp_path: Path, fault_table: FaultTable) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    paths, _ = make_pages(source, PAGES)
    driver = Driver(Faults(tmp_path / "faults"))
    faults = driver.faults
    # The worst moment: everything in a batch of full size was read, and its commit is about to be written.
    faults.arm("storage.create", "kill", match="*/commits/*", nth=4)
    driver.begin(source, out, {"cluster.actors.ocr": 1}, real=True)
    result = driver.result()
    driver.close()
    assert result["balanced"] and result["categories"] == {}
    rows = read_table(str(out), "parts").to_table(columns=["part_id", "seconds", "pages"]).to_pylist()
    pages = {row["part_id"]: len(row["pages"]) for row in rows}
    assert len(pages) == len(rows) == len(paths) and sum(pages.values()) == PAGES
    seconds = {row["part_id"]: sum(stage["seconds"] for stage in row["seconds"]) for row in rows}
    reads = Counter(part for hit in faults.log("ocr.read") for part in hit.detail.split())
    again = Counter({part: count - 1 for part, count in reads.items() if count > 1})
    assert again.total() > 1
    assert sum(pages[part] * count for part, count in again.items()) * DEFAULTS["ocr", "cpu"].seconds <= MOST_SECONDS
    work = sum(seconds[part] * count for part, count in again.items())
    fault_table.add(FaultRow("worker killed before its commit, real OCR", 1, len(rows), 0, 0, again.total()))
    fault_table.notes.append(f"work done again for a killed worker: {work:.1f} s of {sum(seconds.values()):.0f} s")
