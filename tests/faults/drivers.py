"""Drivers in processes of their own, which tests kill. Inline ones call the stages in the driver, without Ray: they
start in a tenth of a second and go through the same commit protocol; the others start a Ray of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import typer
from rich.console import Console

from benchmarks.stub import STUB
from benchmarks.stub.config import StubConfig
from cluster.pools import PoolPlan, Resources
from encoders.fault_points import fault_point
from pipelines.ask import Ask
from pipelines.batches import Branch
from pipelines.cli_lake import finish
from pipelines.lease import LeaseHeld, LeaseLost
from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.retry import Retry
from pipelines.run import Run
from pipelines.runfiles import RunFiles
from pipelines.settings import load_settings
from pipelines.stages import PerceiveStage, RunContext, WritingStage, pack, unpack
from pipelines.tables import ANSWERS, PARTS, read_table, rows_to_table

EXITS = {LeaseHeld: 3, LeaseLost: 4}
"""What a driver exits with where a command would exit with 2, to tell them apart."""


class Inline(Run):
    """Of a run, retry or ask: its stages are called in the driver. It answers every question with the asset's name."""

    def _stream(
        self, files: RunFiles, attempt: str, branches: Sequence[Branch], plan: PoolPlan
    ) -> Iterator[list[dict[str, Any]]]:
        context = self._context(files, attempt)
        stage = WritingStage(ReadAndAnswer, {"run": self, "context": context}, context)
        for branch in branches:
            for batch in files.batches(branch.batches):
                yield unpack(stage(pack(batch.to_pylist())))

    def _answer_rest(self, files: RunFiles) -> None:
        if self.question is None:
            return
        chosen = pc.field("answer_fingerprint") == self.question.fingerprint
        have = set(read_table(self.storage, "answers").to_table(columns=["uri"], filter=chosen)["uri"].to_pylist())
        read = read_table(self.storage, "assets").to_table(columns=["uri", "etag", "status"]).to_pylist()
        rows = [self.answer(row, files.run_id) for row in read if row["uri"] not in have and row["status"] != "failed"]
        for row in rows:
            files.commit({"parts": PARTS.empty_table(), "answers": rows_to_table([row], ANSWERS)})

    def answer(self, row: Mapping[str, Any], run_id: str) -> dict[str, Any]:
        assert self.question is not None
        named = {"uri": row["uri"], "etag": row["etag"], "answer_fingerprint": self.question.fingerprint}
        return named | {"answer": Path(row["uri"]).name, "run_id": run_id}

    def _ray(self) -> Resources:
        return Resources(1)


class InlineRun(Inline):
    """An inline run."""


class InlineRetry(Inline, Retry):
    """An inline retry."""


class InlineAsk(Inline, Ask):
    """An inline question."""


class ReadAndAnswer:
    """The stages of an inline run, up to writing."""

    def __init__(self, run: Inline, context: RunContext) -> None:
        self._run, self._context = run, context
        self._perceive = PerceiveStage(run.entries["ocr"], run.configs["ocr"], context, "cpu")

    def __call__(self, block: pa.Table) -> pa.Table:
        rows = unpack(self._perceive(block))
        for row in rows if self._run.question else ():
            row["answer"] = self._run.answer(row, self._context.run_id) if row["parts"] == 1 else None
        return pack(rows)


@dataclass(frozen=True)
class Job:
    """What a driver does, in plain values: it travels to another process. Without a source it retries or asks."""

    source: str | None
    out: str
    kind: type[Run] = InlineRun
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    question: str | None = None

    def make(self, log: Path) -> Run:
        """The run, in this process."""
        small = {"cluster.num_cpus": 2, "cluster.object_store_gib": 0.2, "run.pages_per_part": 2}
        asked = {"run.prompt": self.question} if self.question is not None else {}
        settings = load_settings(None, small | asked | dict(self.settings), {}).settings
        progress = Progress(Console(file=log.open("a"), width=200))
        sources = () if self.source is None else ([self.source],)
        run = self.kind(settings, *sources, self.out, progress, entries={"ocr": STUB}, **self.options)  # type: ignore
        run.configs = {"ocr": StubConfig()}
        return run

    def run(self, log: Path) -> Outcome:
        """Do it in this process."""
        return self.make(log).execute()


_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.faults.drivers"])


class Driver:
    """A job in a process of its own."""

    def __init__(self, job: Job, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.started = time.monotonic()
        self._process: ForkServerProcess = _SERVER.Process(
            target=_drive, args=(job, log, dict(environment or os.environ))
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def wait(self, seconds: float = 120.0) -> int:
        """Its exit status; minus the signal that ended it."""
        self._process.join(seconds)
        status = self._process.exitcode
        if status is None:
            self._process.kill()
            raise AssertionError(f"the driver did not end within {seconds:g} s: {self.log.read_text()[-2000:]}")
        return status

    def signal(self, name: str) -> None:
        """Send it a signal."""
        os.kill(self.pid, getattr(signal, name))

    @property
    def text(self) -> str:
        """What it printed."""
        return self.log.read_text()


def _drive(job: Job, log: Path, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        fault_point("driver.start", str(os.getpid()))
        finish(job.make(log), strict=False)
        status = 9  # it always raises
    except typer.Exit as ended:
        status = ended.exit_code
    except tuple(EXITS) as error:
        print(f"{type(error).__name__}: {error}")
        status = EXITS[type(error)]
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 9
    sys.stdout.flush()
    os._exit(status)
