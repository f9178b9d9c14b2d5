"""Text without a question: sentences of a language, and words in no order."""

from __future__ import annotations

import lzma
import random
import zlib
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

from pipelines.train.hybrid.documents import words
from pipelines.train.hybrid.documents.language import Language, languages

TEXTS = Path(".train/texts")
"""Where `fetch_texts` left sentences; without them prose is made from the few patterns of a language's file."""


@lru_cache(maxsize=64)
def collected(language: str, held_out: bool, folder: Path = TEXTS) -> tuple[str, ...]:
    """The fetched sentences of a language: its training part, or the tenth that is held out."""
    path = folder / f"{language}.txt.xz"
    if not path.exists():
        return ()
    lines = lzma.decompress(path.read_bytes()).decode().split("\n")
    return tuple(line for line in lines if (zlib.crc32(line.encode()) % 10 == 9) == held_out)


def sentence(rng: random.Random, lang: Language, held_out: bool) -> str:
    """One sentence, with names in it."""
    return filled(rng, lang, held_out, rng.choice(words.part(lang.data["prose"]["sentences"], held_out)))


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
    """One to four sentences of a language: three in four fetched ones, where there are any."""
    rng = random.Random(f"prose/{seed}/{held_out}")
    lang = languages()[language]
    known = collected(language, held_out)
    chosen = [
        rng.choice(known) if known and rng.random() < 0.75 else sentence(rng, lang, held_out)
        for _ in range(rng.randint(1, 4))
    ]
    return ("" if lang.wide else " ").join(chosen)


def scramble(seed: int, *, held_out: bool = False) -> str:
    """Three to twelve words, made-up words, names, numbers, ids, dates, prices, in no order: nothing to guess from."""
    rng = random.Random(f"scramble/{seed}/{held_out}")
    known = languages()
    lang = known[rng.choice([code for code, entry in known.items() if not entry.wide])]
    return " ".join(_bit(rng, lang, held_out) for _ in range(rng.randint(3, 12)))


def _bit(rng: random.Random, lang: Language, held_out: bool) -> str:
    kind = rng.random()
    if kind < 0.3:
        word = words.made_up(rng, held_out)
        return rng.choice((word, word.capitalize(), word.upper()))
    if kind < 0.55:
        return str(rng.choice(words.part(lang.data["items"], held_out)))
    if kind < 0.65:
        return str(rng.choice(words.part(lang.names[rng.choice(("first", "last", "city"))], held_out)))
    if kind < 0.75:
        return words.code(rng)
    if kind < 0.85:
        return str(rng.choice(lang.data["money"])).format(lang.number(round(rng.expovariate(0.004), 2)))
    if kind < 0.93:
        return lang.day(rng.choice(lang.data["dates"]), date(1990, 1, 1) + timedelta(days=rng.randint(0, 14000)))
    return str(rng.randint(0, 10 ** rng.randint(1, 7)))
