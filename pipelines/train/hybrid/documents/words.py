"""Names, numbers and words that nobody could guess: composed from lists, or made up of syllables."""

from __future__ import annotations

import random
import string

from pipelines.train.hybrid.documents.language import Language

_ONSETS = ["b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr", "r",
           "s", "sh", "st", "t", "th", "tr", "v", "w", "z", "qu", "sp"]  # fmt: skip
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ou", "ee", "y"]
_CODAS = ["", "", "", "n", "r", "l", "s", "m", "x", "nd", "rt", "ck", "st"]
_HELD_CODAS = ["lv", "mb", "th", "ng", "sk"]


def made_up(rng: random.Random, held_out: bool, syllables: int = 0) -> str:
    """A word of one to three syllables. Held-out ones end in consonants that no trained one ends in."""
    count = syllables or rng.choice((1, 2, 2, 3))
    word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + (rng.choice(_CODAS) if rng.random() < 0.4 else "")
                   for _ in range(count))  # fmt: skip
    return word + rng.choice(_HELD_CODAS if held_out else ["n", "r", "l", "s", "x", "t", "ck", "a", "o", ""])


def part(options: list[str], held_out: bool) -> list[str]:
    """The training or the held-out part of a word list: every tenth entry is held out."""
    return options[9::10] if held_out else [word for index, word in enumerate(options) if index % 10 != 9]


def person(rng: random.Random, lang: Language, held_out: bool) -> str:
    """A full name as the language orders it."""
    last = rng.choice(part(lang.names["last"], held_out))
    first = rng.choice(part(lang.names["first"], held_out))
    if lang.wide:
        return f"{last}{' ' if rng.random() < 0.3 else ''}{first}"
    if rng.random() < 0.25 and lang.code in ("en", "de", "fr"):
        last = made_up(rng, held_out, 2).capitalize()
    return f"{first} {last}"


def company(rng: random.Random, lang: Language, held_out: bool) -> str:
    """A company's name: a made-up word or a family's, a trade, a legal form."""
    last = rng.choice(part(lang.names["last"], held_out))
    if lang.wide:
        name = last + rng.choice(part(lang.names["first"], held_out))[:2]
    else:
        name = made_up(rng, held_out).capitalize() if rng.random() < 0.7 else last
        if rng.random() < 0.2:
            name += " " + made_up(rng, held_out).capitalize()
    form = rng.choice(lang.data["company"])
    return str(form.format(name=name, last=last, trade=rng.choice(part(lang.data["trades"], held_out))))


def address(rng: random.Random, lang: Language, held_out: bool) -> list[str]:
    """Street and place, one to three lines."""
    stem = rng.choice(part(lang.names["last"], held_out)) if lang.wide or rng.random() < 0.5 else (
        made_up(rng, held_out).capitalize())  # fmt: skip
    street = rng.choice(lang.data["streets"]).format(n=rng.randint(1, 299), k=rng.randint(1, 40), stem=stem)
    place = rng.choice(lang.data["places"]).format(
        city=rng.choice(part(lang.names["city"], held_out)), zip5=f"{rng.randint(1000, 99999):05}",
        zip4=f"{rng.randint(1000, 9999)}", zip32=f"{rng.randint(100, 999)} {rng.randint(10, 99)}",
        zip23=f"{rng.randint(10, 99)}-{rng.randint(100, 999)}",
        stem=stem, k=rng.randint(10, 99),
        zip42=f"{rng.randint(1000, 9999)} {''.join(rng.choices(string.ascii_uppercase, k=2))}",
    )  # fmt: skip
    return [street, place]


def item(rng: random.Random, lang: Language, held_out: bool) -> str:
    """A thing that is sold."""
    noun = rng.choice(part(lang.data["items"], held_out))
    if rng.random() < 0.25 and not lang.wide:
        noun = f"{made_up(rng, held_out).capitalize()} {noun}"
    if rng.random() < 0.55:
        quality = rng.choice(lang.data["qualities"])
        noun = f"{noun}{' ' if not lang.wide else ''}{quality}" if lang.code != "en" or quality[0].isdigit() else (
            f"{quality} {noun}" if rng.random() < 0.5 else f"{noun}, {quality}")  # fmt: skip
    return noun[:1].upper() + noun[1:]


def code(rng: random.Random, pattern: str = "") -> str:
    """A number or an id: ``9`` a digit, ``A`` a capital letter, other characters as they are."""
    pattern = pattern or rng.choice(("99999", "AA-9999", "2099-999", "AAA99999", "99/9999", "A99.999", "999-99-99",
                                     "9999999", "AA9999999", "9A99-AA", "#99999"))  # fmt: skip
    return "".join(
        rng.choice(string.digits) if c == "9" else rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") if c == "A" else c
        for c in pattern
    )


def phone(rng: random.Random) -> str:
    """A telephone number in one of many forms."""
    return code(rng, rng.choice(("099-9999999", "+99 99 999 9999", "(099) 999-9999", "099 9999 999", "0999/99 99 99",
                                 "099-999 9999", "+99 (9)999 99999", "99 99 99 99")))  # fmt: skip


def email(rng: random.Random, held_out: bool) -> str:
    """An address at a made-up domain."""
    local = rng.choice(("info", "sales", "office", "contact", made_up(rng, held_out)))
    return f"{local}@{made_up(rng, held_out)}.{rng.choice(('com', 'net', 'org', 'co', 'eu'))}"


def iban(rng: random.Random) -> str:
    """Looks like an account number; its check digits are random."""
    return code(rng, rng.choice(("AA99 9999 9999 9999 9999 99", "AA99 AAAA 9999 9999 9999", "AA9999999999999999")))
