"""Letters of a text layer: as Unicode means them, in the order they are read, and which script they belong to."""

from __future__ import annotations

import itertools
import unicodedata

from encoders.results import Word


def normalise(text: str) -> str:
    """Presentation forms (ligatures, shaped Arabic) as the letters they stand for.

    A soft or typographic hyphen at the end is shown, and becomes a plain one; a soft hyphen inside is not.
    """
    if text.isascii():
        return text
    out = "".join(
        unicodedata.normalize("NFKC", c) if "\ufb00" <= c <= "\ufdff" or "\ufe70" <= c <= "\ufefc" else c for c in text
    )
    if out.endswith(("\xad", "\u2010")):
        out = out[:-1] + "-"
    return out.replace("\xad", "")


_SCRIPTS = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "ARABIC": "Arab", "HEBREW": "Hebr", "DEVANAGARI": "Deva",
    "THAI": "Thai", "HANGUL": "Kore", "CJK": "Hani", "HIRAGANA": "Jpan", "KATAKANA": "Jpan", "BENGALI": "Beng",
    "TAMIL": "Taml", "TELUGU": "Telu", "GEORGIAN": "Geor", "ARMENIAN": "Armn", "GUJARATI": "Gujr", "KHMER": "Khmr",
    "GURMUKHI": "Guru", "KANNADA": "Knda", "MALAYALAM": "Mlym", "SINHALA": "Sinh", "LAO": "Laoo", "MYANMAR": "Mymr",
    "ETHIOPIC": "Ethi", "TIBETAN": "Tibt",
}  # fmt: skip


def script_of(text: str) -> str:
    """The ISO 15924 code of the script that most letters belong to; Latn when there are none."""
    if text.isascii():
        return "Latn"
    counts: dict[str, int] = {}
    for character in text:
        if character.isalpha():
            script = _SCRIPTS.get(unicodedata.name(character, "").partition(" ")[0], "")
            counts[script] = counts.get(script, 0) + 1
    counts.pop("", None)
    return max(counts, key=lambda script: counts[script]) if counts else "Latn"


def in_reading_order(words: list[Word]) -> list[Word]:
    """The words of a line; those of right-to-left scripts come in the file's order, which may be either.

    They are put in their own order by where they stand; runs of left-to-right words among them keep theirs, as the
    bidirectional algorithm shows them.
    """
    text = "".join(word.text for word in words)
    if text.isascii():
        return words
    classes = [unicodedata.bidirectional(c) for c in text]
    if sum(c in ("R", "AL") for c in classes) <= classes.count("L"):
        return words
    x, y = words[0].quad[2] - words[0].quad[0], words[0].quad[3] - words[0].quad[1]
    from_the_right = sorted(words, key=lambda word: -(word.quad[0] * x + word.quad[1] * y))
    ordered: list[Word] = []
    for left_to_right, run in itertools.groupby(from_the_right, key=_is_left_to_right):
        members = list(run)
        ordered += reversed(members) if left_to_right else members
    return ordered


def _is_left_to_right(word: Word) -> bool:
    return any(unicodedata.bidirectional(c) == "L" for c in word.text)
