"""Tables without ruling lines: columns from the gaps that most rows leave, rows from baselines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from encoders.layout.blocks import Block, CellDraft, Flow, Row, TableDraft, rows_of
from encoders.layout.frame import Piece
from encoders.layout.paragraphs import CAPTION

CELL_GAP = 0.45  # em; a gap between cells may be little wider than one between words
CROSSED = 0.2  # share of rows that may cross a gap between columns: headings over several columns


def build_table(pieces: Sequence[Piece], em: float) -> list[Block]:
    """The table that the pieces form, with what stands loosely above and below it as flows."""
    before, rows, after = _trimmed(rows_of(pieces), em)
    rows, bounds = cut_at_columns([piece for row in rows for piece in row.pieces], em)
    blocks: list[Block] = []
    if before:
        blocks.append(_flow(before))
    if len(rows) < 2 or len(bounds) < 3:
        blocks.append(_flow(rows))
    else:
        blocks.append(table_of(rows, bounds))
    if after:
        blocks.append(_flow(after))
    return blocks


def heading_rows(above: Sequence[Row], pieces: Sequence[Piece], em: float) -> int:
    """How many of the last rows above belong to the table of these pieces: rows that its column bounds cut into cells,
    or a heading over some of its columns, no further off than its rows are from one another."""
    rows, bounds = cut_at_columns(pieces, em)
    if len(rows) < 2 or len(bounds) < 3:
        return 0
    pitch = (rows[-1].cy - rows[0].cy) / (len(rows) - 1)
    first = rows[0].cy
    for count, row in enumerate(reversed(above)):
        inside = row.x0 > bounds[0] - 2 * em and row.x1 < bounds[-1] + 0.25 * (bounds[-1] - bounds[0])
        parts = [part for piece in row.pieces for part in piece.split(None, CELL_GAP)]
        cells = [_reach(part, bounds) for part in parts]
        mostly = {sum(part.cx > bound for bound in bounds[1:-1]) for part in parts}
        several = len(cells) > 1 and len(mostly) == len(parts) and len(parts) >= 0.6 * (len(bounds) - 1)
        over = len(row.pieces) == 1 and cells[0][0] > 0 and row.x1 - row.x0 < 0.5 * (bounds[-1] - bounds[0])
        near = 0 < first - row.cy <= 1.45 * pitch
        if count == 2 or not (inside and near and (several or over)):
            return count
        first = row.cy
    return len(above)


def fits_table(pieces: Sequence[Piece], more: Sequence[Piece], em: float) -> bool:
    """Whether ``more`` pieces are rows of the table of ``pieces``: cells that stand in one column each, several in a
    row, or alone where they go on a cell."""
    rows, bounds = cut_at_columns(pieces, em)
    if len(rows) < 2 or len(bounds) < 3:
        return False
    several = 0
    below = rows_of(more)
    for row in below:
        parts = [part for piece in row.pieces for part in piece.split(bounds[1:-1], CELL_GAP)]
        if row.x0 < bounds[0] - em or row.x1 > bounds[-1] + 2 * em:
            return False
        reached = [_reach(part, bounds) for part in parts]
        if any(low != high for low, high in reached) or len({low for low, _ in reached}) < len(parts):
            return False
        several += len(parts) > 1
    return several >= 0.5 * len(below) and several > 0 and len(below[0].pieces) > 1


def _flow(rows: list[Row]) -> Flow:
    return Flow(rows, min(row.x0 for row in rows), max(row.x1 for row in rows))


def _trimmed(rows: list[Row], em: float) -> tuple[list[Row], list[Row], list[Row]]:
    """Single pieces at either end that stand further off than the table's rows do are not part of it."""
    steps = sorted(low.cy - high.cy for high, low in pairwise(rows))
    pitch = steps[len(steps) // 2] if steps else em
    first, last = 0, len(rows)
    several = [i for i, row in enumerate(rows) if len(row.pieces) > 1]
    if not several:
        return [], rows, []
    apart = max(pitch, (rows[several[-1]].cy - rows[several[0]].cy) / max(len(several) - 1, 1))  # cells may be wrapped
    for i in range(several[0], 0, -1):
        larger = rows[i - 1].em > 1.15 * rows[several[0]].em
        if rows[i].cy - rows[i - 1].cy > 1.25 * apart or larger or CAPTION.match(rows[i - 1].text):
            first = i
            break
    for i in range(several[-1], len(rows) - 1):
        if rows[i + 1].cy - rows[i].cy > 1.25 * pitch:
            last = i + 1
            break
    return rows[:first], rows[first:last], rows[last:]


def cut_at_columns(pieces: Sequence[Piece], em: float) -> tuple[list[Row], list[float]]:
    """Rows and column bounds; pieces that run over a bound with more than a word space there are two cells."""
    rows = rows_of(pieces)
    bounds = column_bounds([Row([part for p in row.pieces for part in p.split(None, CELL_GAP)]) for row in rows], em)
    bounds = [bound for bound in bounds if bound in (bounds[0], bounds[-1]) or _parts_cells(rows, bound, bounds)]
    if len(bounds) < 3:
        return rows, bounds
    parts = [part for piece in pieces for part in piece.split(bounds[1:-1], CELL_GAP)]
    return (rows_of(parts) if len(parts) > len(pieces) else rows), bounds


def _parts_cells(rows: Sequence[Row], bound: float, bounds: Sequence[float]) -> bool:
    """Whether a bound at which pieces must be cut parts columns: most rows have something on both sides. Typewriter
    faces have wide spaces, that stand one below the other where a few labels of two words do."""
    at = bounds.index(bound)
    low, high = bounds[at - 1], bounds[at + 1]
    cut, both, either = False, 0, 0
    for row in rows:
        parts = [part.cx for piece in row.pieces for part in piece.split(None, CELL_GAP)]
        cut |= any(len(piece.split([bound], CELL_GAP)) > 1 for piece in row.pieces)
        left, right = any(low < x < bound for x in parts), any(bound < x < high for x in parts)
        both, either = both + (left and right), either + (left or right)
    return not cut or both >= 0.6 * either


def column_bounds(rows: Sequence[Row], em: float) -> list[float]:
    """The x positions that bound the columns: both edges, and the middle of every gap that most rows leave free."""
    left, right = min(row.x0 for row in rows), max(row.x1 for row in rows)
    step = max(em / 8, (right - left) / 4000, 1e-3)
    size = int((right - left) / step) + 2
    crossings = np.zeros(size)
    for number, row in enumerate(rows):
        for piece in row.pieces:
            low, high = int((piece.x0 - left) / step), int(np.ceil((piece.x1 - left) / step))
            crossings[max(low, 0) : min(high, size)] += _weight(number)
    allowed = CROSSED * len(rows) if len(rows) > 3 else 0
    bounds = [left]
    free = crossings[:-1] <= allowed
    edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
    for low, high in zip(edges[0::2], edges[1::2]):
        wide = (high - low) * step
        if low > 0 and high < size - 1 and wide >= 0.25 * em:
            least = crossings[low:high].min()
            inner = np.flatnonzero(crossings[low:high] == least)
            bounds.append(left + (low + (inner[0] + inner[-1] + 1) / 2) * step)
    bounds.append(right)
    return _occupied(rows, bounds)


def _weight(row: int) -> float:
    """What a crossing of a bound counts: a heading over several columns, in the first row, may rightly cross one; the
    name of a column below it, and what stands in the column, may not."""
    return 1.0 if row else 0.5


def _occupied(rows: Sequence[Row], bounds: list[float]) -> list[float]:
    """Drop bounds of columns in which nothing stands on its own: of such a column's two bounds the one that more pieces
    cross."""
    bounds = list(bounds)
    while len(bounds) > 2:
        counts, crossed = np.zeros(len(bounds) - 1), np.zeros(len(bounds))
        for number, row in enumerate(rows):
            for piece in row.pieces:
                low, high = _reach(piece, bounds)
                counts[low] += low == high
                crossed[low + 1 : high + 1] += _weight(number)
        empty = np.flatnonzero(counts == 0)
        if not len(empty):
            break
        at = int(empty[0])
        choices = [i for i in (at, at + 1) if 0 < i < len(bounds) - 1]
        del bounds[max(choices, key=lambda i: crossed[i])]
    return bounds


def _reach(piece: Piece, bounds: Sequence[float]) -> tuple[int, int]:
    """First and last column that a piece stands in; it must reach well over a bound to count as spanning."""
    slack = 0.35 * piece.em
    low = sum(piece.x0 + slack >= bound for bound in bounds[1:-1])
    high = sum(piece.x1 - slack > bound for bound in bounds[1:-1])
    return low, max(low, high)


def _range(piece: Piece, bounds: Sequence[float]) -> tuple[int, int]:
    low, high = _reach(piece, bounds)
    return low, high + 1


def table_of(rows: Sequence[Row], bounds: Sequence[float], breaks: Sequence[float] = ()) -> TableDraft:
    """Rows of pieces and column bounds to a grid. ``breaks`` are heights of rules that part its rows, if drawn."""
    bands = _bands(rows, bounds, breaks)
    left, right = bounds[0], bounds[-1]
    tops = [min(row.y0 for row in band) for band in bands] + [max(row.y1 for row in bands[-1])]
    cells: list[CellDraft] = []
    for r, band in enumerate(bands):
        y0, y1 = tops[r], max(tops[r + 1], max(row.y1 for row in band))
        taken: dict[int, CellDraft] = {}
        over = _heading_reach(r, bands, bounds)
        for row in band:
            for piece in row.pieces:
                low, high = over.get(id(piece)) or _reach(piece, bounds)
                owner = next((taken[c] for c in range(low, high + 1) if c in taken), None)
                if owner is None:
                    owner = CellDraft(r, low, 1, high - low + 1, bounds[low], y0, bounds[high + 1], y1)
                    cells.append(owner)
                owner.pieces.append(piece)
                for c in range(owner.column, owner.column + owner.column_span):
                    taken[c] = owner
        for c in range(len(bounds) - 1):
            if c not in taken:
                cells.append(CellDraft(r, c, 1, 1, bounds[c], y0, bounds[c + 1], y1))
    cells.sort(key=lambda cell: (cell.row, cell.column))
    top, bottom = min(row.y0 for row in rows), max(row.y1 for row in rows)
    return TableDraft(left, top, right, bottom, len(bands), len(bounds) - 1, cells)


def _heading_reach(r: int, bands: Sequence[list[Row]], bounds: Sequence[float]) -> dict[int, tuple[int, int]]:
    """Columns below the headings of the first row, if it leaves some columns blank that the second row names: each
    heading stands over the two and more columns around whose middle it is centred."""
    if r > 0 or len(bands) < 3:
        return {}
    pieces = [piece for row in bands[0] for piece in row.pieces]
    columns = len(bounds) - 1
    named = {c for row in bands[1] for piece in row.pieces for c in [_reach(piece, bounds)[0]]}
    if len(pieces) >= columns - 1 or len(named) < columns or columns < 3:
        return {}
    edges = _cell_edges(bands[1:], bounds)
    found: dict[int, tuple[int, int]] = {}
    for k, piece in enumerate(pieces):
        left = pieces[k - 1].x1 if k else bounds[0] - 1
        right = pieces[k + 1].x0 if k + 1 < len(pieces) else bounds[-1] + 1
        choices = [
            (abs((edges[i] + edges[j + 1]) / 2 - piece.cx), i, j)
            for i in range(columns)
            for j in range(i + 1, columns)
            if edges[i + 1] > left and edges[j] < right and edges[i] < piece.x1 and edges[j + 1] > piece.x0
        ]
        if choices:
            _, low, high = min(choices)
            found[id(piece)] = (low, high)
    return found


def _cell_edges(bands: Sequence[list[Row]], bounds: Sequence[float]) -> list[float]:
    """Where columns meet, as far as their alignment shows it: a little left of a column whose cells begin at one place,
    a little right of one whose cells end at one; else the bound in the middle of the gap."""
    columns = len(bounds) - 1
    spans: list[list[tuple[float, float]]] = [[] for _ in range(columns)]
    em = 1.0
    for piece in (piece for band in bands for row in band for piece in row.pieces):
        low, high = _reach(piece, bounds)
        em = piece.em
        if low == high:
            spans[low].append((piece.x0, piece.x1))
    lefts, rights = ([_aligned([span[side] for span in own], 0.35 * em) for own in spans] for side in (0, 1))
    gaps = [b - a for a, b in zip(rights, lefts[1:]) if a is not None and b is not None]
    padding = min(gaps) / 2 if gaps else 0.5 * em
    edges = [bounds[0] - padding]
    for c in range(1, columns):
        begins, ends = lefts[c], rights[c - 1]
        near = [ends + padding] if ends is not None else []
        near += [begins - padding] if begins is not None else []
        edges.append(sum(near) / len(near) if near else bounds[c])
    return [*edges, bounds[-1] + padding]


def _aligned(positions: Sequence[float], near: float) -> float | None:
    """Where most positions are, if they are alike."""
    if len(positions) < 2:
        return None
    middle = float(np.median(positions))
    alike = sum(abs(position - middle) < near for position in positions)
    return middle if alike >= 0.7 * len(positions) else None


def _bands(rows: Sequence[Row], bounds: Sequence[float], breaks: Sequence[float]) -> list[list[Row]]:
    """Rows of pieces to rows of the table: a row that goes on a cell above, and starts nothing, belongs to it."""
    if breaks:
        bands: list[list[Row]] = []
        last = -1
        for row in rows:
            at = sum(row.cy > height for height in breaks)
            if at == last:
                bands[-1].append(row)
            else:
                bands.append([row])
            last = at
        return bands
    steps = [low.cy - high.cy for high, low in pairwise(rows)]
    parted = _parted(steps)
    filled = [{c for piece in row.pieces for c in range(*_range(piece, bounds))} for row in rows]
    most = max(map(len, filled))
    full = sorted(step for step, columns in zip(steps, filled[1:]) if len(columns) == most)
    usual = full[len(full) // 2] if full else 0.0
    bands = [[rows[0]]]
    for step, row, columns in zip(steps, rows[1:], filled[1:]):
        alone = 0 not in columns and len(columns) < 0.5 * (len(bounds) - 1)
        close = len(columns) < most and step < 0.87 * usual
        goes_on = step <= parted if parted else alone or close
        if goes_on:
            bands[-1].append(row)
        else:
            bands.append([row])
    return bands


def _parted(steps: Sequence[float]) -> float:
    """A threshold between the distances of lines within a cell and those of rows; 0 when there is but one kind."""
    ordered = sorted(steps)
    best, at = 1.25, 0
    for i in range(1, len(ordered)):
        ratio = ordered[i] / max(ordered[i - 1], 1e-6)
        if ratio > best and ordered[i] < 3.5 * ordered[0]:
            best, at = ratio, i
    small = ordered[:at]
    if at == 0 or small[-1] > 1.2 * small[0] or len(ordered) - at < 2:
        return 0.0
    return (ordered[at - 1] + ordered[at]) / 2
