"""Running headers, footers and page numbers of a single page, by their place alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from encoders.layout.blocks import Row, page_pitch, rows_of
from encoders.layout.frame import Piece
from encoders.layout.paragraphs import CAPTION, FOOTNOTE, MARKER
from encoders.results import Role

ZONE = 0.11  # share of the page's height, above and below
PAGE_NUMBER = re.compile(
    r"^[\W_]*(?:(?:page|p\.|seite|s\.|página|pag\.|pág\.|стр\.|第)\s*)?(?:\d{1,4}|[ivxlc]{1,6})"
    r"(?:\s*(?:/|of|von|de|sur|из|-|–)\s*\d{1,4})?\s*(?:页|頁|ページ)?[\W_]*$",
    re.IGNORECASE,
)


def is_page_number(text: str) -> bool:
    """Whether a line at the page's edge is its number."""
    return bool(PAGE_NUMBER.match(text.strip())) and len(text.strip()) <= 24


def margin_pieces(
    pieces: Sequence[Piece], top: float, bottom: float, em: float, rules: Sequence[float] = ()
) -> dict[int, Role]:
    """Roles of pieces in the upper and lower margin, by id of the piece. Only pages that look like pages of a
    document have margins: on a receipt or a photo the first row is as good as any other. ``rules`` are heights of
    horizontal rules: below a short one near the foot stand footnotes."""
    rows = rows_of(pieces)
    height = bottom - top
    if len(rows) < 5 or height <= 0:
        return {}
    pitch = page_pitch(pieces, em) * em
    prose = sum(_is_long(row) and len(row.pieces) <= 3 for row in rows) >= max(4, 0.2 * len(rows))
    found: dict[int, Role] = {}
    for ordered, role, low, high in (
        (rows, Role.HEADER, top, top + ZONE * height),
        (rows[::-1], Role.FOOTER, bottom - ZONE * height, bottom),
    ):
        for count in (1, 2, 3):
            if count + 3 > len(ordered):
                break
            outer, inner = ordered[count - 1], ordered[count]
            if not low <= outer.cy <= high:
                break
            if role is Role.FOOTER and _is_note(ordered[count - 1], ordered[count], em, rules):
                break
            alone = prose and all(is_page_number(piece.text) for piece in outer.pieces)
            small = role is Role.FOOTER and outer.em < 0.95 * em and len(outer.text) < 60
            least = 1.1 if alone or _has_number(outer, em) else 1.3 if small else 1.55
            if abs(inner.cy - outer.cy) > least * pitch and _like_margin(ordered[:count], em, prose, role):
                for row in ordered[:count]:
                    for piece in row.pieces:
                        found[id(piece)] = Role.PAGE_NUMBER if is_page_number(piece.text) else role
                break
    return found


def _has_number(row: Row, em: float) -> bool:
    """Whether a page number stands at one end of the row, well apart from a title at the other."""
    apart = any(b.x0 - a.x1 > 4 * em for a, b in pairwise(row.pieces))
    return apart and (is_page_number(row.pieces[0].text) or is_page_number(row.pieces[-1].text))


def _is_long(row: Row) -> bool:
    """As long as a line of prose; ideographs are as wide as two letters."""
    return len(row.text) >= (30 if row.x1 - row.x0 < 0.8 * row.em * len(row.text) else 12)


def _is_sentence(row: Row, em: float) -> bool:
    """Whether a row in the size of the body ends a sentence or is an item of a list, and no title of the page."""
    text = row.text.rstrip()
    return row.em > 0.95 * em and len(text) > 10 and (text[-1] in ".!?。！？" or bool(MARKER.match(text)))


def _like_margin(rows: Sequence[Row], em: float, prose: bool, role: Role) -> bool:
    if all(is_page_number(piece.text) for row in rows for piece in row.pieces):
        return True
    if not prose or any(_is_sentence(row, em) or CAPTION.match(row.text) for row in rows):
        return False
    if len(rows) > 1 and any(len(row.pieces) == 1 and len(row.text) > 60 for row in rows):
        return False
    return all(row.em < 1.1 * em for row in rows) and sum(len(row.text) for row in rows) < 200


def _is_note(row: Row, above: Row, em: float, rules: Sequence[float]) -> bool:
    """Whether a row near the foot is a footnote's: it begins with a mark, and a rule or small print tells it apart."""
    if not FOOTNOTE.match(row.text) or is_page_number(row.text):
        return False
    ruled = any(above.cy < height < row.cy for height in rules)
    return ruled or (row.em < 0.9 * em and len(row.text) > 30)
