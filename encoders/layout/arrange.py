"""One page: loose lines to lines in reading order with roles, paragraphs, tables and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from encoders.layout.blocks import Block, Flow, TableDraft, body_size, page_pitch, rows_of
from encoders.layout.bullets import mark_bullets
from encoders.layout.frame import Frame, finite, frame_of, pieces_of
from encoders.layout.joining import words_of
from encoders.layout.lines import Ordered, emit, table_result
from encoders.layout.margins import margin_pieces
from encoders.layout.order import order
from encoders.layout.page_text import page_text
from encoders.layout.paragraphs import Paragraph, goes_on, paragraphs_of
from encoders.layout.roles import assign_roles
from encoders.layout.ruled import ruled_tables
from encoders.layout.rules import Rule, drawn_rules, look_for, seen_rules, without_text
from encoders.layout.runs import Ink, runs_of, runs_on
from encoders.media.opened import OpenedPage
from encoders.results import Line, Page, Role, Table


def arrange(opened: OpenedPage, lines: Sequence[Line], *, source: str, rotation: int = 0) -> Page:
    """Put a page's lines into reading order and say what each is.

    ``lines`` come unordered, from a recogniser (quads possibly tilted) or from a text layer, in pixels of
    ``opened``, after turning by ``rotation``. Ruling lines are those of ``opened.rules``, else they are looked
    for on ``opened.image``. Never raises on odd geometry: lines without a finite place or without text are left out.
    """
    page = Draft(opened, lines).page(source, rotation)
    return replace(page, text=page_text(page))


class Draft:
    """A page on its way through `arrange`, for those who have somebody else look for its ruling lines: ``look`` says
    how, or is None where nothing is to be looked for."""

    def __init__(self, opened: OpenedPage, lines: Sequence[Line]) -> None:
        self._opened = opened
        self._lines = finite(lines)
        self._frame = frame_of(self._lines)
        self._pieces, self._astray = pieces_of(self._lines, self._frame)
        self._em = body_size(self._pieces)
        has_image = opened.image is not None and opened.image.size > 0
        self.look = look_for(self._frame, self._em) if self._lines and has_image and not opened.rules else None

    def page(self, source: str, rotation: int = 0, ink: Ink | None = None) -> Page:
        """The page, see `arrange`, but for its text, which `arrange_document` writes; its ``ink`` is looked for now if
        nobody has."""
        page = Page(self._opened.page, self._opened.width, self._opened.height, source, rotation=rotation)
        if not self._lines:
            return page
        ordered, tables = self._ordered(ink)
        number = ordered[-1].paragraph + 1 if ordered else 0
        for offset, index in enumerate(self._astray):
            ordered.append(Ordered(index, (), Role.BODY, number + offset))
        joined = emit(self._lines, ordered, merge_rows=source == "text_layer")
        return replace(page, lines=joined, tables=tuple(tables))

    def _ordered(self, ink: Ink | None) -> tuple[list[Ordered], list[Table]]:
        pieces, em = self._pieces, self._em
        top, bottom = _page_edges(self._opened, self._frame)
        horizontal, vertical = self._rules(ink)
        if self._opened.image is not None and self._opened.image.size:
            mark_bullets(pieces, self._opened.image, self._frame)
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
        drawn = [draft for draft in paragraphs if isinstance(draft, TableDraft)]
        known = words_of(line.text for line in self._lines) if drawn else set()
        return ordered, [table_result(draft, self._lines, self._frame, known) for draft in drawn]

    def _rules(self, ink: Ink | None) -> tuple[list[Rule], list[Rule]]:
        if self.look is None:
            return drawn_rules(self._opened.rules, self._frame, self._em)
        assert self._opened.image is not None
        runs = runs_on(self._opened.image, self.look) if ink is None else runs_of(ink, self.look)
        horizontal, vertical = seen_rules(runs, self._frame, self._em)
        return without_text(horizontal, self._pieces), vertical


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
