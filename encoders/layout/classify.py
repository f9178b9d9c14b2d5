"""What strips with a common gutter are: columns of prose, a table, or rows that are read across."""

from __future__ import annotations

import re
from collections.abc import Sequence

from encoders.layout.blocks import Row, rows_of
from encoders.layout.frame import Piece
from encoders.layout.strips import Group, Interval, split
from encoders.layout.unruled import CELL_GAP

NUMBER = re.compile(r"^[^\w]*[A-Z]{0,3}[-+–−$€£¥₹(\s]*\d[\d\s.,:/'%x×*-]*[)%°]?[^\w]*[A-Za-z€$£%]{0,3}[^\w]*$")


def is_number(text: str) -> bool:
    """An amount, quantity, date or share: what stands in the columns of tables rather than in prose."""
    return bool(NUMBER.match(text.strip())) or text.strip() in {"-", "–", "—", "n/a"}


def classify(group: Group, free: Sequence[Interval], em: float) -> str:
    """``columns`` of prose, a ``table``, or ``rows`` that are read across, like a label and its amount."""
    pieces = [item for item in group.items if isinstance(item, Piece)]
    if len(pieces) != len(group.items):
        return "columns"
    columns = [[item for item in column if isinstance(item, Piece)] for column in split(pieces, free)]
    grids = [rows_of(column) for column in columns]
    rows = rows_of(pieces)
    if len(rows) < 2:
        return "rows"
    prose = [_is_prose(grid) for grid in grids]
    if sum(prose) >= 2 and _prose_share(grids, prose) > 0.5:
        return "columns"
    if _is_river(grids, rows, free, em):
        return "rows"
    several = sum(len(row.pieces) > 1 for row in rows)
    fewest = min(len(grid) for grid in grids[:2]) if len(grids) == 2 else sorted(map(len, grids))[len(grids) // 2]
    aligned = several / max(fewest, 1)
    if aligned < 0.6 and not all(is_number(row.text) for row in grids[-1]):
        return "columns"
    numbers = [sum(map(_has_number, grid)) / len(grid) for grid in grids]
    if len(columns) == 2:
        if any(prose) and max(numbers) < 0.3:
            return "columns"
        if numbers[1] >= 0.4 or _are_labels(grids[0]):
            return "table" if several >= 4 and several >= 0.7 * len(rows) else "rows"
        return "table" if several >= 5 else ("columns" if len(rows) >= 3 else "rows")
    return "table" if several >= 2 and len(rows) >= 3 else "rows"


def _has_number(row: Row) -> bool:
    """Whether a row is a number, or has one apart from the rest: columns may stand so close that they look like one."""
    parts = [part for piece in row.pieces for part in piece.split(None, CELL_GAP)]
    return is_number(row.text) or (len(parts) > 1 and sum(is_number(part.text) for part in parts) >= len(parts) / 2)


def _is_river(grids: Sequence[Sequence[Row]], rows: Sequence[Row], free: Sequence[Interval], em: float) -> bool:
    """Whether the gap is an accident of a few loosely set lines rather than a gutter."""
    narrow = max(high - low for low, high in free) < 1.6 * em
    few = min(map(len, grids)) < 3
    return len(rows) < 8 and ((few and len(grids) == 2) or (narrow and len(rows) <= 4))


def _is_prose(grid: Sequence[Row]) -> bool:
    """Rows that fill their column, as lines of a paragraph do and cells do not."""
    if len(grid) < 3:
        return False
    if sum(map(_has_number, grid)) >= 0.5 * len(grid):
        return False
    widest = max(row.x1 for row in grid) - min(row.x0 for row in grid)
    lengths = sorted(len(row.text) for row in grid)
    full = sum(row.x1 - row.x0 > 0.75 * widest for row in grid) / len(grid)
    ideographs = widest / (sum(row.em for row in grid) / len(grid)) if grid else 0
    return full >= 0.5 and (lengths[len(lengths) // 2] >= 20 or (ideographs >= 12 and lengths[len(lengths) // 2] >= 10))


def _prose_share(grids: Sequence[Sequence[Row]], prose: Sequence[bool]) -> float:
    letters = [sum(len(row.text) for row in grid) for grid in grids]
    return sum(n for n, is_prose in zip(letters, prose) if is_prose) / max(sum(letters), 1)


def _are_labels(grid: Sequence[Row]) -> bool:
    return sum(row.text.rstrip().endswith((":", "：")) for row in grid) >= 0.5 * len(grid)
