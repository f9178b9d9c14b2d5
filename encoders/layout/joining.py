"""Lines to paragraphs as strings: spaces where the script has them, hyphens at line ends undone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set

from encoders.layout.scripts import is_unspaced

HYPHENS = "-\u2010\u00ad"
# Compounds that keep their hyphen wherever the line ends.
_KEEPS = {"self", "non", "well", "ex", "half", "all", "cross", "anti", "quasi", "e", "x", "co"}
_TAILS = {"term", "based", "level", "scale", "related", "specific", "friendly", "sized"}  # and these, after whole words
_LAST_WORD = re.compile(r"([^\W\d_]+(?:['’-][^\W\d_]+)*)[-\u2010\u00ad]$")
_FIRST_WORD = re.compile(r"^([^\W\d_]+(?:['’-][^\W\d_]+)*)")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def words_of(texts: Iterable[str]) -> set[str]:
    """The words within lines, in lower case: what a document shows to be one word, or a compound with a hyphen."""
    return {word.lower() for text in texts for word in _WORD.findall(text)}


def ends_in_hyphen(text: str) -> bool:
    """Whether a line ends inside a word."""
    text = text.rstrip()
    return len(text) > 1 and text[-1] in HYPHENS and text[-2].isalpha()


def join(before: str, after: str, known: Set[str] = frozenset()) -> str:
    """Two consecutive lines of a paragraph as one string. ``known`` are words seen elsewhere in the document."""
    before, after = before.rstrip(), after.lstrip()
    if not before or not after:
        return before + after
    if before[-1] == "\u00ad":
        return before[:-1] + after
    if ends_in_hyphen(before):
        return _rejoined(before, after, known)
    if is_unspaced(before[-1]) and is_unspaced(after[0]):
        return before + after
    return f"{before} {after}"


def _rejoined(before: str, after: str, known: Set[str]) -> str:
    if not after[0].isalpha():
        return before + after if after[0].isdigit() else f"{before} {after}"
    head, tail = _LAST_WORD.search(before), _FIRST_WORD.match(after)
    if head is None or tail is None or (after[0].isupper() and not head[1].isupper()):
        return before + after  # Anglo-Saxon
    whole, compound = (head[1] + tail[1]).lower(), f"{head[1]}-{tail[1]}".lower()
    kept = head[1].lower() in _KEEPS or (tail[1].lower() in _TAILS and len(head[1]) > 3)
    if whole not in known and (compound in known or "-" in head[1] or kept):
        return before + after
    if tail[1].lower() in {"and", "or", "und", "oder", "et", "y", "e"} and whole not in known:
        return f"{before} {after}"  # "Vor- und Nachteile", "pre- and post-war"
    return before[:-1] + after
