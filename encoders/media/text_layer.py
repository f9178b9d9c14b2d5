"""The text layer of a page: its lines with exact boxes, and whether they can be trusted in place of reading pixels."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymupdf

from encoders.media.opened import Segment
from encoders.media.rules import ruling_segments
from encoders.results import Line, Quad, Word

MAX_BAD_GLYPHS = 0.02
"""Share of characters that are no text (U+FFFD, private use, control) above which fonts are not mapped to Unicode."""
MAX_INVISIBLE = 0.2
"""Share of invisible characters above which the layer is a scanner's own OCR."""
MAX_UNREAD_IMAGE = 0.2
"""Share of the page under images and without words, that a page with any text may have."""
MAX_UNREAD_IMAGE_OF_PROSE = 0.65
"""The same for a page with `PROSE_CHARACTERS`: an article with photographs, text over a background picture."""
PROSE_CHARACTERS = 600
GRID = 48
"""Cells per side of the grid on which image and word areas are compared."""

_FLAGS = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP
_VISIBLE = 16 | 32  # filled or stroked, in a span's char_flags


@dataclass(frozen=True, slots=True)
class TextLayer:
    """What a page says of itself. ``painted``: it shows anything at all, text, image or drawing."""

    lines: list[Line]
    sound: bool
    painted: bool
    rules: tuple[Segment, ...]


def read_text_layer(page: Any, matrix: Any, width: int, height: int) -> TextLayer:
    """The text layer of a page; ``matrix`` goes from its unrotated points to pixels of ``width`` x ``height``.

    The layer is sound when its glyphs map to real characters, are visible, and no image is large enough to hold
    text that the layer lacks. A page that paints nothing is sound and has no lines; one that paints without any
    text (outlined type, a scan) is not.
    """
    textpage = page.get_textpage(flags=_FLAGS)
    content = textpage.extractDICT()
    lines, census = _lines(content, textpage.extractWORDS(), matrix, width, height)
    painted = page.get_bboxlog()
    images = [box for kind, box in painted if "image" in kind]
    paths = sum("path" in kind for kind, _ in painted)
    sound = not painted if not lines else census.mapped() and not _unread(page, images, lines, matrix, width, height)
    return TextLayer(lines, sound, bool(painted), ruling_segments(page, matrix, paths))


@dataclass(slots=True)
class _Census:
    """Counts of characters."""

    total: int = 0
    bad: int = 0
    invisible: int = 0

    def count(self, text: str, visible: bool) -> None:
        characters = [c for c in text if not c.isspace()]
        self.total += len(characters)
        self.bad += sum(_is_bad(c) for c in characters)
        self.invisible += 0 if visible else len(characters)

    def mapped(self) -> bool:
        return self.bad <= MAX_BAD_GLYPHS * self.total and self.invisible <= MAX_INVISIBLE * self.total


def _lines(content: Any, words: list[Any], matrix: Any, width: int, height: int) -> tuple[list[Line], _Census]:
    """Lines of the page with their words; words outside the page are dropped."""
    census = _Census()
    grouped: dict[tuple[int, int], list[Any]] = {}
    for word in words:
        grouped.setdefault((word[5], word[6]), []).append(word)
    lines = []
    blocks = [block for block in content["blocks"] if block["type"] == 0]
    for block in blocks:
        for number, line in enumerate(block["lines"]):
            for span in line["spans"]:
                census.count(span["text"], bool(span["char_flags"] & _VISIBLE) and span["alpha"] > 0)
            read = _line(grouped.get((block["number"], number), []), line, matrix, width, height)
            if read is not None:
                lines.append(read)
    return lines, census


def _line(raw: list[Any], line: Any, matrix: Any, width: int, height: int) -> Line | None:
    turn = _direction(line["dir"], matrix)
    words = []
    for x0, y0, x1, y1, text, *_ in raw:
        quad = _quad((x0, y0, x1, y1), matrix, turn)
        centre_x, centre_y = sum(quad[0::2]) / 4, sum(quad[1::2]) / 4
        if 0 <= centre_x <= width and 0 <= centre_y <= height:
            words.append(Word(normalise(text), quad, 1.0))
    if not words:
        return None
    text = " ".join(word.text for word in words)
    return Line(text, _union([word.quad for word in words], turn), 1.0, tuple(words), script=script_of(text))


def _direction(direction: tuple[float, float], matrix: Any) -> int:
    """Quarter turns clockwise of the line's reading direction on the page as shown: 0 is left to right."""
    x = direction[0] * matrix.a + direction[1] * matrix.c
    y = direction[0] * matrix.b + direction[1] * matrix.d
    if abs(x) >= abs(y):
        return 0 if x >= 0 else 2
    return 1 if y > 0 else 3


def _quad(box: tuple[float, float, float, float], matrix: Any, turn: int) -> Quad:
    shown = pymupdf.Rect(box) * matrix
    return _turned(shown.x0, shown.y0, shown.x1, shown.y1, turn)


def _turned(x0: float, y0: float, x1: float, y1: float, turn: int) -> Quad:
    """Corners of a box, from the top left of its text as it is read."""
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    a, b, c, d = corners[turn:] + corners[:turn]
    return (*a, *b, *c, *d)


def _union(quads: list[Quad], turn: int) -> Quad:
    xs = [x for quad in quads for x in quad[0::2]]
    ys = [y for quad in quads for y in quad[1::2]]
    return _turned(min(xs), min(ys), max(xs), max(ys), turn)


def _unread(page: Any, images: list[Any], lines: list[Line], matrix: Any, width: int, height: int) -> bool:
    """Whether images cover so much of the page, outside its words, that they may hold text the layer lacks."""
    if not images:
        return False
    cells = np.zeros((GRID, GRID), bool)
    for box in images:
        shown = pymupdf.Rect(box) * matrix
        _mark(cells, (shown.x0, shown.y0, shown.x1, shown.y1), width, height, True)
    characters = 0
    for line in lines:
        characters += len(line.text)
        for word in line.words:
            _mark(cells, (*_corner(word.quad, min), *_corner(word.quad, max)), width, height, False)
    allowed = MAX_UNREAD_IMAGE_OF_PROSE if characters >= PROSE_CHARACTERS else MAX_UNREAD_IMAGE
    return bool(cells.mean() > allowed)


def _corner(quad: Quad, choose: Any) -> tuple[float, float]:
    return choose(quad[0::2]), choose(quad[1::2])


def _mark(cells: Any, box: tuple[float, float, float, float], width: int, height: int, value: bool) -> None:
    x0, y0, x1, y1 = box
    columns = slice(max(int(x0 / width * GRID), 0), max(int(np.ceil(x1 / width * GRID)), 0))
    rows = slice(max(int(y0 / height * GRID), 0), max(int(np.ceil(y1 / height * GRID)), 0))
    cells[rows, columns] = value


def _is_bad(character: str) -> bool:
    return character == "\ufffd" or unicodedata.category(character) in ("Co", "Cn", "Cc", "Cs")


def normalise(text: str) -> str:
    """Presentation forms (ligatures, shaped Arabic) as the letters they stand for; soft hyphens as hyphens."""
    if text.isascii():
        return text
    out = "".join(
        unicodedata.normalize("NFKC", c) if "\ufb00" <= c <= "\ufdff" or "\ufe70" <= c <= "\ufefc" else c for c in text
    )
    if out.endswith("\xad"):
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
