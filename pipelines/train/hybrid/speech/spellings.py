"""How whisper spells what is said, which a script does not: of 40 calls that are evaluated it printed 38 otherwise,
mostly full stops for commas and small letters in names of companies, at times "190 dollars", "March 14", "5" or
"2.30 pm". A call has a spelling of its own, and answers about it follow it; those about a call with a page stay as the
page spells them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from pipelines.train.hybrid.samples import Task, Turn
from pipelines.train.hybrid.speech import fillers

_Change = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
_TRADES = "Furniture|Supplies|Dental|Motors|Books|Travel|Hotel|Garden Center|Electric"
_AMOUNT, _QUANTITY = re.compile(r"\$(\d+)\b(?!\.\d)"), re.compile(rf"\b({'|'.join(fillers.SMALL)})\b")
_DATE = re.compile(rf"\b((?:{'|'.join(fillers.MONTHS)}) \d+)(?:st|nd|rd|th)\b")
_HOUR = re.compile(r"\b(\d+)(:\d\d)? ([ap])\.m\.")
_CLOCKS = ("{h}{m} {x}m", "{h}{m}{x}m", "{h}{d} {x}m", "{h}{m} {X}M", "{h}{m} {x}.m.")


def _values(rng: random.Random) -> list[_Change]:
    """Changes of what is asked for."""
    found: list[_Change] = []
    if (roll := rng.random()) < 0.2:
        found.append((_AMOUNT, r"\1 dollars" if roll < 0.15 else r"$\1.00"))
    if rng.random() < 0.15:
        found.append((_QUANTITY, lambda match: str(fillers.NUMBERS.index(match[1]))))
    if rng.random() < 0.15:
        found.append((_DATE, r"\1"))
    if rng.random() < 0.25:
        form = rng.choice(_CLOCKS)
        found.append((_HOUR, lambda m: form.format(h=m[1], m=m[2] or "", d=(m[2] or "").replace(":", "."), x=m[3],
                                                   X=m[3].upper())))  # fmt: skip
    if rng.random() < 0.35:
        found.append((re.compile(rf"(?<=[a-z] )({_TRADES})\b"), lambda match: match[1].lower()))
    return found


def _marks(rng: random.Random) -> list[_Change]:
    """Changes beside it."""
    found: list[_Change] = []
    if rng.random() < 0.5:
        found.append((re.compile(r", (you have reached|this is)"), lambda m: ". " + m[1][0].upper() + m[1][1:]))
    if rng.random() < 0.3:
        found.append((re.compile(r"\bHello (\w+)"), r"Hello, \1"))
    if rng.random() < 0.15:
        found.append((re.compile(r"(?<=[a-z]),(?= [a-z])"), ""))
    if rng.random() < 0.1:
        found.append((re.compile(r"\b(I|It|it) (am|is)\b"), lambda m: m[1] + "'" + m[2][-1]))
    if rng.random() < 0.05:
        found.append((re.compile(r"(?<=[a-z]{2})\.(?=$| [A-Z])"), "!"))
    return found


class Spelling:
    """The spelling of one recording."""

    def __init__(self, rng: random.Random) -> None:
        self._values, self._marks = _values(rng), _marks(rng)

    def printed(self, turns: Sequence[Turn]) -> list[Turn]:
        """Turns as they are printed."""
        return [replace(turn, text=_changed(turn.text, (*self._values, *self._marks))) for turn in turns]

    def answered(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """The tasks of a call with answers in the recording's spelling."""
        return tuple(replace(task, answer=_changed(task.answer, self._values)) for task in tasks)


def _changed(text: str, changes: Sequence[_Change]) -> str:
    for pattern, other in changes:
        text = pattern.sub(other, text)
    return text
