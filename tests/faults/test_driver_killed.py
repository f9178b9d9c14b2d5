"""The driver dies at every step of the commit protocol in turn; the same command again leaves the tables of a run that
nobody disturbed, row for row."""

from __future__ import annotations

import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.arming import Faults
from tests.faults.drivers import Driver, Job
from tests.faults.lakes import Rows, assert_equal, lake_rows, parts_redone, write_archive
from tests.faults.table import FaultTable

STEPS = {
    "OUT is writable": ("storage.delete", "*/write-test-*", 1),
    "lease taken": ("storage.created", "*/lease/*", 1),
    "listing written": ("storage.written", "*/listing.parquet", 1),
    "manifest written": ("storage.written", "*/manifest-*", 1),
    "rows of assets without parts written": ("storage.written", "parts/*", 1),
    "record of assets without parts": ("storage.created", "*/commits/*", 1),
    "run exists": ("storage.written", "*/run.json", 1),
    "parts in hand noted": ("storage.written", "*/journal/*", 1),
    "parts read": ("storage.delete", "*/journal/*", 2),
    "rows being written": ("storage.write", "parts/*", 3),
    "rows written": ("storage.written", "parts/*", 3),
    "answers written": ("storage.written", "answers/*", 1),
    "record": ("storage.created", "*/commits/*", 3),
    "rows of assets written": ("storage.written", "assets/*", 1),
    "publish planned": ("storage.created", "*/publish/000001.json", 1),
    "rows that stay written": ("storage.written", "*/kept-*", 1),
    "before the commit to parts": ("delta.commit", "parts", 1),
    "after the commit to parts": ("delta.committed", "parts", 1),
    "before the commit to answers": ("delta.commit", "answers", 1),
    "after the commit to answers": ("delta.committed", "answers", 1),
    "before the commit to assets": ("delta.commit", "assets", 1),
    "after the commit to assets": ("delta.committed", "assets", 1),
    "second publish planned": ("storage.created", "*/publish/000002.json", 1),
    "second publish half done": ("delta.committed", "answers", 2),
    "published, state not written": ("storage.write", "*/run.json", 2),
    "state written": ("storage.written", "*/run.json", 2),
    "before the lease is released": ("storage.write", "*/lease/*", 1),
}
"""What the driver has done when it dies -> the fault point, what it is reached with, and the how manieth time."""
QUICK = {
    "record",
    "publish planned",
    "after the commit to parts",
    "second publish half done",
    "published, state not written",
}
"""Those of `make test`; `make faults` runs all."""


@dataclass(frozen=True)
class Scene:
    """An archive that changed since it was read: OUT before, the job, and the tables of an undisturbed run."""

    before: Path
    job: Job
    expected: Rows
    steps: list[tuple[str, str]]

    def disturbed(self, folder: Path) -> Job:
        """The same job in a copy of OUT."""
        shutil.copytree(self.before, folder / "out")
        return Job(self.job.source, str(folder / "out"), question=self.job.question)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    source = write_archive(folder / "in", {"a.pdf": 3, "b.pdf": 1, "c.pdf": 4, "empty.pdf": 0})
    job = Job(str(source), str(folder / "before"), question="who?")
    assert Driver(job, folder / "log").wait() == 0
    for told in (folder / "before").glob("_interlace/runs/*/live.json"):
        told.unlink()  # so that the next run has several batches, by default times: by the stub's it would have one
    write_archive(source, {"a.pdf": 5, "d.pdf": 2, "e.pdf": 1, "empty-too.pdf": 0})
    shutil.copytree(folder / "before", folder / "after")
    faults = Faults(folder / "faults")
    undisturbed = Job(job.source, str(folder / "after"), question=job.question)
    assert Driver(undisturbed, folder / "log", faults.environment).wait() == 0
    expected = lake_rows(folder / "after")
    assert expected["assets"].total() == 7 and expected["answers"].total() == 5
    steps = [(hit.name, hit.detail) for hit in faults.log() if not hit.name.startswith("driver.")]
    return Scene(folder / "before", job, expected, steps)


def test_the_table_of_steps_knows_every_kind_of_write(scene: Scene) -> None:
    """So that a step added to the protocol is added to the table."""
    kinds = {(name, _kind(detail)) for name, detail in scene.steps if name != "ocr.read"}
    named = {(name, _kind(detail)) for name, detail, _ in STEPS.values()}
    before = {"storage.written": "storage.write", "storage.created": "storage.create"}
    named |= {(before[name], kind) for name, kind in named if name in before}  # the end of one is before the next
    late = {("storage.written", "lease"), ("storage.delete", "lease")}  # nothing follows them, or they follow the lease
    assert kinds - named - late == {("storage.write", "write-test"), ("storage.written", "write-test")}


def _kind(detail: str) -> str:
    for kind in ("kept-", "listing", "manifest-", "commits", "publish", "run.json", "journal", "lease", "write-test"):
        if kind in detail:
            return kind
    return re.split(r"/", detail)[0]


def kill_and_resume(scene: Scene, faults: Faults, folder: Path, point: tuple[str, str, int]) -> tuple[int, float]:
    """Returns the parts redone and the seconds to recover; asserts that the tables are equal."""
    job = scene.disturbed(folder)
    name, match, nth = point
    arm = faults.arm(name, "kill", match=match, nth=nth)
    killed = Driver(job, folder / "log", faults.environment)
    assert killed.wait() == -signal.SIGKILL, f"{point} was not reached: {killed.text}"
    arm.disarm()
    started = time.monotonic()
    resumed = Driver(job, folder / "log", faults.environment)
    assert resumed.wait() == 0, resumed.text
    seconds = time.monotonic() - started
    assert_equal(scene.expected, job.out)
    return parts_redone(faults), seconds


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=() if step in QUICK else pytest.mark.full) for step in STEPS]
)
def test_killed_when(step: str, scene: Scene, faults: Faults, tmp_path: Path, fault_table: FaultTable) -> None:
    redone, seconds = kill_and_resume(scene, faults, tmp_path, STEPS[step])
    assert redone <= 1  # inline, one batch of one part is in hand
    fault_table.measure("driver killed at each step", scene.expected, tmp_path / "out", redone, seconds)
