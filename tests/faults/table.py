"""The table that `make faults` prints: what was injected and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from tests.faults.lakes import Rows, lake_rows, lost_and_duplicated

_SUMMED = ("injected", "parts", "lost", "duplicated", "redone")
HEAD = ("fault", "injected", "parts", "lost", "duplicated", "redone", "s to recover")


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One kind of fault: how often it was injected, over how many parts, and what became of them in all.

    ``redone`` counts readings of parts beyond the first. ``seconds`` is the longest time from the command that resumes
    to the end of the run, or, where a run goes on by itself, until what had been in hand was in hand again; None where
    nothing had to recover.
    """

    fault: str
    injected: int
    parts: int
    lost: int
    duplicated: int
    redone: int
    seconds: float | None = None


class FaultTable:
    """Rows in the order in which the tests ended."""

    def __init__(self) -> None:
        self.rows: list[FaultRow] = []
        self.notes: list[str] = []  # figures that are no count of parts, a line each

    def add(self, row: FaultRow) -> None:
        """One more injection; those of one kind are one line, with sums and the longest recovery."""
        same = next((index for index, known in enumerate(self.rows) if known.fault == row.fault), None)
        if same is None:
            self.rows.append(row)
            return
        known = self.rows[same]
        sums = {name: getattr(known, name) + getattr(row, name) for name in _SUMMED}
        seconds = max((s for s in (known.seconds, row.seconds) if s is not None), default=None)
        self.rows[same] = FaultRow(row.fault, **sums, seconds=seconds)

    def measure(self, fault: str, expected: Rows, out: str | Path, redone: int, seconds: float | None = None) -> None:
        """One more injection; what was lost and what is there twice is counted in the tables of ``out``."""
        lost, duplicated = lost_and_duplicated(expected, lake_rows(out))
        self.add(FaultRow(fault, 1, expected["parts"].total(), lost, duplicated, redone, seconds))

    def lines(self) -> Iterator[str]:
        """The table as text, with a line for the sum; nothing when no test added a row."""
        if not self.rows:
            return
        cells = [HEAD, *(tuple(_cell(value) for value in astuple(row)) for row in self.rows)]
        sums = [sum(getattr(row, name) for row in self.rows) for name in _SUMMED]
        slowest = max((row.seconds for row in self.rows if row.seconds is not None), default=None)
        cells.append(("all", *map(str, sums), _cell(slowest)))
        widths = [max(len(row[column]) for row in cells) for column in range(len(HEAD))]
        yield ""
        for row in cells:
            first, *rest = (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
            yield "  ".join([first, *rest])
        yield from self.notes


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
