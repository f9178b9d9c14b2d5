"""The script of a text, from its characters: for text layers, and for what a recogniser wrote."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

COMMON = "Zyyy"  # digits, punctuation and signs: ISO 15924's code for characters of no script of their own

_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x0041, 0x005A, "Latn"), (0x0061, 0x007A, "Latn"), (0x00C0, 0x00D6, "Latn"), (0x00D8, 0x00F6, "Latn"),
    (0x00F8, 0x02AF, "Latn"), (0x0370, 0x03FF, "Grek"), (0x0400, 0x052F, "Cyrl"), (0x0531, 0x058F, "Armn"),
    (0x0591, 0x05F4, "Hebr"), (0x0600, 0x06FF, "Arab"), (0x0750, 0x077F, "Arab"), (0x08A0, 0x08FF, "Arab"),
    (0x0900, 0x0963, "Deva"), (0x0966, 0x097F, "Deva"), (0x0980, 0x09FF, "Beng"), (0x0A00, 0x0A7F, "Guru"),
    (0x0A80, 0x0AFF, "Gujr"), (0x0B00, 0x0B7F, "Orya"), (0x0B80, 0x0BFF, "Taml"), (0x0C00, 0x0C7F, "Telu"),
    (0x0C80, 0x0CFF, "Knda"), (0x0D00, 0x0D7F, "Mlym"), (0x0D80, 0x0DFF, "Sinh"), (0x0E01, 0x0E3A, "Thai"),
    (0x0E40, 0x0E5B, "Thai"), (0x0E80, 0x0EFF, "Laoo"), (0x0F00, 0x0FFF, "Tibt"), (0x1000, 0x109F, "Mymr"),
    (0x10A0, 0x10FF, "Geor"), (0x1100, 0x11FF, "Hang"), (0x1200, 0x139F, "Ethi"), (0x1780, 0x17FF, "Khmr"),
    (0x1C90, 0x1CBF, "Geor"), (0x1E00, 0x1EFF, "Latn"), (0x1F00, 0x1FFF, "Grek"), (0x2C60, 0x2C7F, "Latn"),
    (0x2DE0, 0x2DFF, "Cyrl"), (0x2E80, 0x2FDF, "Hani"), (0x3005, 0x3007, "Hani"), (0x3041, 0x309F, "Jpan"),
    (0x30A1, 0x30FA, "Jpan"), (0x30FC, 0x30FF, "Jpan"), (0x3131, 0x318E, "Hang"), (0x31F0, 0x31FF, "Jpan"),
    (0x3400, 0x4DBF, "Hani"), (0x4E00, 0x9FFF, "Hani"), (0xA640, 0xA69F, "Cyrl"), (0xA720, 0xA7FF, "Latn"),
    (0xA8E0, 0xA8FF, "Deva"), (0xA960, 0xA97F, "Hang"), (0xAC00, 0xD7FF, "Hang"), (0xF900, 0xFAFF, "Hani"),
    (0xFB13, 0xFB17, "Armn"), (0xFB1D, 0xFB4F, "Hebr"), (0xFB50, 0xFDFF, "Arab"), (0xFE70, 0xFEFC, "Arab"),
    (0xFF21, 0xFF3A, "Latn"), (0xFF41, 0xFF5A, "Latn"), (0xFF66, 0xFF9F, "Jpan"), (0x20000, 0x323AF, "Hani"),
)  # fmt: skip
_STARTS = [start for start, _, _ in _RANGES]


def char_script(character: str) -> str:
    """ISO 15924 code of one character's script; ``Zyyy`` for digits, punctuation, signs and scripts not listed.

    Kana are ``Jpan`` and Chinese characters ``Hani``, also where Japanese uses them.
    """
    code = ord(character)
    at = bisect_right(_STARTS, code) - 1
    if at >= 0 and code <= _RANGES[at][1]:
        return _RANGES[at][2]
    return COMMON


def text_script(text: str) -> str:
    """ISO 15924 code of the script that most letters of a text are in; ``Zyyy`` when it has no letters.

    Chinese characters beside a kana count as Japanese, beside Hangul as Korean.
    """
    counts = Counter(map(char_script, text))
    del counts[COMMON]
    if not counts:
        return COMMON
    for mixed in ("Jpan", "Hang"):
        if counts[mixed]:
            counts[mixed] += counts.pop("Hani", 0)
    return counts.most_common(1)[0][0]
