"""The line before the engine: online requests first, and only so many of them."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from decoder.sequence import Overloaded, Priority

if TYPE_CHECKING:
    from decoder.handle import Handle


class WaitingLine:
    """Sequences that wait for a place, by priority and arrival. Not thread safe.

    Only online requests are counted against the limit: a batch run sends no more than its own stages hold, and would
    have nothing better to do with an error than to wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: list[tuple[int, int, Handle]] = []
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def online(self) -> int:
        """Online requests among those that wait."""
        return sum(entry[0] == Priority.ONLINE for entry in self._entries)

    def push(self, handle: Handle) -> None:
        """Join the line. Raises `Overloaded` when it is full."""
        if handle.request.priority == Priority.ONLINE and self.online >= self._limit:
            raise Overloaded(f"{self._limit} requests wait for the decoder already: try again later")
        self.return_to(handle)

    def return_to(self, handle: Handle) -> None:
        """Join the line again, whatever its length."""
        heapq.heappush(self._entries, (int(handle.request.priority), next(self._count), handle))

    def first(self) -> Handle | None:
        """Whose turn it is."""
        return self._entries[0][2] if self._entries else None

    def pop(self) -> Handle:
        """Take the first out of the line."""
        return heapq.heappop(self._entries)[2]

    def take_cancelled(self) -> list[Handle]:
        """Those that were cancelled, taken out of the line."""
        gone = [entry[2] for entry in self._entries if entry[2].cancelled.is_set()]
        if gone:
            self._entries = [entry for entry in self._entries if not entry[2].cancelled.is_set()]
            heapq.heapify(self._entries)
        return gone

    def clear(self) -> list[Handle]:
        """Everybody, taken out of the line."""
        everybody = [entry[2] for entry in sorted(self._entries, key=lambda entry: entry[:2])]
        self._entries = []
        return everybody
