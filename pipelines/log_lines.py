"""A run's progress as JSON lines, for machines that collect logs: ``run.log: json``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from encoders.redaction import redact
from pipelines.figures import RunFigures
from pipelines.progress import LINE_SECONDS, Progress

if TYPE_CHECKING:
    from pipelines.outcome import Outcome


class LogLines(Progress):
    """One object a line: time, event, run_id, and what belongs to the event. A part that is done is a line with its
    part_id, uri, status, pages, audio seconds, seconds by stage and failures."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """One line about what happens next."""
        self._write("note", message=text)

    @contextmanager
    def listing(self) -> Iterator[Callable[[int], None]]:
        """While assets are listed and probed; tells how many there were at the end."""
        known = [0]

        def count(number: int) -> None:
            known[0] = number

        yield count
        self._write("listed", assets=known[0])

    @contextmanager
    def running(self, figures: RunFigures) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], None]]:
        """While parts stream through the pools."""
        stop = threading.Event()

        def told(rows: Sequence[Mapping[str, Any]]) -> None:
            for row in rows:
                seconds = {item["stage"]: round(item["seconds"], 3) for item in row["seconds"]}
                named = {name: row[name] for name in ("part_id", "uri", "status", "pages", "audio_seconds", "failures")}
                trace = {"trace_id": row["trace_id"]} if row.get("trace_id") else {}
                self._write("part", run_id=figures.run_id, **trace, **named, seconds=seconds)
                if row["note"]:
                    self._write("note", run_id=figures.run_id, message=row["note"])

        lines = threading.Thread(target=self._pools, args=(figures, stop), daemon=True)
        lines.start()
        try:
            yield told
        finally:
            stop.set()
            lines.join()
            self._tell(figures)

    @contextmanager
    def answering(self, total: int) -> Iterator[Callable[[int], None]]:
        """While assets are answered from the tables."""
        done = [0]

        def advance(count: int) -> None:
            done[0] += count
            self._write("answered", done=done[0], expected=total)

        yield advance

    def ended(self, outcome: Outcome) -> None:
        """How it ended, with the ledger and the networks that it took."""
        accounts = {unit: {"listed": a.listed, **a.terms} for unit, a in outcome.ledger.accounts.items()}
        named: dict[str, Any] = {"interrupted": outcome.interrupted, "nothing_new": outcome.nothing_new}
        named["ledger"] = accounts
        balanced, seconds = outcome.ledger.balanced, round(outcome.seconds, 1)
        if outcome.figures is not None:
            named["networks"] = outcome.figures.snapshot()["networks"]
        self._write("ended", run_id=outcome.run_id, seconds=seconds, balanced=balanced, **named)

    def _pools(self, figures: RunFigures, stop: threading.Event) -> None:
        while not stop.wait(LINE_SECONDS):
            self._tell(figures)

    def _tell(self, figures: RunFigures) -> None:
        names = ("parts", "parts_expected", "parts_failed", "pages", "audio_seconds", "failures")
        pools = figures.snapshot()["pools"]
        told = {task: {name: pool[name] for name in names} for task, pool in pools.items()}
        self._write("progress", run_id=figures.run_id, seconds=round(figures.elapsed(), 1), pools=told)

    def _write(self, event: str, **more: Any) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **more}
        with self._lock:
            self.console.file.write(redact(json.dumps(line, ensure_ascii=False)) + "\n")
            self.console.file.flush()


def progress_for(log: str, console: Console) -> Progress:
    """What the setting ``run.log`` asks for: text or json."""
    return LogLines(console) if log == "json" else Progress(console)
