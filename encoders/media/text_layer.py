"""The text layer of a page: its lines with exact boxes, and whether they can be trusted in place of reading pixels."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymupdf

from encoders.media.cells import cut_at_cells
from encoders.media.glyph_boxes import around, on_page, word_corners
from encoders.media.letters import in_reading_order, normalise, script_of, without_hidden_hyphens
from encoders.media.opened import Segment
from encoders.media.rules import ruling_segments
from encoders.results import Line, Word, extent

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
    lines, census = _lines(content, without_hidden_hyphens(textpage.extractWORDS(), textpage), matrix, width, height)
    painted = page.get_bboxlog()
    images = [box for kind, box in painted if "image" in kind]
    paths = sum("path" in kind for kind, _ in painted)
    sound = not painted if not lines else census.mapped() and not _unread(page, images, lines, matrix, width, height)
    rules = ruling_segments(page, matrix, paths)
    return TextLayer(cut_at_cells(lines, rules), sound, bool(painted), rules)


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
    for block in content["blocks"]:
        for number, line in enumerate(block["lines"]):
            for span in line["spans"]:
                census.count(span["text"], bool(span["char_flags"] & _VISIBLE) and span["alpha"] > 0)
            read = _line(grouped.get((block["number"], number), []), line, matrix, width, height)
            if read is not None:
                lines.append(read)
    return lines, census


def _line(raw: list[Any], line: Any, matrix: Any, width: int, height: int) -> Line | None:
    words = []
    for x0, y0, x1, y1, text, *_ in raw:
        corners = on_page(word_corners((x0, y0, x1, y1), line), matrix)
        if 0 <= sum(corners[0::2]) / 4 <= width and 0 <= sum(corners[1::2]) / 4 <= height:
            words.append(Word(normalise(text), corners, 1.0))
    if not words:
        return None
    words = in_reading_order(words)
    text = " ".join(word.text for word in words)
    return Line(text, around([word.quad for word in words]), 1.0, tuple(words), script=script_of(text))


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
            _mark(cells, extent(word.quad), width, height, False)
    allowed = MAX_UNREAD_IMAGE_OF_PROSE if characters >= PROSE_CHARACTERS else MAX_UNREAD_IMAGE
    return bool(cells.mean() > allowed)


def _mark(cells: Any, box: tuple[float, float, float, float], width: int, height: int, value: bool) -> None:
    x0, y0, x1, y1 = box
    columns = slice(max(int(x0 / width * GRID), 0), max(int(np.ceil(x1 / width * GRID)), 0))
    rows = slice(max(int(y0 / height * GRID), 0), max(int(np.ceil(y1 / height * GRID)), 0))
    cells[rows, columns] = value


def _is_bad(character: str) -> bool:
    return character == "\ufffd" or unicodedata.category(character) in ("Co", "Cn", "Cc", "Cs")
