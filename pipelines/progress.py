"""What a user sees while a run works: a live table on a terminal, one line every ten seconds elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from pipelines.figures import PoolFigures, RunFigures

if TYPE_CHECKING:
    from pipelines.outcome import Outcome

LINE_SECONDS = 10.0


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
    def running(self, figures: RunFigures) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], None]]:
        """While parts stream through the pools and ``figures`` advances; call the value with the parts of a batch."""
        stop = threading.Event()

        def told(rows: Sequence[Mapping[str, Any]]) -> None:
            for row in rows:
                if row["note"]:
                    self.note(row["note"])

        if self.console.is_terminal:
            with Live(get_renderable=lambda: pool_table(figures), console=self.console, refresh_per_second=2):
                yield told
            return
        lines = threading.Thread(target=self._lines, args=(figures, stop), daemon=True)
        lines.start()
        try:
            yield told
        finally:
            stop.set()
            lines.join()
            self.console.print(progress_line(figures), soft_wrap=True, highlight=False)

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
                    self.console.print(f"[{clock(told[0] - started)}] {done[0]}/{total} answers", markup=False)

            yield advance

    def ended(self, outcome: Outcome) -> None:
        """How it ended; the summary that every command prints says it to people."""

    def _lines(self, figures: RunFigures, stop: threading.Event) -> None:
        while not stop.wait(LINE_SECONDS):
            self.console.print(progress_line(figures), soft_wrap=True, highlight=False)


def seconds_left(figures: RunFigures, pool: PoolFigures, now: float | None = None) -> float | None:
    """Time left at the rate so far, by units; None until something is done."""
    elapsed = figures.elapsed(now)
    return (pool.units_expected - pool.units) * elapsed / pool.units if pool.units else None


def clock(seconds: float | None) -> str:
    """3:07, 1:12:40, or … when it is not known."""
    if seconds is None:
        return "…"
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _read(pool: PoolFigures) -> str:
    return f"{pool.audio_seconds / 60:.1f} min of audio" if pool.unit == "seconds" else f"{pool.pages} pages"


def rate(figures: RunFigures, pool: PoolFigures, now: float | None = None) -> str:
    """Since the run began."""
    elapsed = figures.elapsed(now) or 1e-9
    if pool.unit == "seconds":
        return f"{pool.audio_seconds / elapsed:.1f}x real time"
    return f"{pool.pages / elapsed:.2f} pages/s"


def pool_table(figures: RunFigures) -> Table:
    """One line for each pool."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("pool", "actors", "parts", "read", "rate", "failures", "left"):
        table.add_column(name, justify="left" if name == "pool" else "right")
    for task, pool in figures.pools.items():
        parts, failed = f"{pool.parts}/{pool.parts_expected}", str(pool.parts_failed)
        left = clock(seconds_left(figures, pool))
        table.add_row(task, pool.actors_planned, parts, _read(pool), rate(figures, pool), failed, left)
    answers = f", {figures.answers} answers" if figures.answers else ""
    table.caption = f"{clock(figures.elapsed())} elapsed{answers}"
    return table


def progress_line(figures: RunFigures) -> str:
    """The same in one line."""
    pools = [
        f"{task} {pool.parts}/{pool.parts_expected} parts, {_read(pool)}, {clock(seconds_left(figures, pool))} left"
        for task, pool in figures.pools.items()
    ]
    answers = [f"{figures.answers} answers"] if figures.answers else []
    named = ", ".join(f"{number} {category}" for category, number in figures.categories.items())
    return f"[{clock(figures.elapsed())}] " + "; ".join(pools + answers + ([f"failures: {named}"] if named else []))
