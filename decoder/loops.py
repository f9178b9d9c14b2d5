"""Texts that repeat themselves: a small greedy decoder that says a sentence twice says it until it is cut off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LONGEST = 48  # tokens, about two sentences
_SENTENCE = 8  # tokens; a shorter phrase must come three times to be a loop


def repeats(tokens: Sequence[int]) -> int | None:
    """The length of a phrase that a text ends with twice over (three times when it is short), None when it does not."""
    for period in range(2, min(_LONGEST, len(tokens) // 2) + 1):
        if tokens[-1 - period] != tokens[-1]:  # most are no loop, and this is asked for every token
            continue
        times = 2 if period >= _SENTENCE else 3
        if len(tokens) < times * period:
            continue
        tail = tokens[-period:]
        if all(tokens[-(k + 1) * period : -k * period] == tail for k in range(1, times)):
            return period
    return None


class LoopWatch:
    """`repeats` for many texts that grow by a token at a time: whether it would say a length.

    Of each text it keeps the last tokens and, for each period, how many of them in a row repeat what stood before.
    """

    def __init__(self, rows: int) -> None:
        periods = np.arange(2, _LONGEST + 1)
        self._enough = np.where(periods >= _SENTENCE, periods, 2 * periods).astype(np.int32)
        self._last = np.full((rows, _LONGEST), -1, np.int32)  # [row, k]: the token k + 1 before the end
        self._same = np.zeros((rows, len(periods)), np.int32)

    def begin(self, row: int, tokens: Sequence[int]) -> None:
        """Another text in a row, so far these tokens."""
        self._last[row], self._same[row] = -1, 0
        for token in tokens[-3 * _LONGEST :]:
            self.push(np.array([row]), np.array([token]))

    def push(self, rows: NDArray[np.intp], tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """One more token to each of these rows; which of them end with a loop now."""
        last = self._last[rows]
        same = np.where(last[:, 1:] == tokens[:, None], self._same[rows] + 1, 0)
        self._same[rows] = same
        self._last[rows, 1:] = last[:, :-1]
        self._last[rows, 0] = tokens
        found: NDArray[np.bool_] = np.any(same >= self._enough, axis=1)
        return found


def doubtful(tokens: Sequence[int]) -> int:
    """How many tokens at the end `repeats` may yet cut off: those that say again what stands one phrase before."""
    most = 0
    for period in range(2, min(_LONGEST, len(tokens) - 1) + 1):
        run = 0
        while run < 2 * period and run + period < len(tokens) and tokens[-1 - run] == tokens[-1 - run - period]:
            run += 1
        most = max(most, run if period >= _SENTENCE else run - period)
    return most
