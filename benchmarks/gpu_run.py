"""`interlace run` as a user types it, timed from outside: whole, or for a stretch of its steady work and then ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.busy_samples import BusySamples
from benchmarks.card_begun import ByVerb, begun, since
from benchmarks.core_seconds import ACTORS, ANSWERED_KINDS, ANSWERING, CARD, DECODER, OPENING, CoreSeconds, cores_of
from benchmarks.stack_samples import record


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is timed: ``seconds`` from ``settle`` seconds after the first commit on. Then the run is ended, whatever
    is left to read."""

    settle: float = 0.0
    seconds: float | None = None  # None: to the last commit
    stacks: Path | None = None  # where py-spy's samples of the time after that are to lie


def time_run(
    source: Path,
    out: Path,
    tasks: str,
    settings: Sequence[str],
    *,
    prompt: str = "",
    pages: float = 1.0,
    stretch: Stretch | None = None,
) -> dict[str, Any]:
    """Run it over a folder of files of so many ``pages``, or seconds of sound, each; its output is kept beside ``out``.
    Raises CalledProcessError when it fails or its ledger does not balance, and RuntimeError when there was nothing to
    time."""
    stretch = stretch or Stretch()
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "pipelines.cli", "run", str(source), "--out", str(out)]
    command += ["--tasks", tasks, "--ocr", "always"]
    command += ["--prompt", prompt] if prompt else []
    command += [word for setting in settings for word in ("--set", setting)]
    log, began = out.with_suffix(".log"), time.time()
    with BusySamples() as busy, CoreSeconds(kinds=ANSWERED_KINDS if prompt else ()) as cores:
        with log.open("w") as said:
            run = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=cores.marked(os.environ))
        try:
            watched = _watched(run, out, stretch, cores)
            stop_at = time.time()
        finally:
            cores.end_all()
            run.wait()
    if watched["whole"] and run.returncode:
        print(log.read_text(errors="replace")[-6000:], file=sys.stderr)
        raise subprocess.CalledProcessError(run.returncode, command)
    commits = _commits(out)
    if len(commits) < 2:
        raise RuntimeError(f"{len(commits)} commits before the run was ended: nothing to time, see {log}")
    first, last = commits[0][0], commits[-1][0]
    start, stop = _ends(first, last, stretch)
    read = pages * sum(parts for at, parts in commits if start < at <= stop)
    return watched | {
        "seconds": stop_at - began,
        "pages": pages * sum(parts for _, parts in commits),
        "first_row": first - began,
        "steady_seconds": stop - start,
        "steady_pages": read,
        "pages_per_second": pages * sum(parts for at, parts in commits if at <= stop) / (stop - began),
        "steady_pages_per_second": read / max(stop - start, 1e-9),
        "by_ten_seconds": _by_ten_seconds(commits, pages),
        "batches": len(commits),
        "busy_samples": busy.mean(start, stop),
        "cores": cores_of(cores, start, stop, read),
        **({"answers": _answers(out)} if prompt else {}),
    }


def _ends(first: float, last: float, stretch: Stretch) -> tuple[float, float]:
    """From when to when work counts as steady: between the first and the last commit, less what was asked to be."""
    start = first + stretch.settle if first + stretch.settle < last else first
    return start, last if stretch.seconds is None else min(last, start + stretch.seconds)


def _watched(run: subprocess.Popen[bytes], out: Path, stretch: Stretch, cores: CoreSeconds) -> dict[str, Any]:
    """Wait for the end of the stretch or of the run; what can only be seen while it works."""
    while run.poll() is None and not _commits(out):
        time.sleep(0.2)
    if not _until(run, time.time() + stretch.settle):
        return {"whole": True}
    card = list(cores.alive(CARD))
    before, began = begun(card), time.time()
    ends = None if stretch.seconds is None else began + stretch.seconds
    counted: ByVerb = before
    whole = True
    while run.poll() is None:  # a run that is done takes its counts along
        counted = begun(card)
        if ends is not None and time.time() >= ends:
            whole = False
            break
        time.sleep(1)
    seen: dict[str, Any] = {
        "whole": whole,
        "begun": {"processes": len(card), "seconds": time.time() - began, "by_verb": since(before, counted)},
    }
    if stretch.stacks and not whole:
        seen["stacks"] = _stacks(cores, stretch.stacks)
    return seen


def _until(run: subprocess.Popen[bytes], end: float) -> bool:
    """Whether the run still goes on at that time."""
    while run.poll() is None and time.time() < end:
        time.sleep(0.2)
    return run.poll() is None


def _stacks(cores: CoreSeconds, folder: Path) -> Any:
    """Samples of one actor, the child that opens its files, the process on the card, Ray's driver, and of a run that
    asks one that does and the decoder."""
    actor = next(iter(cores.alive(ACTORS)), 0)
    children = cores.alive(OPENING)
    pids = {name: next(iter(cores.alive(name)), 0) for name in ("driver", CARD, ANSWERING, DECODER)}
    pids[ACTORS] = actor
    pids[OPENING] = next((pid for pid in children if _parent(pid) == actor), 0)
    found = {name: pid for name, pid in pids.items() if pid}
    return record(found, folder, ways=("gil", "idle", "native"))


def _parent(pid: int) -> int | None:
    """None of one that has ended meanwhile."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return None


def _commits(out: Path) -> list[tuple[float, int]]:
    """When each was written, and its number of parts."""
    paths = out.glob("_interlace/runs/*/commits/*.json")
    return sorted((path.stat().st_mtime, len(json.loads(path.read_text())["parts"])) for path in paths)


def _answers(out: Path) -> dict[str, float]:
    """Of all that were written, committed or not: how many, those that failed, characters and places on average."""
    columns = ["answer", "failures", "evidence"]
    rows = [row for path in out.glob("answers/**/*.parquet") for row in _rows(path, columns)]
    return {
        "written": len(rows),
        "failed": sum(bool(row["failures"]) for row in rows),
        "characters": sum(len(row["answer"] or "") for row in rows) / max(len(rows), 1),
        "places": sum(len(row["evidence"] or ()) for row in rows) / max(len(rows), 1),
    }


def _rows(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    try:
        return pq.ParquetFile(path).read(columns).to_pylist()  # type: ignore[no-any-return]
    except (OSError, pa.ArrowInvalid):
        return []  # the run was ended while it was written


def _by_ten_seconds(commits: Sequence[tuple[float, int]], pages: float) -> list[float]:
    """Pages a second in every ten seconds from the first commit on; what came with that one counts as before them."""
    first = commits[0][0]
    tens = [0.0] * (int((commits[-1][0] - first) // 10) + 1)
    for at, parts in commits[1:]:
        tens[int((at - first) // 10)] += parts * pages / 10
    return [round(rate, 1) for rate in tens]
