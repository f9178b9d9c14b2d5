"""`interlace status OUT --watch`: a run as it goes, on any machine that sees its store."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.figures import PoolFigures, RunFigures
from pipelines.progress import clock, rate, seconds_left
from pipelines.storage import Storage
from pipelines.summary import ledger_table, network_table
from pipelines.view import LakeWatch, View

_STYLES = {"working": "green", "stale": "yellow", "abandoned": "red", "idle": "dim", "unreachable": "red"}


def watch(console: Console, storage: Storage, every: float, stop: threading.Event) -> None:
    """Draw OUT every few seconds until told to stop; one drawing below the other where there is no terminal."""
    looks = _looks(LakeWatch(storage), every, stop)
    if not console.is_terminal:
        for view in looks:
            console.print(draw(view, storage.out))
        return
    with Live(console=console, auto_refresh=False, screen=True) as live:
        for view in looks:
            live.update(draw(view, storage.out), refresh=True)


def _looks(lake: LakeWatch, every: float, stop: threading.Event) -> Iterator[View]:
    while True:
        yield lake.look()
        if stop.wait(every):
            return


def draw(view: View, out: str) -> RenderableType:
    """One look as a panel."""
    blocks: list[RenderableType] = [_head(view)]
    if view.run is not None:
        blocks += ["", _pools(view.run, view.at if not view.run.ended else view.run.updated)]
        if view.run.networks:
            blocks += ["", network_table(view.run)]
        failures = ", ".join(f"{number} {category}" for category, number in sorted(view.run.categories.items()))
        answers = f"{view.run.answers} of {view.run.answers_expected}" if view.run.answers_expected else ""
        for name, text in (("failures", failures), ("answers", answers or str(view.run.answers or ""))):
            if text:
                blocks.append(Text.assemble((f"{name}: ", "dim"), text))
    if view.ledger is not None:
        blocks += ["", ledger_table(view.ledger)]
        blocks += [Text(f"does not balance: {complaint}", "red") for complaint in view.ledger.complaints]
    elif view.run is not None:
        blocks.append(Text("ledger: nothing is published yet", "dim"))
    return Panel(Group(*blocks), title=Text(out), title_align="left", border_style="dim")


def _head(view: View) -> Text:
    said = Text.assemble((view.state, f"bold {_STYLES[view.state]}"))
    if view.error:
        return said.append(f": {view.error}")
    if view.state == "abandoned":
        return said.append(f": {view.writer} ended without a word; the same command goes on from there")
    if view.state == "stale" and view.run is not None:
        said.append(f": no word for {clock(view.at - view.run.updated)}")
    if view.writer is not None and view.state != "idle":
        since = clock(view.at - view.writer.since)
        said.append(f"  {view.writer.verb} on {view.writer.host}, process {view.writer.pid}, for {since}")
    elif view.last_success is not None:
        said.append(f"; the last run finished {clock(view.at - view.last_success)} ago")
    if view.run is not None:
        ended = f", {view.run.ended}" if view.run.ended else ""
        said.append(f"\nrun {view.run.run_id}{ended}", "dim")
    return said


def _pools(run: RunFigures, now: float) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("pool", "done", "parts", "rate", "a batch", "fill", "queue", "actors", "GPU", "failed", "left"):
        table.add_column(name, justify="left" if name in ("pool", "done") else "right", no_wrap=True)
    for task, pool in run.pools.items():
        bar = ProgressBar(total=pool.parts_expected, completed=pool.parts, width=16)
        seconds, fill = pool.batch_seconds.mean, pool.batch_fill.mean
        table.add_row(
            task,
            bar,
            f"{pool.parts}/{pool.parts_expected}",
            rate(run, pool, now),
            f"{seconds:.1f} s" if seconds is not None else "…",
            f"{fill:.0%}" if fill is not None else "…",
            f"{pool.waiting}+{pool.in_hand}",
            _actors(pool),
            f"{pool.gpu_busy:.0%}" if pool.gpu_busy is not None else "-",
            str(pool.parts_failed),
            "-" if run.ended else clock(seconds_left(run, pool, now)),
        )
    return table


def _actors(pool: PoolFigures) -> str:
    starting = f" +{pool.actors_starting}" if pool.actors_starting else ""
    return f"{pool.actors}{starting}"
