"""Letters of a text layer: as Unicode means them, in the order they are read, and which script they belong to."""

from __future__ import annotations

import itertools
import math
import unicodedata
from typing import Any

from encoders.results import Word


def normalise(text: str) -> str:
    """Presentation forms (ligatures, shaped Arabic) as the letters they stand for.

    Soft hyphens, and a typographic one at the end, become plain ones: those that do not show are taken out before,
    by `without_hidden_hyphens`.
    """
    if text.isascii():
        return text
    out = "".join(
        unicodedata.normalize("NFKC", c) if "\ufb00" <= c <= "\ufdff" or "\ufe70" <= c <= "\ufefc" else c for c in text
    )
    return out.removesuffix("\u2010").replace("\xad", "-") + "-" * out.endswith("\u2010")


def without_hidden_hyphens(words: list[Any], textpage: Any) -> list[Any]:
    """MuPDF's words (x0, y0, x1, y1, text, block, line, number) less the soft hyphens that are not drawn.

    Some files draw every hyphen under the code of the soft one; browsers write soft hyphens that do not show between
    the letters of a word, where the next letter stands in the same place.
    """
    if not any("\xad" in word[4][:-1] for word in words):
        return words
    shown = {
        (block["number"], number): iter(_hyphens_shown(line))
        for block in textpage.extractRAWDICT()["blocks"]
        for number, line in enumerate(block["lines"])
    }
    kept = []
    for word in words:
        flags = shown[word[5], word[6]]
        text = "".join(c for c in word[4] if c != "\xad" or next(flags, True))
        if text:
            kept.append((*word[:4], text, *word[5:]))
    return kept


def _hyphens_shown(line: Any) -> list[bool]:
    """For each soft hyphen of a line, whether it takes up room before the next character."""
    characters = [(char, span["size"]) for span in line["spans"] for char in span["chars"]]
    flags = []
    for (char, size), (after, _) in itertools.pairwise([*characters, (None, 0.0)]):
        if char["c"] == "\xad":
            flags.append(after is None or math.dist(char["origin"], after["origin"]) > 0.1 * size)
    return flags


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
