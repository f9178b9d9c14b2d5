"""The process that computes for all actors is killed in mid-run: the tables are those of a run without one."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from benchmarks.ocr_pages import dense_pages
from pipelines.tables import read_table
from tests.faults.arming import Faults
from tests.faults.table import FaultRow, FaultTable
from tests.faults.workers import Driver

PAGES = 4


@pytest.mark.full
def test_the_process_on_a_card_is_killed(tmp_path: Path, fault_table: FaultTable) -> None:
    source = tmp_path / "in"
    source.mkdir()
    image = dense_pages(1)[0].image
    for number in range(PAGES):
        cv2.imwrite(str(source / f"{number}.png"), image[60 * number : 60 * number + 150, :700])
    faults = Faults(tmp_path / "faults")
    driver, found = Driver(faults), {}
    try:
        for card_process in (False, True):
            faults.clear()
            killing = faults.arm("card.begin", "kill", match="recognise", nth=2)
            out = tmp_path / f"out-{card_process}"
            settings = {"ocr.engine": "torch", "ocr.card_process": card_process, "cluster.actors.ocr": 2}
            driver.begin(source, out, {**settings, "run.tasks": ["ocr"], "cluster.batch_seconds": 1}, real=True)
            result = driver.result()
            assert result["balanced"] and result["categories"] == {}
            assert killing.hits > 2 if card_process else not killing.hits
            table = read_table(str(out), "parts").to_table().select(["uri", "status", "pages", "attempts"])
            found[card_process] = sorted(table.to_pylist(), key=lambda row: str(row["uri"]))
    finally:
        driver.close()
    assert found[True] == found[False] and len(found[True]) == PAGES
    assert all(row["pages"][0]["lines"] and row["attempts"] == 1 for row in found[True])
    began = faults.log("card.begin")
    first, second = dict.fromkeys(hit.pid for hit in began)
    died = max(hit.time for hit in began if hit.pid == first)
    seconds = min(hit.time for hit in began if hit.pid == second) - died
    fault_table.add(FaultRow("process on a card killed", 1, PAGES, 0, 0, 0, seconds))
