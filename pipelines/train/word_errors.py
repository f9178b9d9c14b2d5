"""Words of speech as they are compared, and the edits between two sequences of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: index for index, word in enumerate(_UNITS.split())}
_NUMBERS |= {word: 10 * index for index, word in enumerate(_TENS.split(), start=2)}
_SCALES = {"hundred": 100, "thousand": 1000}


def normalised(text: str) -> list[str]:
    """Lower-case words without punctuation; numbers in words become figures, so that 400 is four hundred, 5,800 is 5800
    and 1pm is 1 p.m."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.lower().replace("-", " ").replace("’", "'"))
    plain = re.sub(r"(?<=\d) ?([ap])\.? ?m\b", r" \1 m", plain)
    words = re.sub(r"[^a-z0-9' ]", " ", plain).split()
    result: list[str] = []
    number: int | None = None
    for word in words:
        if word in _NUMBERS:
            number = (number or 0) + _NUMBERS[word]
        elif word in _SCALES and number is not None:
            number *= _SCALES[word]
        else:
            result += [] if number is None else [str(number)]
            number = None
            result.append(word)
    return result + ([] if number is None else [str(number)])


def edits(truth: Sequence[str], guess: Sequence[str]) -> int:
    """Insertions, deletions and substitutions between two word sequences."""
    row = list(range(len(guess) + 1))
    for index, word in enumerate(truth, start=1):
        before, row[0] = row[0], index
        for column, other in enumerate(guess, start=1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (word != other))
    return row[-1]
