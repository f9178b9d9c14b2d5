"""One page: loose lines to lines in reading order with roles, paragraphs, tables and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from encoders.layout.blocks import Block, Flow, TableDraft, body_size, page_pitch, rows_of
from encoders.layout.bullets import mark_bullets
from encoders.layout.frame import Frame, Piece, finite, frame_of, pieces_of
from encoders.layout.joining import words_of
from encoders.layout.lines import Ordered, emit, table_result
from encoders.layout.margins import margin_pieces
from encoders.layout.order import order
from encoders.layout.page_text import page_text
from encoders.layout.paragraphs import Paragraph, goes_on, paragraphs_of
from encoders.layout.roles import assign_roles
from encoders.layout.ruled import ruled_tables
from encoders.layout.rules import Rule, drawn_rules, seen_rules, without_text
from encoders.media.opened import OpenedPage
from encoders.results import Line, Page, Role, Table


def arrange(opened: OpenedPage, lines: Sequence[Line], *, source: str, rotation: int = 0) -> Page:
    """Put a page's lines into reading order and say what each is.

    ``lines`` come unordered, from a recogniser (quads possibly tilted) or from a text layer, in pixels of
    ``opened``, after turning by ``rotation``. Ruling lines are those of ``opened.rules``, else they are looked
    for on ``opened.image``. Never raises on odd geometry: lines without a finite place or without text are left out.
    """
    page = Page(opened.page, opened.width, opened.height, source, rotation=rotation)
    kept = finite(lines)
    if not kept:
        return page
    frame = frame_of(kept)
    pieces, astray = pieces_of(kept, frame)
    em = body_size(pieces)
    ordered, tables = _ordered(opened, kept, pieces, frame, em)
    number = ordered[-1].paragraph + 1 if ordered else 0
    for offset, index in enumerate(astray):
        ordered.append(Ordered(index, (), Role.BODY, number + offset))
    joined = emit(kept, ordered, merge_rows=source == "text_layer")
    page = replace(page, lines=joined, tables=tuple(tables))
    return replace(page, text=page_text(page))


def _ordered(
    opened: OpenedPage, lines: Sequence[Line], pieces: list[Piece], frame: Frame, em: float
) -> tuple[list[Ordered], list[Table]]:
    top, bottom = _page_edges(opened, frame)
    horizontal, vertical = _rules(opened, pieces, frame, em)
    if opened.image is not None and opened.image.size:
        mark_bullets(pieces, opened.image, frame)
    margins = margin_pieces(pieces, top, bottom, em, [rule.at for rule in horizontal])
    body = [piece for piece in pieces if id(piece) not in margins]
    drafts, rest = ruled_tables(body, horizontal, vertical, em)
    blocks = order([*rest, *drafts], em)
    paragraphs = _paragraphs(blocks, em, page_pitch(body, em))
    texts = [block for block in paragraphs if isinstance(block, Paragraph)]
    assign_roles(texts, em, bottom, [rule for rule in horizontal if not _is_edge(rule, horizontal, em)])
    ordered: list[Ordered] = []
    number = 0
    for role in (Role.HEADER, Role.FOOTER):
        if role is Role.FOOTER:
            number = _emit_blocks(ordered, _joined_columns(paragraphs), number)
        edge = [p for p in pieces if id(p) in margins and (p.cy < (top + bottom) / 2) == (role is Role.HEADER)]
        for row in rows_of(edge):
            for piece in row.pieces:
                ordered.append(Ordered(piece.line, piece.words, margins[id(piece)], number))
                number += 1
    known = words_of(line.text for line in lines)
    tables = [table_result(draft, lines, frame, known) for draft in paragraphs if isinstance(draft, TableDraft)]
    return ordered, tables


def _page_edges(opened: OpenedPage, frame: Frame) -> tuple[float, float]:
    """Top and bottom of the page in upright coordinates, along its middle."""
    middle = opened.width / 2
    if frame.matrix[0, 0] == 0.0:
        return -float(opened.width), 0.0
    top = float(frame.matrix[1, 0] * middle)
    return top, top + opened.height


def _is_edge(rule: Rule, rules: Sequence[Rule], em: float) -> bool:
    """Whether a rule is an edge of a box or table, where another begins and ends below or above it: no footnote's."""
    return any(
        other is not rule and abs(other.low - rule.low) < 0.5 * em and abs(other.high - rule.high) < 0.5 * em
        for other in rules
        if abs(other.at - rule.at) > em
    )


def _rules(opened: OpenedPage, pieces: Sequence[Piece], frame: Frame, em: float) -> tuple[list[Rule], list[Rule]]:
    if opened.rules:
        return drawn_rules(opened.rules, frame, em)
    if opened.image is not None and opened.image.size:
        horizontal, vertical = seen_rules(opened.image, frame, em)
        return without_text(horizontal, pieces), vertical
    return [], []


def _paragraphs(blocks: Sequence[Block], em: float, pitch: float) -> list[Paragraph | TableDraft]:
    """Every flow cut into paragraphs; tables as they are."""
    found: list[Paragraph | TableDraft] = []
    for block in blocks:
        if isinstance(block, Flow):
            found.extend(paragraphs_of(block, em, pitch))
        else:
            found.append(block)
    return found


def _joined_columns(blocks: Sequence[Paragraph | TableDraft]) -> list[Paragraph | TableDraft]:
    """Join paragraphs that go on in the next column; footnotes and captions between them move behind."""
    joined: list[Paragraph | TableDraft] = []
    for block in blocks:
        at = len(joined) - 1
        while at >= 0 and _may_stand_between(joined[at]):
            at -= 1
        last = joined[at] if at >= 0 else None
        if isinstance(block, Paragraph) and isinstance(last, Paragraph):
            new_column = block.rows[0].cy < last.rows[-1].cy
            if new_column and goes_on(last, block, _foot(last, joined[at + 1 :], block)):
                last.rows.extend(block.rows)
                last.left, last.right, last.foot = block.left, block.right, block.foot
                continue
        joined.append(block)
    return joined


def _foot(last: Paragraph, between: Sequence[Paragraph | TableDraft], after: Paragraph) -> float:
    """How far down the column of ``last`` could have gone: to its footnotes, or as far as the next column goes."""
    below = between[0] if between else None
    if below is None:
        return after.foot
    if isinstance(below, Paragraph) and below.role is Role.FOOTNOTE:
        return below.rows[0].cy - 2 * below.em
    return last.rows[-1].cy


def _may_stand_between(block: Paragraph | TableDraft) -> bool:
    return isinstance(block, TableDraft) or block.role in (Role.FOOTNOTE, Role.CAPTION)


def _emit_blocks(ordered: list[Ordered], blocks: Sequence[Paragraph | TableDraft], number: int) -> int:
    for block in blocks:
        if isinstance(block, TableDraft):
            for index, cell in enumerate(block.cells):
                pieces = [piece for row in rows_of(cell.pieces) for piece in row.pieces]
                ordered.extend(Ordered(p.line, p.words, Role.TABLE, number, index) for p in pieces)
        else:
            for row in block.rows:
                ordered.extend(Ordered(p.line, p.words, block.role, number) for p in row.pieces)
        number += 1
    return number
