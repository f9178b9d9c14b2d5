"""Chats that have no document: what people ask an assistant, from wordings times words."""

from __future__ import annotations

import random
from pathlib import Path

from pipelines.train.hybrid.chats.chat import Chat
from pipelines.train.hybrid.chats.words import Slots, english, others, part
from pipelines.train.hybrid.documents.language import languages

_OTHER_LANGUAGES = 0.16
_SYSTEM, _AROUND, _PLAIN, _GOES_ON = 0.12, 0.2, 0.15, 0.15
"""Shares of chats with a system's text, with words around the question, all in small letters or without the mark at
the end, and with a second question after the answer."""
_LABELS = 0.5  # of questions about a document that is not there: those that documents are asked in the training


def chat(seed: int, *, held_out: bool = False, wordnet: Path | None = None) -> Chat:
    """The chat of a seed, without an answer. ``held_out``: of wordings and words that training never sees.
    ``wordnet``: folder of WordNet's files, for more words."""
    rng = random.Random(f"chat-{seed}-{held_out}")
    language = rng.choice(sorted(others())) if rng.random() < _OTHER_LANGUAGES else "en"
    slots = Slots(rng, language, held_out, wordnet)
    kind, text = _question(rng, language, slots, held_out)
    turns = [{"role": "user", "content": text}]
    if language == "en" and rng.random() < _SYSTEM:
        system = rng.choice(part(english()["around"]["system"], held_out))
        turns.insert(0, {"role": "system", "content": slots.fill(system)})
    then: list[str] = []
    while rng.random() < _GOES_ON and len(then) < 3:
        follow = rng.choice(part(english()["around"]["follow"], held_out)) if language == "en" else None
        same = follow is not None and rng.random() < 0.7
        then.append(slots.fill(follow) if same and follow else _question(rng, language, slots, held_out)[1])
    return Chat(kind, tuple(turns), tuple(then))


def _question(rng: random.Random, language: str, slots: Slots, held_out: bool) -> tuple[str, str]:
    """Its kind and its text."""
    documentless = english()["documentless"]
    if language != "en":
        if rng.random() < documentless["share"] / 100:
            return "documentless", _about_nothing(rng, language, held_out)
        return language, slots.fill(rng.choice(part(others()[language]["asks"], held_out)))
    kinds = english()["kinds"]
    shares = [one["share"] for one in kinds.values()] + [documentless["share"]]
    kind = rng.choices([*kinds, "documentless"], shares)[0]
    if kind == "documentless" and rng.random() < _LABELS:
        return kind, _about_nothing(rng, language, held_out)
    text = slots.fill(rng.choice(part((kinds.get(kind) or documentless)["asks"], held_out)))
    return kind, _varied(rng, text, held_out) if "\n" not in text else text


def _about_nothing(rng: random.Random, language: str, held_out: bool) -> str:
    """What a document would be asked."""
    lang = languages()[language]
    key = rng.choice(sorted(lang.data["labels"]))
    return lang.ask(rng, "field", held_out, name=lang.name(rng, key))


def _varied(rng: random.Random, text: str, held_out: bool) -> str:
    """As people type."""
    around = english()["around"]
    if rng.random() < _AROUND:
        if rng.random() < 0.5:
            text = rng.choice(part(around["before"], held_out)) + text
        else:
            text += rng.choice(part(around["after"], held_out))
    if rng.random() < _PLAIN:
        text = text.lower() if rng.random() < 0.5 else text.rstrip("?.!")
    return text
