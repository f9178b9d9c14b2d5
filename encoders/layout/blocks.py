"""What a page is made of between pieces and the result: rows of one column, flows of rows, drafts of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from encoders.layout.frame import Piece
from encoders.results import Role


@dataclass(slots=True, eq=False)
class Row:
    """Pieces of one column that share a baseline, left to right."""

    pieces: list[Piece]
    x0: float = 0.0
    y0: float = 0.0
    x1: float = 0.0
    y1: float = 0.0
    cy: float = 0.0
    em: float = 1.0
    role: Role = Role.BODY

    def __post_init__(self) -> None:
        self.pieces.sort(key=lambda piece: piece.x0)
        self.x0, self.y0 = min(p.x0 for p in self.pieces), min(p.y0 for p in self.pieces)
        self.x1, self.y1 = max(p.x1 for p in self.pieces), max(p.y1 for p in self.pieces)
        longest = max(self.pieces, key=lambda piece: piece.x1 - piece.x0)
        self.cy, self.em = longest.cy, longest.em

    @property
    def text(self) -> str:
        """What the row says."""
        return self.pieces[0].text if len(self.pieces) == 1 else " ".join(piece.text for piece in self.pieces)

    @property
    def bullet(self) -> bool:
        """Whether a bullet stands before it that is not in its text."""
        return self.pieces[0].bullet

    @property
    def lead(self) -> float:
        """Width of its first word."""
        return self.pieces[0].lead


@dataclass(slots=True, eq=False)
class Flow:
    """Rows of one column from top to bottom, and the column's left and right edge."""

    rows: list[Row]
    left: float
    right: float


@dataclass(slots=True, eq=False)
class CellDraft:
    """A cell of the grid with the rows of pieces in it, upright."""

    row: int
    column: int
    row_span: int
    column_span: int
    x0: float
    y0: float
    x1: float
    y1: float
    pieces: list[Piece] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class TableDraft:
    """A table in upright coordinates; takes part in the reading order as one block."""

    x0: float
    y0: float
    x1: float
    y1: float
    rows: int
    columns: int
    cells: list[CellDraft]

    @property
    def pieces(self) -> list[Piece]:
        """Every piece of the table, cell by cell."""
        return [piece for cell in self.cells for row in rows_of(cell.pieces) for piece in row.pieces]


Item = Piece | TableDraft
Block = Flow | TableDraft


def rows_of(pieces: Sequence[Piece]) -> list[Row]:
    """Pieces grouped by baseline, from top to bottom. Linear after a sort."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.cy):
        if rows:
            last = rows[-1]
            middle = sum(p.cy for p in last) / len(last)
            clash = any(min(piece.x1, p.x1) - max(piece.x0, p.x0) > 0.6 * min(piece.em, p.em) for p in last)
            if abs(piece.cy - middle) < 0.45 * min(piece.em, last[-1].em) and not clash:
                last.append(piece)
                continue
        rows.append([piece])
    return [Row(row) for row in rows]


def body_size(pieces: Sequence[Piece]) -> float:
    """The font size in which most characters of the page are set; 1.0 for an empty page."""
    if not pieces:
        return 1.0
    sizes = np.array([piece.em for piece in pieces])
    weights = np.array([len(piece.text) for piece in pieces], np.float64)
    order = np.argsort(sizes)
    total = np.cumsum(weights[order])
    return max(float(sizes[order][int(np.searchsorted(total, total[-1] / 2))]), 1e-3)


def page_pitch(pieces: Sequence[Piece], em: float) -> float:
    """The usual distance in em from a line of body size to the one below it in its own column; 1.3 when unknown."""
    steps = []
    ordered = sorted((piece for piece in pieces if 0.85 * em < piece.em < 1.18 * em), key=lambda piece: piece.cy)
    for i, piece in enumerate(ordered):
        for below in ordered[i + 1 : i + 16]:
            step = (below.cy - piece.cy) / max(em, 1e-3)
            if step > 3.0:
                break
            if step > 0.7 and below.x0 < piece.x1 and piece.x0 < below.x1:
                steps.append(step)
                break
    steps.sort()
    return steps[len(steps) // 4] if len(steps) >= 3 else 1.3


def line_pitch(rows: Sequence[Row], em: float) -> float:
    """The usual distance of baselines in em: the median of the smaller half of the distances, 1.2 when unknown."""
    steps = [(low.cy - high.cy) / max(low.em, 1e-3) for high, low in pairwise(rows)]
    steps = sorted(step for step in steps if 0.7 < step < 3.0)
    return steps[len(steps) // 4] if len(steps) >= 3 else (steps[0] if steps else 1.3)
