"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.figures import RunFigures
from pipelines.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `Run.execute` returns."""

    run_id: str
    ledger: Ledger
    interrupted: bool
    nothing_new: bool
    seconds: float
    figures: RunFigures | None = None  # None when there was nothing to do
