"""What a user is told at the end: the ledger, failures by category, stage seconds, and how to query the tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from pipelines.figures import RunFigures
from pipelines.ledger import TERMS, Ledger
from pipelines.storage import Storage
from pipelines.tables import read_columns

if TYPE_CHECKING:
    from pipelines.outcome import Outcome


def print_summary(console: Console, outcome: Outcome, out: str) -> None:
    """The end of a run."""
    storage = Storage(out)
    print_ledger(console, outcome.ledger)
    stages = stage_seconds(storage, outcome.run_id)
    if stages:
        named = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.most_common())
        console.print(f"seconds by stage, over all actors: {named}", soft_wrap=True)
    if outcome.figures is not None:
        print_networks(console, outcome.figures)
    state = "nothing new" if outcome.nothing_new else f"run {outcome.run_id}"
    console.print(f"{state}, {outcome.seconds:.1f} s; tables: {storage.out}/{{assets,parts,answers}}", soft_wrap=True)
    console.print("query them:", soft_wrap=True)
    console.print(f"  {query_line(storage)}", soft_wrap=True, markup=False)


def query_line(storage: Storage) -> str:
    """One line that runs DuckDB on the parts table."""
    return (
        'python -c "import duckdb; from pipelines.tables import read_table; '
        f"parts = read_table('{storage.out}', 'parts'); "
        "print(duckdb.sql('select modality, status, count(*) parts, sum(len(pages)) pages from parts group by all'))\""
    )


def ledger_table(ledger: Ledger) -> Table:
    """The four accounts."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("listed", "", *TERMS):
        table.add_column(name, justify="right")
    for account in ledger.accounts.values():
        sign = "=" if account.balanced else "[red]≠[/red]"
        values = [f"{account.terms[term]:.0f}" for term in TERMS]
        table.add_row(account.unit.replace("_", " "), f"{account.listed:.0f}", sign, *values)
    return table


def print_ledger(console: Console, ledger: Ledger) -> None:
    """The four accounts, and what is wrong with them."""
    console.print(ledger_table(ledger))
    if ledger.categories:
        named = ", ".join(f"{count} {category}" for category, count in ledger.categories.most_common())
        console.print(f"failures: {named}", soft_wrap=True)
    for complaint in ledger.complaints:
        console.print(f"[red]does not balance:[/red] {complaint}", soft_wrap=True)


def print_networks(console: Console, figures: RunFigures) -> None:
    """What of the networks a run has loaded and touched, by the account of the processes that have them."""
    if figures.networks:
        console.print(network_table(figures))


def network_table(figures: RunFigures) -> Table:
    """A line for each network, and their sum; one that runs in two pools is there twice."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("network")
    for name in ("in", "parameters loaded", "touched", "for"):
        table.add_column(name, justify="left" if name == "in" else "right")
    loaded = touched = 0
    for task, networks in figures.networks.items():
        for name, network in networks.items():
            unit = "answers" if task == "decoder" else "parts"
            table.add_row(name, task, f"{network.parameters:,}", f"{network.active:,}", f"{network.parts} {unit}")
            loaded, touched = loaded + network.parameters, touched + network.active
    table.add_row("all", "", f"{loaded:,}", f"{touched:,}", "", style="bold")
    return table


def stage_seconds(storage: Storage, run_id: str) -> Counter[str]:
    """Seconds by stage over all parts of a run."""
    total: Counter[str] = Counter()
    for rows in read_columns(storage, "parts", ["run_id", "seconds.stage", "seconds.seconds"]):
        stages = pc.list_flatten(rows["seconds"].filter(pc.equal(rows["run_id"], run_id)))
        named, seconds = pc.struct_field(stages, "stage"), pc.struct_field(stages, "seconds")
        for stage in named.unique().to_pylist():
            total[stage] += pc.sum(seconds.filter(pc.equal(named, stage))).as_py() or 0
    return total
