"""From ordered pieces back to lines and cells: a line is cut only where its pieces came apart."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from statistics import fmean

from encoders.layout.blocks import CellDraft, TableDraft, rows_of
from encoders.layout.frame import Frame, slice_text
from encoders.layout.joining import join
from encoders.results import Cell, Line, Quad, Role, Table


@dataclass(frozen=True, slots=True)
class Ordered:
    """A piece at its place in reading order: line and words (indices; () for all), role and paragraph."""

    line: int
    words: tuple[int, ...]
    role: Role
    paragraph: int
    cell: int = -1  # of its table


def emit(lines: Sequence[Line], ordered: Sequence[Ordered], *, merge_rows: bool) -> tuple[Line, ...]:
    """Lines in order. Neighbouring pieces of one line become one again; with ``merge_rows``, so do lines of a text
    layer that were cut in mid-line."""
    runs: list[list[Ordered]] = []
    for piece in ordered:
        last = runs[-1][-1] if runs else None
        if last and last.line == piece.line and last.paragraph == piece.paragraph and last.cell == piece.cell:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    result: list[Line] = []
    for run in runs:
        line = lines[run[0].line]
        picked = sorted({word for piece in run for word in piece.words})
        if line.words and picked and len(picked) < len(line.words):
            line = _part(line, picked)
        line = replace(line, role=run[0].role, paragraph=run[0].paragraph)
        if merge_rows and result and _one_line(result[-1], line):
            result[-1] = _merged(result[-1], line)
        else:
            result.append(line)
    return tuple(result)


def _part(line: Line, picked: Sequence[int]) -> Line:
    words = tuple(line.words[i] for i in picked)
    text = slice_text(line.text, line.words, picked)
    return replace(line, text=text, quad=_hull(words[0].quad, words[-1].quad), words=words)


def _hull(first: Quad, last: Quad) -> Quad:
    """From the first quad's left side to the last quad's right side, whichever of them stands left."""
    if first[0] > last[0]:
        first, last = last, first
    return (first[0], first[1], last[2], last[3], last[4], last[5], first[6], first[7])


def _one_line(a: Line, b: Line) -> bool:
    """Whether two lines of a text layer are one printed line: no gap between them wider than justified text has."""
    if a.paragraph != b.paragraph or a.role is Role.TABLE or a.role is not b.role:
        return False
    height = min(a.quad[7] - a.quad[1], b.quad[7] - b.quad[1])
    overlap = min(a.quad[7], b.quad[7]) - max(a.quad[1], b.quad[1])
    gap = max(b.quad[0] - a.quad[2], a.quad[0] - b.quad[2])
    return height > 0 and overlap > 0.6 * height and -0.6 * height < gap < 2.0 * height


def _merged(a: Line, b: Line) -> Line:
    gap = max(b.quad[0] - a.quad[2], a.quad[0] - b.quad[2])
    spaced = gap > 0.08 * (a.quad[7] - a.quad[1])
    text = f"{a.text.rstrip()} {b.text.lstrip()}" if spaced else a.text.rstrip() + b.text.lstrip()
    confidence = fmean([a.confidence, b.confidence])
    return replace(a, text=text, quad=_hull(a.quad, b.quad), words=a.words + b.words, confidence=confidence)


def table_result(draft: TableDraft, lines: Sequence[Line], frame: Frame, known: Set[str]) -> Table:
    """A draft in page pixels, with the text of its cells."""
    cells = tuple(
        Cell(c.row, c.column, c.row_span, c.column_span, _cell_text(c, known), frame.back(c.x0, c.y0, c.x1, c.y1))
        for c in draft.cells
    )
    return Table(frame.back(draft.x0, draft.y0, draft.x1, draft.y1), draft.rows, draft.columns, cells)


def _cell_text(cell: CellDraft, known: Set[str]) -> str:
    text = ""
    for row in rows_of(cell.pieces):
        text = join(text, row.text, known)
    return text
