"""SIGTERM and SIGKILL in the middle of a run: what is committed stays, the same command finishes the rest. Once on a
machine that has GPUs by then, as far as it is told: every actor is pinned to a card of its own and told to use it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.ledger import read_ledger
from pipelines.storage import Storage
from pipelines.tables import read_table
from tests.pipelines.letters.run import letters_run

FILES = 24


def letters(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    for index in range(FILES):
        (source / f"{index:02d}.txt").write_text(f"letter {index}\n")
    return tmp_path / "out"


def start(tmp_path: Path, gpus: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.pipelines.letters", str(tmp_path), str(gpus)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def wait_for_commits(out: Path, count: int, alive: Callable[[], bool]) -> None:
    for _ in range(3600):
        if len(list(out.glob("_interlace/runs/*/commits/*.json"))) >= count:
            return
        assert alive(), "the run ended before it was interrupted"
        time.sleep(0.05)
    raise AssertionError("no batch was committed within three minutes")


def check_interrupted(out: Path) -> None:
    published = read_table(str(out), "parts").count_rows()
    assert 3 <= published < FILES
    assert read_ledger(Storage(str(out))).accounts["parts"].terms["pending"] == FILES - published


def finish(tmp_path: Path, gpus: int) -> None:
    """The same command does the rest, and not much of it twice."""
    second = start(tmp_path, gpus)
    output, _ = second.communicate(timeout=240)
    assert second.returncode == 0, output
    out = tmp_path / "out"
    texts = sorted(read_table(str(out), "parts").to_table(columns=["text"])["text"].to_pylist())
    assert texts == sorted(f"letter {index}" for index in range(FILES))
    redone = len((tmp_path / "calls").read_text().splitlines()) - FILES
    assert redone <= 2 * 2 * 3  # two batches per actor, two actors, and batches here hold at most three files
    assert read_ledger(Storage(str(out))).balanced
    loads = {line.strip() for line in (tmp_path / "loads").read_text().splitlines()}
    assert loads == {"cpu", *(f"cuda {card}" for card in range(gpus))}


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_that_is_told_to_end_is_finished_where_there_are_gpus(tmp_path: Path) -> None:
    out, over = letters(tmp_path), threading.Event()

    def end() -> None:
        wait_for_commits(out, 3, lambda: not over.is_set())
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, frame: None)  # should it come after the run has ended
    ending = threading.Thread(target=end)
    try:
        ending.start()
        with (tmp_path / "log").open("w") as log:
            outcome = letters_run(tmp_path, Console(file=log)).execute()
    finally:
        over.set()
        ending.join()
        signal.signal(signal.SIGTERM, before)
    assert outcome.interrupted
    check_interrupted(out)
    finish(tmp_path, gpus=2)


@pytest.mark.full  # each with a Ray of its own, which ends with it
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_ended_run_is_finished_by_the_same_command(tmp_path: Path, number: signal.Signals) -> None:
    out, first = letters(tmp_path), start(tmp_path, gpus=0)
    wait_for_commits(out, 3, lambda: first.poll() is None)
    first.send_signal(number)
    first.communicate(timeout=240)
    if number is signal.SIGTERM:
        assert first.returncode == 130
        check_interrupted(out)
    finish(tmp_path, gpus=0)
