"""SIGTERM and SIGKILL in the middle of a run: what is committed stays, the same command finishes the rest. Once on a
machine that has GPUs by then, as far as it is told: every actor is pinned to a card of its own and told to use it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.ledger import read_ledger
from pipelines.storage import Storage
from pipelines.tables import read_table

FILES = 24


def start(tmp_path: Path, gpus: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.pipelines.letters", str(tmp_path), str(gpus)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def wait_for_commits(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    for _ in range(3600):
        if len(list(out.glob("_interlace/runs/*/commits/*.json"))) >= count:
            return
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)
    raise AssertionError("no batch was committed within three minutes")


@pytest.mark.parametrize(
    ("number", "gpus"), [(signal.SIGTERM, 2), pytest.param(signal.SIGKILL, 0, marks=pytest.mark.full)]
)
def test_an_ended_run_is_finished_by_the_same_command(tmp_path: Path, number: signal.Signals, gpus: int) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for index in range(FILES):
        (source / f"{index:02d}.txt").write_text(f"letter {index}\n")
    first = start(tmp_path, gpus=0)
    wait_for_commits(out, 3, first)
    first.send_signal(number)
    first.communicate(timeout=240)
    if number is signal.SIGTERM:
        assert first.returncode == 130
        published = read_table(str(out), "parts").count_rows()
        assert 3 <= published < FILES
        assert read_ledger(Storage(str(out))).accounts["parts"].terms["pending"] == FILES - published
    second = start(tmp_path, gpus)
    output, _ = second.communicate(timeout=240)
    assert second.returncode == 0, output
    texts = sorted(read_table(str(out), "parts").to_table(columns=["text"])["text"].to_pylist())
    assert texts == sorted(f"letter {index}" for index in range(FILES))
    redone = len((tmp_path / "calls").read_text().splitlines()) - FILES
    assert redone <= 2 * 2 * 3  # two batches per actor, two actors, and batches here hold at most three files
    assert read_ledger(Storage(str(out))).balanced
    loads = {line.strip() for line in (tmp_path / "loads").read_text().splitlines()}
    assert loads == {"cpu", *(f"cuda {card}" for card in range(gpus))}
