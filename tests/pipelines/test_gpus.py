"""Pools with declared GPUs: every actor is pinned to a card of its own and told to use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipelines.tables import read_table


def test_actors_are_pinned_to_declared_gpus(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for index in range(40):  # more than one batch holds
        (source / f"{index}.txt").write_text(f"letter {index}\n")
    command = [sys.executable, "-m", "tests.pipelines.letters", str(tmp_path), "2"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert read_table(str(tmp_path / "out"), "parts").count_rows() == 40
    assert set((tmp_path / "loads").read_text().splitlines()) == {"cuda 0", "cuda 1"}
