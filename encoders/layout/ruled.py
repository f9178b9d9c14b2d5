"""Tables with ruling lines: a grid from the rules that cross, cells merged where no rule parts them."""

from __future__ import annotations

from collections.abc import Sequence

from encoders.layout.blocks import CellDraft, TableDraft
from encoders.layout.frame import Piece
from encoders.layout.rules import Rule
from encoders.layout.unruled import cut_at_columns, table_of

DRAWN = 0.6  # share of a cell's side that a rule must cover to part it from its neighbour


def ruled_tables(
    pieces: Sequence[Piece], horizontal: Sequence[Rule], vertical: Sequence[Rule], em: float
) -> tuple[list[TableDraft], list[Piece]]:
    """Tables with a grid, or with rules between rows only, and the pieces that are in none of them."""
    tables: list[TableDraft] = []
    rest = list(pieces)
    used: set[int] = set()
    for across, down in _crossing(horizontal, vertical, 0.6 * em):
        used.update(id(rule) for rule in across)
        table, rest = _grid(across, down, rest, em)
        if table:
            tables.append(table)
    for rules in _stacked([rule for rule in horizontal if id(rule) not in used], em):
        table, rest = _between(rules, rest, em)
        if table:
            tables.append(table)
    return tables, rest


def _crossing(horizontal: Sequence[Rule], vertical: Sequence[Rule], near: float) -> list[tuple[list[Rule], list[Rule]]]:
    """Connected sets of rules that meet or cross: each is a grid or a frame."""
    rules = [*horizontal, *vertical]
    parent = list(range(len(rules)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, across in enumerate(horizontal):
        for j, down in enumerate(vertical, len(horizontal)):
            if across.low - near <= down.at <= across.high + near and down.low - near <= across.at <= down.high + near:
                parent[root(i)] = root(j)
    sets: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for i, rule in enumerate(rules):
        sets.setdefault(root(i), ([], []))[i >= len(horizontal)].append(rule)
    return [(across, down) for across, down in sets.values() if across and down and len(across) + len(down) >= 3]


def _positions(ats: Sequence[float], ends: Sequence[float], em: float) -> list[float]:
    """Distinct positions of rules, and the ends of the crossing rules where a table has no outer rule."""
    positions: list[float] = []
    for at in sorted(ats):
        if not positions or at - positions[-1] > 0.5 * em:
            positions.append(at)
    if positions:
        if positions[0] - min(ends) > em:
            positions.insert(0, min(ends))
        if max(ends) - positions[-1] > em:
            positions.append(max(ends))
    return positions


def _grid(
    across: Sequence[Rule], down: Sequence[Rule], pieces: list[Piece], em: float
) -> tuple[TableDraft | None, list[Piece]]:
    xs = _positions([rule.at for rule in down], [end for rule in across for end in (rule.low, rule.high)], em)
    ys = _positions([rule.at for rule in across], [end for rule in down for end in (rule.low, rule.high)], em)
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows < 1 or columns < 1 or rows * columns < 2 or rows * columns > 20_000:
        return None, pieces
    inside = [p for p in pieces if xs[0] <= p.cx <= xs[-1] and ys[0] <= p.cy <= ys[-1]]
    taken = {id(piece) for piece in inside}
    inside = [part for piece in inside for part in piece.split(_between_rules(piece, xs, down), 0.1)]
    if len(inside) < 2:
        return None, pieces
    cells = _merged(xs, ys, across, down, em)
    if len(cells) < 2:
        return None, pieces
    place = {(r, c): cell for cell in cells for r in range(cell.row, cell.row + cell.row_span)
             for c in range(cell.column, cell.column + cell.column_span)}  # fmt: skip
    for piece in inside:
        r, c = sum(piece.cy > y for y in ys[1:-1]), sum(piece.cx > x for x in xs[1:-1])
        place[r, c].pieces.append(piece)
    if sum(bool(cell.pieces) for cell in cells) < 2:
        return None, pieces
    table = TableDraft(xs[0], ys[0], xs[-1], ys[-1], rows, columns, cells)
    return table, [piece for piece in pieces if id(piece) not in taken]


def _between_rules(piece: Piece, xs: Sequence[float], down: Sequence[Rule]) -> list[float]:
    """The upright rules that stand beside the piece, where it must be cut."""
    return [x for x in xs if any(abs(r.at - x) < 0.4 * piece.em and r.low < piece.cy < r.high for r in down)]


def _merged(
    xs: Sequence[float], ys: Sequence[float], across: Sequence[Rule], down: Sequence[Rule], em: float
) -> list[CellDraft]:
    """Cells of the grid; neighbours with no rule between them are one cell, as a rectangle."""
    rows, columns = len(ys) - 1, len(xs) - 1
    near = 0.4 * em
    right_open = [
        [not _covers(down, xs[c + 1], ys[r], ys[r + 1], near) for c in range(columns - 1)] for r in range(rows)
    ]
    below_open = [
        [not _covers(across, ys[r + 1], xs[c], xs[c + 1], near) for c in range(columns)] for r in range(rows - 1)
    ]
    owner = [[-1] * columns for _ in range(rows)]
    cells: list[CellDraft] = []
    for r in range(rows):
        for c in range(columns):
            if owner[r][c] >= 0:
                continue
            wide = 1
            while c + wide < columns and owner[r][c + wide] < 0 and right_open[r][c + wide - 1]:
                wide += 1
            high = 1
            while r + high < rows and all(
                below_open[r + high - 1][k] and owner[r + high][k] < 0 for k in range(c, c + wide)
            ):
                high += 1
            for i in range(r, r + high):
                for k in range(c, c + wide):
                    owner[i][k] = len(cells)
            cells.append(CellDraft(r, c, high, wide, xs[c], ys[r], xs[c + wide], ys[r + high]))
    return cells


def _covers(rules: Sequence[Rule], at: float, low: float, high: float, near: float) -> bool:
    covered = sum(max(0.0, min(rule.high, high) - max(rule.low, low)) for rule in rules if abs(rule.at - at) <= near)
    return covered >= DRAWN * (high - low)


def _stacked(rules: Sequence[Rule], em: float) -> list[list[Rule]]:
    """Rules of the same width above one another: the lines of a table without upright ones."""
    stacks: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.at):
        for stack in stacks:
            if abs(stack[0].low - rule.low) < em and abs(stack[0].high - rule.high) < em:
                stack.append(rule)
                break
        else:
            stacks.append([rule])
    return [stack for stack in stacks if len(stack) >= 3]


def _between(rules: Sequence[Rule], pieces: list[Piece], em: float) -> tuple[TableDraft | None, list[Piece]]:
    """A table whose rules part rows only: columns from gaps; rows from the rules if these part every row."""
    low, high = min(rule.low for rule in rules) - em, max(rule.high for rule in rules) + em
    top, bottom = rules[0].at, rules[-1].at
    inside = [p for p in pieces if low <= p.x0 and p.x1 <= high and top < p.cy < bottom]
    if len(inside) < 4:
        return None, pieces
    taken = {id(piece) for piece in inside}
    rows, bounds = cut_at_columns(inside, em)
    several = sum(len(row.pieces) > 1 for row in rows)
    if len(bounds) < 3 or several < 2 or several < 0.4 * len(rows):
        return None, pieces
    breaks = [rule.at for rule in rules[1:-1]]
    bands = {sum(row.cy > height for height in breaks) for row in rows}
    table = table_of(rows, bounds, breaks if len(bands) > 3 and len(bands) == len(rules) - 1 else ())
    table.y0, table.y1 = min(table.y0, top), max(table.y1, bottom)
    return table, [piece for piece in pieces if id(piece) not in taken]
