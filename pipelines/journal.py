"""What each actor notes durably before it touches parts, so that a part that kills its worker is known afterwards.

A mark names the parts in hand and is deleted when they are done. Marks that are found when a batch is taken up
again are strikes: the worker that wrote them died. One strike, and the part is read alone; two, and it is set aside.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipelines.storage import Storage

STRIKES = 2


class Journal:
    """The marks of one run. One instance per actor."""

    def __init__(self, storage: Storage, run_id: str, task: str) -> None:
        self._storage = storage
        self._folder = storage.path("_interlace", "journal", run_id, task)

    def strikes(self, batch: int) -> Counter[str]:
        """How often each part of the batch was in hand when a worker died."""
        found: Counter[str] = Counter()
        for path in self._storage.files(f"{self._folder}/{batch:08d}", ".json"):
            found.update(self._storage.read_json(path) or ())
        return found

    @contextmanager
    def mark(self, batch: int, part_ids: Sequence[str]) -> Iterator[None]:
        """Parts are in hand for the length of this context. An exception is not a death: the mark goes."""
        path = f"{self._folder}/{batch:08d}/{uuid.uuid4().hex}.json"
        self._storage.write_json(path, list(part_ids))
        try:
            yield
        finally:
            self._storage.delete(path)
