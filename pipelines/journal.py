"""What each actor notes durably before it touches parts, so that a part that kills its worker is known afterwards.

A mark names the parts in hand and is deleted when they are done. Marks that are found when a batch is taken up
again are strikes: the worker that wrote them died. One strike, and the part is read alone; two, and it is set aside.
A worker that ends itself because its work stands still says so beside its mark. Marks of earlier attempts at the run
are no strikes, since a driver that was killed takes its workers with it; what they name is read alone.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipelines.storage import Storage

STRIKES = 2


@dataclass(slots=True)
class Strikes:
    """What earlier workers died of, over the parts of one batch."""

    deaths: Counter[str] = field(default_factory=Counter)  # by part
    earlier: set[str] = field(default_factory=set)  # in hand when an earlier attempt at the run ended
    stalls: Counter[str] = field(default_factory=Counter)  # of these, how many stood still
    seconds: float = 0.0  # without progress, before the longest stall was ended

    def __getitem__(self, part_id: str) -> int:
        return self.deaths[part_id]

    def suspect(self, part_id: str) -> bool:
        """Whether this part has to be read alone."""
        return self.deaths[part_id] > 0 or part_id in self.earlier

    def stalled(self, part_id: str) -> bool:
        """Whether standing still is all that this part ever did."""
        return 0 < self.stalls[part_id] == self.deaths[part_id]


class Journal:
    """The marks of one run. One instance per actor; ``attempt`` names the driver that started it."""

    def __init__(self, storage: Storage, run_id: str, task: str, attempt: str = "") -> None:
        self._storage, self._attempt = storage, attempt or "first"
        self._folder = storage.path("_interlace", "journal", run_id, task)

    def strikes(self, batch: int) -> Strikes:
        """How often each part of the batch was in hand when a worker died."""
        found = Strikes()
        for path in self._storage.files(f"{self._folder}/{batch:08d}", ".json"):
            parts = self._storage.read_json(path) or ()
            if not path.rpartition("/")[2].startswith(f"{self._attempt}-"):
                found.earlier.update(parts)
                continue
            found.deaths.update(parts)
            stall = self._storage.read_json(path.removesuffix(".json") + ".stall")
            if stall is not None:
                found.stalls.update(parts)
                found.seconds = max(found.seconds, stall["seconds"])
        return found

    @contextmanager
    def mark(self, batch: int, part_ids: Sequence[str]) -> Iterator[Callable[[float], None]]:
        """Parts are in hand for the length of this context. An exception is not a death: the mark goes.

        Yields what to call, with the seconds without progress, by whoever is about to end this process for them.
        """
        stem = f"{self._folder}/{batch:08d}/{self._attempt}-{uuid.uuid4().hex}"
        self._storage.write_json(f"{stem}.json", list(part_ids))
        try:
            yield lambda seconds: self._storage.write_json(f"{stem}.stall", {"seconds": seconds})
        finally:
            self._storage.delete(f"{stem}.json")
