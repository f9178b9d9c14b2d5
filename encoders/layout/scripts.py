"""What a character's script means for layout: direction, spacing between lines, and how wide letters usually are."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache, reduce
from operator import add

_IDEOGRAPHS = ((0x2E80, 0x303F), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF))
_FULL_WIDTH = (0xFF00, 0xFFEF)
_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))  # Thai, Lao, Myanmar, Khmer
_HANGUL = (0xAC00, 0xD7AF)

# Advance widths in em of a common sans serif; what matters is the ratio between letters.
_WIDTHS = {
    **dict.fromkeys("ijl.,:;'!|", 0.25),
    **dict.fromkeys('ftrI()[]{}-/\\`"', 0.32),
    **dict.fromkeys("abdeghnopqu0123456789L?$#_=+<>", 0.556),
    **dict.fromkeys("ckszvxyJ", 0.5),
    **dict.fromkeys("ABEKPSVXYFTZ&", 0.66),
    **dict.fromkeys("CDGHNORUQw", 0.73),
    **dict.fromkeys("mMW%@", 0.87),
}


@lru_cache(maxsize=8192)
def _advance(char: str) -> tuple[float, int]:
    known = _WIDTHS.get(char)
    if known is not None:
        return known, 1
    code = ord(char)
    if is_ideograph(char) or _FULL_WIDTH[0] <= code <= _FULL_WIDTH[1] or _HANGUL[0] <= code <= _HANGUL[1]:
        return 1.0, 1
    if code < 0x0250:  # accented Latin
        base = unicodedata.normalize("NFD", char)[0]
        return _WIDTHS.get(base, 0.5), 1
    if 0x0370 <= code < 0x0530:  # Greek, Cyrillic
        return (0.7 if char.isupper() else 0.56), 1
    return 0.0, 0  # joined and stacked scripts: width says little


def advance(text: str) -> tuple[float, int]:
    """Usual width of the text in em without its spaces, and of how many characters that is known."""
    return _advances(text.replace(" ", ""))  # which is asked for a line, and for its words without what parts them


@lru_cache(maxsize=1024)
def _advances(text: str) -> tuple[float, int]:
    known = list(map(_advance, text))
    letters = sum(one for _, one in known)
    # Not `sum`, which rounds otherwise from Python 3.12 on.
    return (reduce(add, [unit for unit, _ in known], 0.0), letters) if letters * 2 > len(text) else (0.0, 0)


@lru_cache(maxsize=8192)
def is_ideograph(char: str) -> bool:
    """Han, kana, bopomofo and their punctuation, which are set without spaces."""
    code = ord(char)
    return any(low <= code <= high for low, high in _IDEOGRAPHS) or _FULL_WIDTH[0] <= code <= _FULL_WIDTH[1]


def is_unspaced(char: str) -> bool:
    """Scripts whose lines are joined without a space."""
    code = ord(char)
    return is_ideograph(char) or any(low <= code <= high for low, high in _UNSPACED)


def is_right_to_left(text: str) -> bool:
    """Whether most of the letters are Arabic, Hebrew or the like."""
    right = left = 0
    for char, count in Counter(text[:4000]).items():
        kind = unicodedata.bidirectional(char)
        right += count * (kind in ("R", "AL"))
        left += count * (kind == "L")
    return right > left


def mostly_ideographs(text: str) -> bool:
    """Whether more than half of the letters are ideographs or kana."""
    letters = [char for char in text if char.isalpha()]
    return bool(letters) and sum(map(is_ideograph, letters)) * 2 > len(letters)
