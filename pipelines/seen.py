"""Which strings came before, of any number: the first ones in memory, the rest in a temporary database."""

from __future__ import annotations

import sqlite3

IN_MEMORY = 100_000
_CACHE_KIB = 65_536


class Seen:
    """A set of strings that can only grow."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._first: set[str] = set()
        self._in_memory = in_memory
        self._rest: sqlite3.Connection | None = None

    def add(self, value: str) -> bool:
        """Whether it is new."""
        if value in self._first:
            return False
        if len(self._first) < self._in_memory:
            self._first.add(value)
            return True
        if self._rest is None:
            self._rest = sqlite3.connect(
                "", isolation_level=None
            )  # a file without a name, written when the cache is full
            self._rest.execute("PRAGMA journal_mode = OFF")
            self._rest.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._rest.execute("CREATE TABLE seen (value TEXT PRIMARY KEY) WITHOUT ROWID")
        return self._rest.execute("INSERT OR IGNORE INTO seen VALUES (?)", (value,)).rowcount == 1
