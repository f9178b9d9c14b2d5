"""What fills the slots of a chat: our own words, common nouns of WordNet, names, and sentences.

WordNet's counts of senses in texts (`cntlist.rev`) say which nouns are common; those that stand for one person or place
are left out by their capital letters in `data.noun`.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.train.hybrid.documents import prose, words
from pipelines.train.hybrid.documents.language import languages
from pipelines.train.hybrid.speech.texts import CRUDE

ENGLISH = Path(__file__).with_name("english.toml")
OTHERS = Path(__file__).with_name("others.toml")

_KINDS = {
    "animal": ("05",),
    "thing": ("06",),
    "food": ("13",),
    "plant": ("20",),
    "substance": ("27",),
    "feeling": ("12",),
    "topic": ("04", "09", "17", "19", "22", "26"),
}
"""WordNet's lexicographer files that fit a slot."""
_OFTEN = {"thing": 3, "topic": 2}  # times that a noun must have been met
_UNFIT = {"ass", "pussy", "feed", "female", "male", "human being", "pot", "weed"}
_OWN = 0.5  # share of our own words where WordNet has some too


@lru_cache(maxsize=1)
def english() -> dict[str, Any]:
    """Wordings and words."""
    return tomllib.loads(ENGLISH.read_text("utf-8"))


@lru_cache(maxsize=1)
def others() -> dict[str, dict[str, list[str]]]:
    """Wordings and words of the other languages, by ISO 639-1 code."""
    return tomllib.loads(OTHERS.read_text("utf-8"))


@lru_cache(maxsize=2)
def common_nouns(wordnet: Path) -> dict[str, tuple[str, ...]]:
    """Nouns by the slot that they fit. Raises FileNotFoundError when WordNet's files are not there."""
    names: set[str] = set()
    for line in (wordnet / "data.noun").read_text("latin-1").splitlines():
        fields = line.split(" ")
        if fields[0]:
            names |= {word.lower() for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2] if word != word.lower()}
    found: dict[str, list[str]] = {slot: [] for slot in _KINDS}
    for line in (wordnet / "cntlist.rev").read_text("latin-1").splitlines():
        match = re.fullmatch(r"([a-z_]{3,})%1:(\d\d):\S+ 1 (\d+)", line)  # a noun's first sense
        if match is None or match[1] in names or CRUDE.search(match[1]):
            continue
        word = match[1].replace("_", " ")
        for slot, files in _KINDS.items():
            if match[2] in files and int(match[3]) >= _OFTEN.get(slot, 1) and word not in _UNFIT:
                found[slot].append(word)
    return {slot: tuple(nouns) for slot, nouns in found.items()}


class Slots:
    """Words for the slots of one chat; WordNet's in English. ``held_out``: those of the evaluation, never WordNet's."""

    def __init__(self, rng: random.Random, language: str, held_out: bool, wordnet: Path | None) -> None:
        self._rng, self._lang, self._held_out = rng, languages()[language], held_out
        self._nouns = common_nouns(wordnet) if wordnet is not None and language == "en" and not held_out else {}

    def fill(self, wording: str) -> str:
        """A wording with its slots filled; of what is filled in, slots again."""
        text = wording.format_map(_Lookup(self._one))
        return text.format_map(_Lookup(self._one)) if "{" in text and "{snippet}" in wording else text

    def _one(self, slot: str) -> str:
        rng, lang, held_out = self._rng, self._lang, self._held_out
        name = slot.removeprefix("other_")
        own = (english()["words"] if lang.code == "en" else others()[lang.code]).get(name)
        if own is not None:
            if name in self._nouns and rng.random() >= _OWN:
                return rng.choice(self._nouns[name])
            return str(rng.choice(part(own, held_out)))
        match name:
            case "short":
                return " ".join(self._sentence().split()[:6])
            case "person":
                return str(rng.choice(words.part(lang.names["first"], held_out)))
            case "city":
                return str(rng.choice(words.part(lang.names["city"], held_out)))
            case "item":
                return str(rng.choice(words.part(lang.data["items"], held_out)))
            case "text":
                return self._prose()
            case "sentence":
                return self._sentence()
        most = {"n": 999, "m": 999, "little": 12, "small_n": 9, "percent": 90, "small": 7}[name]
        return str(rng.randint(2, most))

    def _prose(self) -> str:
        return prose(self._rng.randrange(1 << 30), self._lang.code, held_out=self._held_out)

    def _sentence(self) -> str:
        return re.split(r"(?<=[.!?]) +|(?<=[。！？])", self._prose())[0]


class _Lookup(dict[str, str]):
    """Asks for a word whenever a slot is met."""

    def __init__(self, one: Any) -> None:
        super().__init__()
        self._one = one

    def __missing__(self, slot: str) -> str:
        return str(self._one(slot))


def part(options: Sequence[str], held_out: bool) -> Sequence[str]:
    """The training part of some words or wordings, or that of the evaluation: every fifth is for the evaluation. Of
    fewer than ten all are for both."""
    if len(options) < 10:
        return options
    return options[4::5] if held_out else [one for index, one in enumerate(options) if index % 5 != 4]
