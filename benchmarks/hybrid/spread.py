"""Rows and columns of the table over several devices: a process for each, which takes one job after another.

A job is one row in one column. A process keeps the decoders of the columns that it was given, and is given more of
those first. Figures do not depend on which process read what.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, cast

from benchmarks.hybrid.columns import ZERO_SHOT
from benchmarks.hybrid.confidences import Value
from benchmarks.hybrid.rows import AFTER, BESIDE, ONE_COLUMN, run
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report


@dataclass(frozen=True, slots=True)
class Job:
    """A row in some columns. ``report`` and ``values``: what other rows found, for those that look at it."""

    row: str
    columns: tuple[str, ...]
    report: Report | None = None
    values: dict[str, list[Value]] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What a job found; ``error`` when it did not end well."""

    job: Job
    report: Report
    values: dict[str, list[Value]]
    seconds: float
    error: str | None = None


def jobs(rows: Sequence[str], columns: Sequence[str], soft: str | None) -> list[Job]:
    """The jobs of rows that do not wait for others, long ones first."""
    found = []
    for row in rows:
        if row in AFTER:
            continue
        if row in ONE_COLUMN:
            found.append(Job(row, (soft or columns[0],)))
        elif row in BESIDE:
            trained = [column for column in columns if column != ZERO_SHOT]
            found.append(Job(row, tuple([column for column in columns if column == ZERO_SHOT] + trained[:1])))
        else:
            found += [Job(row, (column,)) for column in columns]
    order = ("documents", "reading", "receipts")
    return sorted(found, key=lambda job: order.index(job.row) if job.row in order else len(order))


def spread(
    make: Callable[[str], Setting],
    devices: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    soft: str | None,
    report: Report,
) -> Iterator[Done]:
    """Fill a report, job by job. ``make`` gives a process its setting: it is pickled."""
    workers = [_Worker(make, device) for device in devices]
    values: dict[str, list[Value]] = {}

    def take(done: Done) -> Done:
        name = done.job.row
        print(f"{name} {' '.join(done.job.columns)}: {done.seconds:.0f} s", file=sys.stderr, flush=True)
        report.join(done.report)
        values.update(done.values)
        return done

    try:
        yield from map(take, _work(workers, jobs(rows, columns, soft)))
        for row in (row for row in rows if row in AFTER):
            able = [one for one in workers if not one.ended]
            yield from map(take, _work(able[:1], [Job(row, tuple(columns), report, values)]))
    finally:
        for worker in workers:
            worker.end()


def _work(workers: Sequence[_Worker], waiting: list[Job]) -> Iterator[Done]:
    """The jobs' results as they come."""
    busy: dict[Connection, tuple[_Worker, Job]] = {}
    waiting = list(waiting)
    while waiting or busy:
        able = [worker for worker in workers if not worker.ended]
        if not able:
            yield from (
                _failed(job, Report(), "every process has ended; what they said stands above") for job in waiting
            )
            return
        for worker in able:
            if waiting and worker.pipe not in busy:
                job = worker.preferred(waiting, able)
                waiting.remove(job)
                worker.start(job)
                busy[worker.pipe] = worker, job
        for ready in wait(list(busy)):
            worker, job = busy.pop(cast(Connection, ready))
            yield worker.result(job)


class _Worker:
    """A process on one device."""

    def __init__(self, make: Callable[[str], Setting], device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.columns: set[str] = set()
        self.ended = False
        with _seeing(device) as seen:
            self._process: SpawnProcess = context.Process(target=_serve, args=(there, make, seen), daemon=True)
            self._process.start()
        there.close()

    def preferred(self, waiting: Sequence[Job], workers: Sequence[_Worker]) -> Job:
        """A job of a column that is loaded here, else of the column that fewest others have."""
        for job in waiting:
            if self.columns.issuperset(job.columns):
                return job
        return min(waiting, key=lambda job: sum(bool(other.columns & set(job.columns)) for other in workers))

    def start(self, job: Job) -> None:
        """Hand it over."""
        self.columns |= set(job.columns)
        with suppress(OSError):  # it has ended, which `result` finds out
            self.pipe.send(job)

    def result(self, job: Job) -> Done:
        """What came of it; of a process that ended an error."""
        try:
            done: Done = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            self.ended = True
            return _failed(job, Report(), f"its process ended with code {self._process.exitcode}")
        return done

    def end(self) -> None:
        """Stop the process."""
        with suppress(OSError):
            self.pipe.send(None)
            self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


@contextmanager
def _seeing(device: str) -> Iterator[str]:
    """Processes started inside see one card alone, which is then theirs by every library's default; its name there."""
    name, _, number = device.partition(":")
    if name != "cuda":
        yield device
        return
    known = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = known.split(",")[int(number or 0)] if known else number or "0"
    try:
        yield "cuda"
    finally:
        os.environ.pop("CUDA_VISIBLE_DEVICES")
        if known is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = known


def _serve(pipe: Connection, make: Callable[[str], Setting], device: str) -> None:
    """One job after another, until None comes."""
    setting = make(device)
    try:
        while (job := pipe.recv()) is not None:
            pipe.send(_done(job, setting))
    finally:
        setting.panel.close()


def _done(job: Job, setting: Setting) -> Done:
    started = time.monotonic()
    known = job.values or {}
    report = Report(dict(job.report.outcomes) if job.report is not None else {})
    given: dict[str, Any] = {"panel": setting.panel.only(job.columns), "values": dict(known)}
    own = replace(setting, **given)
    try:
        run(job.row, own, report)
    except Exception as problem:  # what the other jobs found out must not be lost
        traceback.print_exc()
        return _failed(job, report, f"{type(problem).__name__}: {problem}")
    if job.report is not None:
        report.outcomes = {}  # they are known
    fresh = {column: found for column, found in own.values.items() if column not in known}
    return Done(job, report, fresh, time.monotonic() - started)


def _failed(job: Job, report: Report, error: str) -> Done:
    if job.report is not None:
        report.outcomes = {}
    report.lines.append(f"{job.row} {' '.join(job.columns)}: FAILED, {error}")
    return Done(job, report, {}, 0.0, error)
