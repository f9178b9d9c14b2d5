"""Text without a question: sentences of a language, and words in no order."""

from __future__ import annotations

import random
from datetime import date, timedelta

from pipelines.train.hybrid.documents import words
from pipelines.train.hybrid.documents.language import Language, languages
from pipelines.train.hybrid.documents.sentences import collected, vocabulary

_FETCHED = 0.7
"""Share of sentences that are fetched ones, where there are any; the others are patterns with names in them."""


def sentences(rng: random.Random, lang: Language, held_out: bool, count: int) -> list[str]:
    """So many sentences, none twice unless there are too few."""
    known = collected(lang.code, held_out)
    patterns = words.part(lang.data["prose"]["sentences"], held_out)
    fetched = min(sum(rng.random() < _FETCHED for _ in range(count)) if known else 0, len(known))
    own = rng.sample(patterns, min(len(patterns), count - fetched))
    made = rng.sample(known, fetched) + [filled(rng, lang, held_out, pattern) for pattern in own]
    rng.shuffle(made)
    return made


def joined(lang: Language, texts: list[str]) -> str:
    """Sentences as a paragraph."""
    return ("" if lang.wide else " ").join(texts)


def filled(rng: random.Random, lang: Language, held_out: bool, text: str, value: str = "") -> str:
    """A pattern with names for its slots."""
    return text.format(
        value=value,
        item=rng.choice(words.part(lang.data["items"], held_out)),
        city=rng.choice(words.part(lang.names["city"], held_out)),
        company=words.company(rng, lang, held_out) if "{company}" in text else "",
        person=words.person(rng, lang, held_out) if "{person}" in text else "",
        word=words.made_up(rng, held_out, 2).capitalize(),
    )


def prose(seed: int, language: str, *, held_out: bool = False) -> str:
    """One to four sentences of a language, up to about 100 words."""
    rng = random.Random(f"prose/{seed}/{held_out}")
    lang = languages()[language]
    return joined(lang, sentences(rng, lang, held_out, rng.randint(1, 4)))


def scramble(seed: int, *, held_out: bool = False) -> str:
    """Three to twelve words, made-up words, names, numbers, ids, dates, prices, in no order: nothing to guess from."""
    rng = random.Random(f"scramble/{seed}/{held_out}")
    lang = rng.choice([lang for lang in languages().values() if not lang.wide])
    return " ".join(_bit(rng, lang, held_out) for _ in range(rng.randint(3, 12)))


def _bit(rng: random.Random, lang: Language, held_out: bool) -> str:
    kind = rng.random()
    if kind < 0.25:
        word = words.made_up(rng, held_out)
        return rng.choice((word, word.capitalize(), word.upper()))
    if kind < 0.6:
        known = vocabulary(held_out) or words.part(lang.data["items"], held_out)
        return str(rng.choice(known))
    if kind < 0.68:
        return str(rng.choice(words.part(lang.names[rng.choice(("first", "last", "city"))], held_out)))
    if kind < 0.76:
        return words.code(rng)
    if kind < 0.86:
        return str(rng.choice(lang.data["money"])).format(lang.number(round(rng.expovariate(0.004), 2)))
    if kind < 0.93:
        return lang.day(rng.choice(lang.data["dates"]), date(1990, 1, 1) + timedelta(days=rng.randint(0, 14000)))
    return str(rng.randint(0, 10 ** rng.randint(1, 7)))
