"""Sequences that write a token a step, as rows of a recorded pass: what most of them need is done for all at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from decoder.loops import LoopWatch
from decoder.recorded import RecordedPass, Rows
from decoder.running import RunningSequence


class StepTable:
    """Up to ``rows`` sequences, each in a row from its first written token to its end.

    While a sequence is here, its next token stands here too and nothing of it is unread.
    """

    def __init__(self, rows: int, stop_tokens: Iterable[int]) -> None:
        self._stop = np.array(sorted(stop_tokens), np.int64)
        self._free = list(range(rows))[::-1]
        self._row: dict[RunningSequence, int] = {}
        self._sequences: list[RunningSequence | None] = [None] * rows
        self._tokens, self._bases, self._positions, self._left = np.zeros((4, rows), np.int64)
        self._ready = np.zeros(rows, bool)  # whose next token is known
        self._plain = np.zeros(rows, bool)
        self._loops = LoopWatch(rows)
        self._under_way: tuple[RecordedPass, Rows] | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a token to read."""
        return bool(self._ready.any())

    @property
    def busy(self) -> bool:
        """Whether any sequence is here."""
        return bool(self._row)

    def put(self, sequence: RunningSequence, token: int) -> None:
        """Have a sequence read this token, its last one, in the next step."""
        row = self._row.get(sequence)
        if row is None:
            row = self._row[sequence] = self._free.pop()
        self._sequences[row], self._plain[row], self._ready[row] = sequence, sequence.plain, True
        self._tokens[row], self._bases[row], self._positions[row] = token, sequence.base, sequence.position
        self._left[row] = sequence.limit - len(sequence.tokens)
        if sequence.plain:
            self._loops.begin(row, sequence.tokens)

    def drop(self, sequence: RunningSequence) -> None:
        """A sequence has ended; what is under way for it is not looked at."""
        row = self._row.pop(sequence, None)
        if row is not None:
            self._sequences[row], self._ready[row] = None, False
            self._free.append(row)

    def start(self, recorded: RecordedPass) -> None:
        """Start a step of all whose next token is known."""
        rows = np.flatnonzero(self._ready)
        if not len(rows):
            return
        bound = ((int(row), self._sequences[row]) for row in rows[~self._plain[rows]])
        asked = ((row, sequence.allowed()) for row, sequence in bound if sequence is not None)
        allowed = {row: bits for row, bits in asked if bits is not None}
        recorded.step(rows, self._tokens[rows], self._bases[rows], self._positions[rows], allowed)
        self._positions[rows] += 1
        self._ready[rows] = False
        self._under_way = recorded, rows

    def finish(self) -> tuple[int, list[tuple[RunningSequence, int]]]:
        """Wait for the step that was started, and give those that just go on their token. Returns how many did, and the
        others, which are to choose from their row of the pass: they may end, or need more than the likeliest token."""
        if self._under_way is None:
            return 0, []
        (recorded, rows), self._under_way = self._under_way, None
        found = recorded.wait()
        going = self._goes_on(rows, found)
        on = rows[going]
        tokens = found[on, 1].astype(np.int64)
        self._tokens[on], self._ready[on] = tokens, True
        self._left[on] -= 1
        for row, token, chance in zip(on.tolist(), tokens.tolist(), found[on, 2].tolist(), strict=True):
            sequence = self._sequences[row]
            assert sequence is not None
            sequence.position += 1
            sequence.tokens.append(token)
            sequence.logprobs.append(chance)
        others = [(sequence, row) for row in rows[~going].tolist() if (sequence := self._sequences[row]) is not None]
        for sequence, _ in others:
            sequence.position += 1
        return len(on), others

    def forget(self) -> None:
        """What is under way is not looked at any more."""
        self._under_way = None

    def _goes_on(self, rows: Rows, found: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows do what `RunningSequence.choose` does when nothing ends a text: append the likeliest token."""
        totals, best = found[rows, 0], found[rows, 1].astype(np.int64)
        going: NDArray[np.bool_] = (
            self._plain[rows] & np.isfinite(totals) & (self._left[rows] > 1) & ~np.isin(best, self._stop)
        )
        going[going] = ~self._loops.push(rows[going], best[going])
        return going
