"""Which font files on this machine can write which script. The Noto fonts are kept for the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pipelines.train.script.render import Face

FONT_FOLDERS = (Path("/usr/share/fonts"),)

SAMPLE_LETTERS: dict[str, str] = {
    "Latn": "aegkrstzABGQR", "Hani": "的一是不人在中国大", "Jpan": "あのをアンドれ日本", "Hang": "가나다한국어은",
    "Cyrl": "абвгджщыяБЖЯ", "Grek": "αβγδθλξωΔΩ", "Arab": "ابتجعقلمنهي", "Hebr": "אבגדהלמשת", "Deva": "कखगमरलसह",
    "Beng": "কখগমরলসহ", "Guru": "ਕਖਗਮਰਲਸਹ", "Gujr": "કખગમરલસહ", "Orya": "କଖଗମରଲସହ", "Taml": "கசடதபமயர",
    "Telu": "కఖగమరలసహ", "Knda": "ಕಖಗಮರಲಸಹ", "Mlym": "കഖഗമരലസഹ", "Sinh": "කගමරලසහ", "Thai": "กขคงจนมรส",
    "Laoo": "ກຂຄງຈນມລສ", "Khmr": "កខគងចនមរស", "Mymr": "ကခဂငစနမရသ", "Tibt": "ཀཁགངཅནམརས", "Ethi": "ሀለሐመሠረሰቀበ",
    "Geor": "აბგდევზთი", "Armn": "աբգդեզէըԱԲ", "Latn-VN": "ạảấầẫặẹềểễịọốồộớờởợụủứừữựỳ", "Zyyy": "0123456789.,:-",
}  # fmt: skip
_NOT_TEXT = ("Emoji", "Math", "Symbol", "Music", "Dingbat", "StandardSymbols", "D050000L", "Braille", "LastResort")


@lru_cache(maxsize=4096)
def coverage(face: Face) -> frozenset[int]:
    """Code points that a face has glyphs for; empty when the file cannot be read."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        font = TTFont(str(face.path), fontNumber=face.index, lazy=True)
        return frozenset(font.getBestCmap() or {})
    except (TTLibError, OSError, AssertionError, KeyError, ValueError):
        return frozenset()


def evaluation_face(face: Face) -> bool:
    """Noto is what `make system` installs: no training line is set in it, so every generated page is held out."""
    return face.path.name.startswith("Noto")


def faces_for(script: str, folders: Sequence[Path] = FONT_FOLDERS) -> list[Face]:
    """Every face under the folders that has the letters of a script, in a fixed order."""
    letters = {ord(c) for c in SAMPLE_LETTERS[script]}
    return [face for face in _all_faces(tuple(folders)) if letters <= coverage(face)]


@lru_cache(maxsize=8)
def _all_faces(folders: tuple[Path, ...]) -> tuple[Face, ...]:
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in (".ttf", ".otf", ".ttc") or any(name in path.name for name in _NOT_TEXT):
                continue
            # A CJK collection repeats its glyphs per region: its first face is enough.
            found.append(Face(path))
    return tuple(found)


def can_write(face: Face, text: str) -> bool:
    """Whether a face has every character of a text (spaces and joiners apart)."""
    return all(ord(c) in coverage(face) or c in " \u200c\u200d\u00a0\u200b" for c in text)


def writable(face: Face, text: str) -> str:
    """The text without the characters that a face lacks (some Noto faces have no comma)."""
    return "".join(c for c in text if can_write(face, c))
