"""What is seen of a lake from outside, in every state that a run can be in, through the store alone."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.figures import PoolFigures, RunFigures
from pipelines.lease import Holder, holder
from pipelines.storage import Storage
from pipelines.view import STALE_SECONDS, LakeWatch, View
from pipelines.watching import draw, watch
from tests.faults.arming import Faults
from tests.faults.drivers import Driver, Job
from tests.faults.lakes import write_archive


def shown(view: View, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(draw(view, "s3://lake"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return text


def test_a_killed_driver_is_seen_and_the_command_that_resumes_it_clears_it(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults")
    job = Job(str(write_archive(tmp_path / "in", {"a.pdf": 4, "b.pdf": 0, "c.pdf": 1})), str(tmp_path / "out"))
    lake = LakeWatch(Storage(job.out))
    assert lake.look().state == "idle" and "idle" in shown(lake.look())
    gate = faults.arm("storage.written", "wait", match="parts/*", nth=3)  # the second batch; the first is told of
    driver = Driver(job, tmp_path / "log", faults.environment)
    gate.wait()
    view = lake.look()
    assert view.state == "working" and view.working and view.run and view.run.pools["ocr"].parts_expected == 3
    assert "nothing is published yet" in shown(view) and "ocr" in shown(view)
    driver.signal("SIGKILL")
    driver.wait()
    view = lake.look()
    assert view.state == "abandoned" and not view.working and "the same command goes on" in shown(view)
    faults.clear()
    assert Driver(job, tmp_path / "again").wait() == 0
    view = lake.look()
    assert view.state == "idle" and view.last_success is not None and "the last run finished" in shown(view)
    assert view.run and view.run.ended == "finished" and view.run.pools["ocr"].pages == 5 - 2
    assert view.ledger and view.ledger.balanced and view.ledger.accounts["parts"].terms["failed"] == 1
    unreachable = Storage(job.out)
    (tmp_path / "out" / "_interlace" / "runs").rename(tmp_path / "runs")
    (tmp_path / "out" / "_interlace" / "runs").write_text("not a folder")
    assert LakeWatch(unreachable).look().state == "unreachable"


@pytest.fixture
def figures() -> RunFigures:
    run = RunFigures("run-1", "run", time.time() - 100)
    run.pools["ocr"] = PoolFigures("pages", 40, 400.0, 25.0, "2")
    row = {"units": 25.0, "status": "ok", "pages": 25, "audio_seconds": 0.0, "failures": [], "answered": True}
    ran = [
        {"name": "ocr_detection", "parameters": 2_460_000, "parts": 2},
        {"name": "script", "parameters": 350, "parts": 0},
    ]
    row |= {"calls": [{"task": "ocr", "seconds": 20.0, "gpu_busy": 0.75, "networks": ran}]}
    bad = row | {"status": "partial", "pages": 1, "units": 2.0, "calls": None}
    bad["failures"] = [{"task": "ocr", "category": "corrupt"}, {"task": None, "category": "corrupt"}]
    run.decoder_loaded({"decoder": 134_000_000})
    run.advance([row, bad])
    run.queues({"ocr": {"waiting": 7, "in_hand": 2, "actors": 2, "actors_starting": 1}, "gone": {"waiting": 1}})
    return run


def test_figures_come_back_from_the_store_as_they_were(figures: RunFigures) -> None:
    again = RunFigures.of(json.loads(json.dumps(figures.snapshot())))
    assert again.pools == figures.pools and again.networks == figures.networks and again.answers == 2
    assert again.networks["decoder"]["decoder"].parts == 2
    assert [network.active for network in again.networks["ocr"].values()] == [2_460_000, 0]
    pool = again.pools["ocr"]
    assert (pool.parts, pool.parts_failed, pool.pages, pool.units) == (2, 1, 26, 27.0)
    assert pool.failures == {"corrupt": 2} and pool.batch_fill.mean == 27 / 25 and pool.batch_fill.counts[-1] == 1
    assert pool.batch_seconds.counts[pool.batch_seconds.bounds.index(25.0)] == 1


def test_every_state_is_drawn_with_its_pools(figures: RunFigures) -> None:
    now = time.time()
    writer = Holder(1, "run", "a-host", 1, "elsewhere", "n", now - 200, now + 100, 60.0)
    figures.updated = now
    view = View(now, writer, figures)
    assert view.state == "working"
    text = shown(view)
    assert "7+2" in text and "2 +1" in text and "75%" in text and "2 corrupt" in text and "0.26 pages/s" in text
    assert "ocr_detection" in text and "136,460,350" in text and "136,460,000" in text  # loaded and touched, in all
    assert "22:5" in text or "23:0" in text  # 373 of 400 units are left at 27 in 100 s
    figures.updated = now - STALE_SECONDS - 1
    assert view.state == "stale" and "no word for 1:01" in shown(view)
    assert replace(view, writer=replace(writer, released=True)).state == "idle"
    assert replace(view, writer=replace(writer, until=now - 100)).state == "abandoned"
    figures.ended = "finished"
    assert view.state == "working" and not view.working  # the next run lists, and has told nothing yet


def test_watching_an_s3_store_goes_on_until_it_is_told_to_stop(s3: str) -> None:
    job = Job(None, f"{s3}/lake")
    assert holder(Storage(job.out)) is None
    stop, console = threading.Event(), Console(file=StringIO(), width=100)
    thread = threading.Thread(target=watch, args=(console, Storage(job.out), 0.05, stop))
    thread.start()
    while console.file.getvalue().count("idle") < 2:  # type: ignore[attr-defined]
        assert thread.is_alive()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
