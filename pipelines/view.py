"""What can be seen of OUT from anywhere that sees its store: who writes, how far they are, and the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from encoders.failures import InterlaceError
from encoders.redaction import redact
from pipelines.figures import RunFigures
from pipelines.lease import Holder, holder
from pipelines.ledger import Ledger, read_ledger
from pipelines.measured import told_by
from pipelines.runfiles import RunFiles
from pipelines.storage import Storage, StorageError
from pipelines.tables import open_table

STALE_SECONDS = 60.0
"""A run that told nothing for so long stands still, or cannot reach its store: it tells every five seconds."""


@dataclass(frozen=True, slots=True)
class View:
    """One look. Everything is None that is not there yet; ``error`` says why nothing could be seen."""

    at: float
    writer: Holder | None = None  # who holds the lease, or held it last
    run: RunFigures | None = None  # the newest run that told of itself
    last_success: float | None = None  # when the newest run that was not superseded finished; seconds since 1970
    ledger: Ledger | None = None
    error: str = ""

    @property
    def working(self) -> bool:
        """Whether the figures are those of a run that goes on: before its manifest is frozen there are none."""
        begun = self.run is not None and not self.run.ended
        holds = self.writer is not None and not self.writer.released and not self.writer.gone
        return begun and holds and self.run.started >= self.writer.since  # type: ignore[union-attr]

    @property
    def state(self) -> str:
        """working | stale (no word for a while) | abandoned (the writer ended without a word) | idle | unreachable."""
        if self.error:
            return "unreachable"
        if self.writer is None or self.writer.released:
            return "idle"
        if self.writer.gone:
            return "abandoned"
        silent = self.working and self.run is not None and self.at - self.run.updated > STALE_SECONDS
        return "stale" if silent else "working"


def run_names(storage: Storage) -> list[str]:
    """The names of all runs, which are in the order of their start."""
    return storage.folders(storage.path("_interlace", "runs"))


def newest_figures(storage: Storage, names: list[str]) -> RunFigures | None:
    """What the newest of these runs tells that told anything; runs that found nothing new do not."""
    for name in reversed(names[-5:]):
        if (told := told_by(RunFiles(storage, name))) is not None:
            return told
    return None


class LakeWatch:
    """Looks at OUT again and again; what cannot have changed is not read again."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._ended: dict[str, float] = {}  # finished runs; 0 for those that another one closed
        self._ledger: tuple[Any, Ledger | None] = (None, None)

    def look(self) -> View:
        """As of now. Never raises."""
        now = time.time()
        try:
            names = run_names(self._storage)
            figures, success = newest_figures(self._storage, names), self._last_success(names)
            key = (*names[-1:], len(names), self._ended.get(names[-1]) if names else None, *self._versions())
            if key != self._ledger[0]:
                self._ledger = (key, self._read_ledger())
            return View(now, holder(self._storage), figures, success, self._ledger[1])
        except Exception as error:  # a watcher outlives what it watches, and says why it sees nothing
            return View(now, error=redact(f"{type(error).__name__}: {error}"))

    def _last_success(self, names: list[str]) -> float | None:
        for name in reversed(names):
            if name not in self._ended:
                state = RunFiles(self._storage, name).state()
                if not state.get("finished"):
                    continue
                ended = datetime.fromisoformat(state["finished"]).timestamp()
                self._ended[name] = 0.0 if state.get("superseded") else ended
            if self._ended[name]:
                return self._ended[name]
        return None

    def _versions(self) -> list[int | None]:
        tables = (open_table(self._storage, name) for name in ("parts", "assets"))
        return [table.version() if table is not None else None for table in tables]

    def _read_ledger(self) -> Ledger | None:
        try:
            return read_ledger(self._storage)
        except StorageError:
            raise
        except InterlaceError:  # nothing was published yet
            return None
