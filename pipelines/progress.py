"""What a user sees while a run works: a live table on a terminal, one line every ten seconds elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from cluster.pools import PoolPlan, Work

LINE_SECONDS = 10.0


@dataclass(slots=True)
class PoolProgress:
    """How far one pool is."""

    work: Work
    actors: str
    parts: int = 0
    units: float = 0.0
    busy: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class _State:
    pools: dict[str, PoolProgress]
    started: float = field(default_factory=time.monotonic)
    parts: int = 0
    total: int = 0
    answers: int = 0
    categories: Counter[str] = field(default_factory=Counter)


class Progress:
    """Prints the life of a run to a rich console. All methods may be called from the driver's main thread only."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def note(self, text: str) -> None:
        """One line about what happens next."""
        self.console.print(f"[dim]·[/dim] {escape(text)}", highlight=False)

    @contextmanager
    def listing(self) -> Iterator[Callable[[int], None]]:
        """While assets are listed and probed; call the value with the number known so far."""
        last = [time.monotonic()]

        def count(known: int) -> None:
            if self.console.is_terminal:
                status.update(f"listing and probing: {known} assets")
            elif time.monotonic() - last[0] > LINE_SECONDS:
                last[0] = time.monotonic()
                self.console.print(f"listing and probing: {known} assets")

        with self.console.status("listing and probing") as status:
            yield count

    @contextmanager
    def running(self, work: Sequence[Work], plan: PoolPlan) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
        """While parts stream through the pools; call the value with the parts that `WritingStage` tells."""
        actors = {pool.task: f"{pool.actors}-{pool.max_actors}" for pool in plan.pools}
        state = _State({item.task: PoolProgress(item, actors.get(item.task, "")) for item in work if item.parts})
        state.total = len({(item.task, item.parts) for item in work}) and max((item.parts for item in work), default=0)
        stop = threading.Event()

        def advance(rows: list[dict[str, Any]]) -> None:
            for row in rows:
                _advance(state, row)
                if row["note"]:
                    self.note(row["note"])

        if self.console.is_terminal:
            with Live(get_renderable=lambda: _table(state), console=self.console, refresh_per_second=2):
                yield advance
            return
        lines = threading.Thread(target=self._lines, args=(state, stop), daemon=True)
        lines.start()
        try:
            yield advance
        finally:
            stop.set()
            lines.join()
            self.console.print(_line(state), soft_wrap=True, highlight=False)

    @contextmanager
    def answering(self, total: int) -> Iterator[Callable[[int], None]]:
        """While assets are answered from the tables; call the value with how many more are done."""
        done, started, told = [0], time.monotonic(), [time.monotonic()]
        text = f"answering {total} assets from what was read"
        with self.console.status(text) as status:

            def advance(count: int) -> None:
                done[0] += count
                if self.console.is_terminal:
                    status.update(f"{text}: {done[0]}")
                elif time.monotonic() - told[0] > LINE_SECONDS or done[0] >= total:
                    told[0] = time.monotonic()
                    self.console.print(f"[{_clock(told[0] - started)}] {done[0]}/{total} answers", markup=False)

            yield advance

    def _lines(self, state: _State, stop: threading.Event) -> None:
        while not stop.wait(LINE_SECONDS):
            self.console.print(_line(state), soft_wrap=True, highlight=False)


def _advance(state: _State, row: dict[str, Any]) -> None:
    state.categories.update(row["categories"])
    state.answers += row["answered"]
    for pool in state.pools.values():
        audio = row["modality"] == "audio"
        if (pool.work.unit == "seconds") != audio:
            continue
        pool.parts += 1
        pool.units += row["audio_seconds"] if audio else row["pages"]
        pool.busy += sum(stage["seconds"] for stage in row["seconds"])
        pool.failures += bool(row["categories"])


def _left(state: _State, pool: PoolProgress) -> str:
    """Time left at the rate so far, by units; unknown until something is done."""
    if not pool.units:
        return "…"
    rate = pool.units / (time.monotonic() - state.started)
    return _clock(max(0.0, pool.work.units - pool.units) / rate)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _units(pool: PoolProgress, value: float) -> str:
    return f"{value / 60:.1f} min of audio" if pool.work.unit == "seconds" else f"{value:.0f} pages"


def _table(state: _State) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("pool", "actors", "parts", "read", "rate", "failures", "left"):
        table.add_column(name, justify="left" if name == "pool" else "right")
    elapsed = time.monotonic() - state.started
    for task, pool in state.pools.items():
        rate = pool.units / elapsed if elapsed else 0.0
        shown = f"{rate:.1f}x real time" if pool.work.unit == "seconds" else f"{rate:.2f} pages/s"
        parts = f"{pool.parts}/{pool.work.parts}"
        table.add_row(task, pool.actors, parts, _units(pool, pool.units), shown, str(pool.failures), _left(state, pool))
    table.caption = f"{_clock(elapsed)} elapsed" + (f", {state.answers} answers" if state.answers else "")
    return table


def _line(state: _State) -> str:
    elapsed = time.monotonic() - state.started
    pools = [
        f"{task} {pool.parts}/{pool.work.parts} parts, {_units(pool, pool.units)}, {_left(state, pool)} left"
        for task, pool in state.pools.items()
    ]
    answers = [f"{state.answers} answers"] if state.answers else []
    failures = [f"failures: {', '.join(f'{n} {c}' for c, n in state.categories.items())}"] if state.categories else []
    return f"[{_clock(elapsed)}] " + "; ".join(pools + answers + failures)
