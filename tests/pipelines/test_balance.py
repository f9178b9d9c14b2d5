"""Pools while a run goes on: cores move to the branch that is behind, and a plan that cannot be met starts nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from encoders.failures import InterlaceError
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from tests.pipelines.letters import LETTERS, PICTURES
from tests.pipelines.letters.config import LettersConfig


def a_run(tmp_path: Path, letters: int, pictures: int, **settings: object) -> Run:
    """Letters that take a third of a second each, and pictures, with an encoder each."""
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
    for task, seconds in (("ocr", 0.3), ("object_detection", 0.01)):
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
