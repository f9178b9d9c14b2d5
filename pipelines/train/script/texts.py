"""What training lines say: CLDR names from `babel`, and random syllables where a script has many characters.

A word is a training word or a held-out one by its hash, so that the evaluation sees new words in new faces.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable
from functools import lru_cache

from encoders.ocr.unicode_script import COMMON, char_script

LOCALES: dict[str, tuple[str, ...]] = {
    "Latn": (
        "en", "de", "fr", "es", "pt", "it", "nl", "pl", "cs", "sk", "sl", "hr", "hu", "ro", "tr", "az", "sv",
        "da", "nb", "fi", "et", "lv", "lt", "is", "sq", "id", "ms", "fil", "sw", "eu", "ca", "ga", "mt", "uz", "cy",
    ),
    "Hani": ("zh", "zh_Hant", "zh_Hant_HK"),
    "Jpan": ("ja",),
    "Hang": ("ko",),
    "Cyrl": ("ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "mn", "tg", "tt"),
    "Grek": ("el",),
    "Arab": ("ar", "fa", "ur", "ps", "ckb", "ug", "sd"),
    "Hebr": ("he", "yi"),
    "Deva": ("hi", "mr", "ne", "kok", "sa"),
    "Beng": ("bn", "as"),
    "Guru": ("pa",),
    "Gujr": ("gu",),
    "Orya": ("or",),
    "Taml": ("ta",),
    "Telu": ("te",),
    "Knda": ("kn",),
    "Mlym": ("ml",),
    "Sinh": ("si",),
    "Thai": ("th",),
    "Laoo": ("lo",),
    "Khmr": ("km",),
    "Mymr": ("my",),
    "Tibt": ("bo", "dz"),
    "Ethi": ("am", "ti"),
    "Geor": ("ka",),
    "Armn": ("hy",),
    "Latn-VN": ("vi",),
}  # fmt: skip

SMALL_WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "on",
    "for",
    "with",
    "at",
    "by",
    "from",
    "as",
    "it",
    "be",
    "are",
    "was",
    "this",
    "that",
    "or",
    "an",
    "not",
    "you",
    "your",
    "we",
    "our",
    "total",
    "tax",
    "date",
    "invoice",
    "number",
    "name",
    "address",
    "phone",
    "cash",
    "change",
    "item",
    "price",
    "qty",
    "amount",
    "due",
    "thank",
    "page",
    "order",
    "receipt",
    "visa",
    "card",
    "no",
    "GST",
    "SDN",
    "BHD",
    "TEL",
    "FAX",
    "INC",
    "LTD",
    "RM",
    "USD",
    "EUR",
    "kg",
    "ml",
    "pcs",
    "www",
    "com",
    "http",
    "mail",
    "file",
    "edit",
    "view",
    "open",
    "save",
    "help",
    "settings",
]


def held_out(word: str) -> bool:
    """Whether a word belongs to the evaluation."""
    return zlib.crc32(word.encode()) % 5 == 0


def _coded(codec: str, rows: range) -> list[str]:
    """The characters of a double-byte character set, by its rows."""
    characters = []
    for high in rows:
        for low in range(0xA1, 0xFF):
            try:
                characters.append(bytes((high, low)).decode(codec))
            except UnicodeDecodeError:
                continue
    return characters


@lru_cache(maxsize=64)
def _syllables(script: str) -> tuple[str, ...]:
    if script == "Hani":
        return tuple(_coded("gb2312", range(0xB0, 0xD8)))
    if script == "Hang":
        return tuple(_coded("euc_kr", range(0xB0, 0xC9)))
    if script == "Jpan":
        kana = [chr(c) for c in (*range(0x3041, 0x3094), *range(0x30A1, 0x30FB))]
        return (*kana * 12, *_coded("euc_jp", range(0xB0, 0xD0)))
    return ()


@lru_cache(maxsize=64)
def words(script: str, evaluation: bool) -> tuple[str, ...]:
    """Words of a script as CLDR writes names of languages, places, currencies, months and units."""
    from babel import Locale

    found: set[str] = set()
    for code in LOCALES[script]:
        locale = Locale.parse(code)
        names: list[Iterable[str]] = [locale.languages.values(), locale.territories.values()]
        names += [locale.currencies.values(), locale.scripts.values(), locale.variants.values()]
        names += [zone.get("city", "") for zone in locale.time_zones.values()]
        names += [
            table
            for kind in (locale.months, locale.days)
            for part in kind.values()
            for width in part.values()
            for table in width.values()
        ]
        for name in (name for group in names for name in ([group] if isinstance(group, str) else group)):
            found.update(name.replace("(", " ").replace(")", " ").replace(",", " ").split())
    kept = [word for word in sorted(found) if _of(word, script)]
    if script == "Latn":
        kept += SMALL_WORDS * 6
    return tuple(word for word in kept if held_out(word) == evaluation)


def _of(word: str, script: str) -> bool:
    """Whether a word is written in the script, and (Jpan) shows it by a kana."""
    scripts = {char_script(c) for c in word} - {COMMON}
    if script == "Latn-VN":  # three words in four carry a tone mark that no other language has
        marked = any("\u1ea0" <= c <= "\u1ef9" for c in word)
        return scripts == {"Latn"} and (marked or len(word) % 4 == 0)
    if script == "Jpan":
        return "Jpan" in scripts and scripts <= {"Jpan", "Hani"}
    return scripts == {script}


def number(rng: random.Random) -> str:
    """A number, price, date, time, code or rule, as they stand on pages of any script."""
    n = rng.randrange(10 ** rng.randint(1, 7))
    day, month, year = rng.randint(1, 31), rng.randint(1, 12), rng.randint(1890, 2030)
    return rng.choice(
        (
            f"{n}", f"{n:,}", f"{n / 100:.2f}", f"{n / 100:.2f}".replace(".", ","), f"{n % 100}%", f"${n / 100:.2f}",
            f"€{n}", f"{day}.{month}.{year}", f"{day:02}/{month:02}/{year}", f"{year}-{month:02}-{day:02}", f"{year}",
            f"{rng.randint(0, 23)}:{rng.randint(0, 59):02}", f"+{n}", f"({n})", f"#{n}", f"{n}.", f"- {n} -", f"{n}*",
            f"{n % 100} x {n / 100:.2f}", f"{day}/{month}", f"= {n}", f"{n}-{n % 97}", "*" * rng.randint(1, 30),
            "-" * rng.randint(2, 40), "=" * rng.randint(2, 40), "." * rng.randint(3, 50), "•", "...", "?", "/", "&",
        )
    )  # fmt: skip


def _word(script: str, evaluation: bool, rng: random.Random) -> str:
    syllables = _syllables(script)
    if syllables and rng.random() < 0.6:
        word = "".join(rng.choices(syllables, k=rng.randint(1, 8)))
    else:
        word = rng.choice(words(script, evaluation))
    if script in ("Latn", "Cyrl", "Grek", "Armn", "Latn-VN"):
        word = rng.choice((word, word, word.lower(), word.lower(), word.capitalize(), word.upper()))
    return word


def line(script: str, evaluation: bool, rng: random.Random) -> str:
    """One line of a script, or of digits and signs for ``Zyyy``; a few lines carry Latin words and numbers too."""
    count = rng.choice((1, 1, 2, 3, 4, 5, 6, 8))
    if script == COMMON:
        return " ".join(number(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 5))))
    upper = script in ("Latn", "Cyrl", "Grek") and rng.random() < 0.15
    parts = []
    for _ in range(count):
        part = _word(script, evaluation, rng)
        parts.append(part.upper() if upper else part)
        roll = rng.random()
        if roll < 0.1:
            parts[-1] += rng.choice((",", ".", ":", ";", "!", "?", " –", ")"))
        elif roll < 0.2:
            parts.append(number(rng))
        elif roll < 0.24 and count > 2 and not script.startswith("Latn"):
            parts.append(rng.choice(words("Latn", evaluation)))
    text = ("" if script in ("Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr") and rng.random() < 0.6 else " ").join(
        parts
    )
    return text
