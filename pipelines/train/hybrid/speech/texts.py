"""Sentences to be read aloud: usage examples and definitions of WordNet, and made-up ones with names and numbers.

WordNet 3.0 (Princeton University; its licence allows use and redistribution for any purpose) comes from Debian's
`wordnet-base`. Its 48,000 examples and 118,000 definitions hold about 50,000 different words.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipelines.train.hybrid.speech import fillers
from pipelines.train.hybrid.speech.topics import CLOSING, OPENING, TOPICS

WORDNET = Path("/usr/share/wordnet")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z' ,-]+[A-Za-z]")
CRUDE = re.compile(r"\b(fuck|shit|cunt|nigg|whore|slut|bitch|piss|rape|faggot|penis|vagina|sexual|kike|dago)", re.I)
TEMPLATES = (
    "Please call {person} about the {color} {items}.",
    "{person} will be in {city} on {day}.",
    "The meeting with {person} starts at {hour}.",
    "We sold {number} {items} in {month}.",
    "There are {number} {items} in the {color} box.",
    "{person} paid ${amount} for the {items}.",
    "On {date}, {person} moved to {city}.",
    "It costs ${amount}, and it will be here by {day}.",
    "About {number} people live near {city}.",
    "{person} and {other} bought {small} {items}.",
    "Room {number} is free from {date}.",
    "The train to {city} leaves at {hour}.",
    "In {year}, {person} lived in {city}.",
    "I waited {number} minutes for {person}.",
    "Turn left after {small} miles, then follow the signs to {city}.",
    "The bill from {company} is ${amount}.",
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it should be printed. ``held_out``: it has a word, or it is made up with a name or
    thing, that training never hears."""

    text: str
    held_out: bool


def held_word(word: str) -> bool:
    """Whether a word belongs to the evaluation: about one in 25 of those with 6 letters or more, by its stem."""
    lower = word.lower().strip("'")
    if len(lower) < 6 or lower in _call_words():
        return False
    stem = re.sub(r"(ies|y|ing|ed|es|s|e|ly)$", "", lower)
    return zlib.crc32(b"heard " + stem.encode()) % 25 == 0


def has_held_word(text: str) -> bool:
    """Whether a text has a held-out word."""
    return any(held_word(word) for word in re.findall(r"[A-Za-z']+", text))


@lru_cache(maxsize=1)
def _call_words() -> frozenset[str]:
    """Words of the calls, which cannot be held out: training hears every one of them."""
    parts = [*OPENING, *CLOSING, *TEMPLATES, *fillers.WORDS]
    parts += [wording for topic in TOPICS for part in (*topic.needed, *topic.optional) for wording in part]
    return frozenset(re.findall(r"[a-z']+", " ".join(parts).lower()))


@lru_cache(maxsize=2)
def sentences(folder: Path = WORDNET) -> tuple[str, ...]:
    """WordNet's examples and definitions of 4 to 20 plain words, as sentences, in a fixed order."""
    found: dict[str, None] = {}
    for kind in ("noun", "verb", "adj", "adv"):
        path = folder / f"data.{kind}"
        if not path.exists():
            raise FileNotFoundError(f"{path}: install Debian's wordnet-base or name the folder of its data files")
        for line in path.read_text(encoding="latin-1").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            gloss = line.split("|", 1)[1].strip()
            definition = re.split(r'[;:]? *"', gloss, maxsplit=1)[0].strip("; ")
            for text in (*re.findall(r'"([^"]+)"', gloss), definition):
                if 4 <= len(text.split()) <= 20 and _PLAIN.fullmatch(text) and not CRUDE.search(text):
                    found[text[0].upper() + text[1:] + "."] = None
    return tuple(found)


def made_up(rng: random.Random, held_out: bool, templates: Sequence[str] = TEMPLATES) -> str:
    """A sentence with names, numbers, days or amounts, spelled as whisper prints them."""
    month = rng.choice(fillers.MONTHS)
    return rng.choice(templates).format(
        person=fillers.person(rng, held_out),
        other=fillers.person(rng, held_out),
        items=fillers.item(rng, held_out)[1],
        company=fillers.pick(rng, fillers.COMPANIES, held_out),
        color=rng.choice(fillers.COLOURS),
        city=rng.choice(fillers.CITIES),
        day=rng.choice(fillers.DAYS),
        month=month,
        date=f"{month} {fillers.ordinal(rng.randint(1, 28))}",
        hour=f"{rng.randint(1, 11)} {rng.choice(('a.m', 'p.m'))}",
        number=f"{rng.choice((rng.randint(11, 99), rng.randint(100, 999), rng.randint(11, 99) * 100)):,}",
        small=rng.choice(fillers.SMALL),
        amount=fillers.amount(rng),
        year=rng.randint(1920, 2019),
    )


def reading(seed: int, held_out: bool, folder: Path = WORDNET) -> Iterator[Sentence]:
    """Sentences without end in a seeded order, one in seven made up. Held-out ones have a held-out word or name each,
    the others have none."""
    rng = random.Random(f"reading {seed} {held_out}")
    order = list(sentences(folder))
    rng.shuffle(order)
    for text in order:
        if rng.random() < 1 / 7:
            made = made_up(rng, held_out)
            yield Sentence(made, held_out)
        if has_held_word(text) == held_out:
            yield Sentence(text, held_out)
