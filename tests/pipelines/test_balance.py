"""Pools while a run goes on: cores move to the branch that is behind, and a plan that cannot be met starts nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from encoders.failures import InterlaceError
from pipelines.batches import Branch
from pipelines.figures import PoolFigures, RunFigures
from pipelines.progress import Progress
from pipelines.resizing import left
from pipelines.run import Run
from pipelines.settings import load_settings
from tests.pipelines.letters import LETTERS, PICTURES
from tests.pipelines.letters.config import LettersConfig

READING = {"ocr": 0.3, "object_detection": 0.01}


def a_run(tmp_path: Path, letters: int, pictures: int, reading: dict[str, float] = READING, **settings: object) -> Run:
    """Letters and pictures, with an encoder each that takes so many seconds for one."""
    source = tmp_path / "in"
    source.mkdir()
    for number in range(letters):
        (source / f"{number}.txt").write_text(f"letter {number}\n")
    for number in range(pictures):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(source / f"{number}.png")
    given = {"cluster.num_cpus": 2, "cluster.batch_seconds": 4, **settings}
    entries = {"ocr": LETTERS, "object_detection": PICTURES}
    run = Run(
        load_settings(None, given, {}).settings, [str(source)], str(tmp_path / "out"), Progress(Console()), entries
    )
    run.configs = {}
    for task, seconds in reading.items():
        (tmp_path / task).mkdir()
        run.configs[task] = LettersConfig(calls=tmp_path / task / "calls", seconds=seconds)
    return run


@pytest.mark.full
def test_cores_go_to_the_branch_that_is_behind(ray_cluster: None, tmp_path: Path) -> None:
    outcome = a_run(tmp_path, letters=40, pictures=2).execute()
    assert outcome.ledger.balanced and outcome.ledger.accounts["parts"].terms["done"] == 42
    readers = (tmp_path / "ocr" / "readers").read_text().split()
    assert len(readers) == 40 and len(set((tmp_path / "object_detection" / "readers").read_text().split())) == 1
    assert len(Counter(readers)) == 2, "the core of the pictures went to the letters once they were read"
    assert len(set(readers[-8:])) == 2, "and both read to the end"


def test_a_plan_that_cannot_be_met_starts_nothing(ray_cluster: None, tmp_path: Path) -> None:
    run = a_run(tmp_path, letters=2, pictures=0, **{"cluster.labels": {"ocr": "ray.io/accelerator-type=H100"}})
    with pytest.raises(InterlaceError, match=r"no node has the labels ray\.io/accelerator-type=H100"):
        run.execute()
    assert not (tmp_path / "ocr" / "loads").exists() and not list((tmp_path / "out").rglob("*.parquet"))


def test_what_is_left_of_a_chain_is_told_by_what_waits_behind_it() -> None:
    figures = RunFigures("1", "run", 0.0)
    for task in READING:
        pool = figures.pools[task] = PoolFigures("pages", 40, 40.0, 4.0, "1", units=8.0)
        pool.batch_seconds.add(1.0)
        pool.batch_seconds.add(1.0)
    branch = Branch(tuple(READING), ("image",), tuple(range(10)))
    seen = {"ocr": {"waiting": 2, "in_hand": 1}, "object_detection": {"waiting": 3, "in_hand": 2}}
    ocr, pictures = left([branch], figures, seen)
    assert (ocr.parts, ocr.units) == (3, 12.0) and (pictures.parts, pictures.units) == (8, 32.0)


@pytest.mark.full
def test_a_wrong_default_is_corrected_by_measuring(tmp_path: Path) -> None:
    """Letters are planned with twice the time of pictures, and take a third. Ray has six CPUs, which sleep."""
    command = [sys.executable, "-m", "tests.pipelines.test_balance", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "ocr 4 on cpu at 2 s per page (default); object_detection 2 on cpu at 1 s per page (default)" in told
    assert told.count("pools are sized anew") == 1, told
    moved = re.search(r"ocr (\d) → (\d) actors .*; object_detection (\d) → (\d) actors", told)
    assert moved is not None, told
    # From 4 and 2 to 2 and 4, or from what a busy machine had made of them before.
    ocr, less, pictures, more = map(int, moved.groups())
    assert less <= 2 < ocr and more >= 4 > pictures
    for task, parts in (("ocr", 160), ("object_detection", 120)):
        calls = (tmp_path / task / "calls").read_text().split()
        assert len(calls) == len(set(calls)) == parts, "each was read once"
    readers = {task: (tmp_path / task / "readers").read_text().split() for task in READING}
    assert len(set(readers["ocr"][:60])) > len(set(readers["ocr"][-20:])) <= 2
    assert len(set(readers["object_detection"])) >= 4


if __name__ == "__main__":  # in a process of its own: the Ray that tests share has two CPUs
    folder = Path(sys.argv[1])
    slow = {"ocr": 0.25, "object_detection": 0.75}
    outcome = a_run(folder, 160, 120, slow, **{"cluster.num_cpus": 6, "cluster.num_gpus": 0}).execute()
    sys.exit(0 if outcome.ledger.balanced and outcome.ledger.accounts["parts"].terms["done"] == 280 else 1)
