"""Texts that repeat themselves: a small greedy decoder that says a sentence twice says it until it is cut off."""

from __future__ import annotations

from collections.abc import Sequence

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


def doubtful(tokens: Sequence[int]) -> int:
    """How many tokens at the end `repeats` may yet cut off: those that say again what stands one phrase before."""
    most = 0
    for period in range(2, min(_LONGEST, len(tokens) - 1) + 1):
        run = 0
        while run < 2 * period and run + period < len(tokens) and tokens[-1 - run] == tokens[-1 - run - period]:
            run += 1
        most = max(most, run if period >= _SENTENCE else run - period)
    return most
