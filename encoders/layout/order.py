"""Reading order: strips between horizontal gaps, grouped while they share a vertical gutter, cut there, again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from encoders.layout.blocks import Block, Flow, Item, TableDraft, rows_of
from encoders.layout.classify import classify, is_number
from encoders.layout.frame import Piece
from encoders.layout.paragraphs import CAPTION
from encoders.layout.strips import (
    MIN_GUTTER,
    Group,
    Interval,
    Strip,
    bridge_stretched,
    core,
    gutters,
    merge,
    split,
    strips_of,
)
from encoders.layout.unruled import build_table, fits_table, heading_rows

DEEPEST = 6
MARKER_ALONE = re.compile(r"^(?:[•◦▪‣●○■□►➢✓*·–—-]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)])$")


def groups_of(strips: Sequence[Strip], em: float) -> list[Group]:
    """Consecutive strips as long as they share a gutter (or have none)."""
    least = MIN_GUTTER * em
    groups: list[Group] = []
    breaks = _table_breaks(strips)
    for index, strip in enumerate(strips):
        if groups and index not in breaks:
            group = groups[-1]
            before = gutters(group.covered, least)
            union = merge([*group.covered, *strip.covered])
            after = gutters(union, least)
            joins = bool(after) if before else not gutters(strip.covered, least) and not after
            if joins and not (before and _spans(group, strips, index, before, em)):
                group.strips.append(strip)
                group.covered = union
                continue
        groups.append(Group([strip], list(strip.covered)))
    return groups


def _table_breaks(strips: Sequence[Strip]) -> set[int]:
    """Where runs of strips that are plainly rows of a table begin and end, for the gutter of the columns above may go
    on through the table: three cells and more in each row, or a label and a number, and much blank between them."""
    breaks: set[int] = set()
    left = min((strip.covered[0][0] for strip in strips), default=0.0)
    right = max((strip.covered[-1][1] for strip in strips), default=0.0)
    run: list[int] = []
    for index, strip in enumerate([*strips, None]):
        if strip is not None and _is_cells(strip, right - left):
            run.append(index)
            continue
        wrapped = strip is not None and len(strip.items) == 1 and strip.covered[0][1] - left < 0.5 * (right - left)
        if wrapped and run and index - run[-1] <= 2:
            continue
        if strip is not None and run and _goes_on_cell(strips[index - 1], strip):
            continue
        if len(run) >= 3:
            end = run[-1] + 1
            while end < len(strips) and _goes_on_cell(strips[end - 1], strips[end]):
                end += 1
            breaks.update((run[0], end))
        run = []
    return breaks


def _goes_on_cell(above: Strip, strip: Strip) -> bool:
    """Whether a strip is the second line of a cell in the strip above it: alone, and close below."""
    item = strip.items[0]
    if len(strip.items) != 1 or isinstance(item, TableDraft) or strip.top - above.bottom > 0.85 * item.em:
        return False
    return any(abs(item.x0 - other.x0) < 0.3 * item.em and item.x1 < other.x1 + 3 * item.em for other in above.items)


def _is_cells(strip: Strip, width: float) -> bool:
    pieces = [item for item in strip.items if isinstance(item, Piece)]
    if len(pieces) != len(strip.items) or len(pieces) < 2 or len(rows_of(pieces)) > 1:
        return False
    near = 0.65 * pieces[0].em  # words of a loosely justified line are no cells, nor are bullets
    covered = [(piece.x0, piece.x1) for piece in pieces if not MARKER_ALONE.match(piece.text)]
    wide = merge([(low - near, high + near) for low, high in covered])
    numbers = sum(is_number(piece.text) for piece in pieces) >= max(2, len(wide) / 3)
    if len(wide) < 2 or sum(high - low - 2 * near for low, high in wide) > (0.85 if numbers else 0.6) * width:
        return False
    return len(wide) >= 3 or is_number(max(pieces, key=lambda piece: piece.x0).text)


def _spans(group: Group, strips: Sequence[Strip], index: int, free: Sequence[Interval], em: float) -> bool:
    """Whether a strip with text on one side only is a heading over all columns: the other side stops above it and
    goes on below it no later than its own side does, blank for as long as the heading and its space take."""
    strip = strips[index]
    if len(strip.items) != 1 or isinstance(strip.items[0], TableDraft) or strip.items[0].em < 1.12 * em:
        return False
    low, high = free[0][0], free[-1][1]
    if strip.covered[0][0] >= low:
        return False  # a heading over both columns begins at the left edge, or stands across the gutter
    own = other = None
    above = [s.bottom for s in group.strips if s.covered[-1][1] > high]
    cut = _is_cut(group, low, em)
    for below in strips[index + 1 : index + (40 if cut else 6)]:
        has_left, has_right = below.covered[0][0] < low, below.covered[-1][1] > high
        own = below.top if own is None and has_left else own
        if other is None and has_right:
            beside = next(item for item in below.items if item.x1 > high)
            captioned = isinstance(beside, Piece) and CAPTION.match(beside.text)
            if captioned and above and strip.top - above[-1] > 4.0 * em:
                return False  # the blank beside the heading is a picture
            other = below.top
    if other is None or (own is not None and other > own + 0.5 * em and not cut):
        return False
    return bool(above) and other - above[-1] > 3.0 * em and strip.top - group.strips[-1].bottom > 0.9 * em


def _is_cut(group: Group, low: float, em: float) -> bool:
    """Whether the first column of a group stops in mid-sentence: it goes on at the head of the second."""
    last = next((strip for strip in reversed(group.strips) if strip.covered[0][0] < low), None)
    pieces = [item for item in last.items if isinstance(item, Piece) and item.x0 < low] if last else []
    if not pieces:
        return False
    end = max(pieces, key=lambda piece: piece.x1)
    return abs(end.em / em - 1) < 0.12 and len(end.text) > 15 and (end.text[-1].isalpha() or end.text[-1] in "-,")


def order(items: Sequence[Item], em: float, depth: int = 0) -> list[Block]:
    """The blocks of a region in reading order. ``em`` is the page's body size."""
    return [block for region in _regions(items, em, depth) for block in region]


def _regions(items: Sequence[Item], em: float, depth: int) -> list[list[Block]]:
    """The same, one list for each region of one width: a flow never goes on from one into the next."""
    if not items:
        return []
    regions: list[list[Block]] = [[]]
    strips = strips_of(items)
    if depth:
        bridge_stretched(strips, em)
    groups = _with_loose_ends(groups_of(strips, em), em)
    for group, kind in _kinds(groups, em, depth):
        if kind == "columns":
            for column in split(group.items, _gutters(group, em)):
                regions.extend(_regions(column, em, depth + 1))
            regions.append([])
        elif kind == "table":
            pieces = [item for item in group.items if isinstance(item, Piece)]
            regions[-1] = _joined(regions[-1])
            pieces = _headed(regions[-1], _without_foot(regions[-1], pieces), em)
            regions[-1].extend(build_table(pieces, em))
        else:
            regions[-1].extend(_flows(group))
    return [_joined(region) for region in regions]


def _gutters(group: Group, em: float) -> list[Interval]:
    return _without_markers(group, gutters(group.covered, MIN_GUTTER * em))


def _kinds(groups: Sequence[Group], em: float, depth: int) -> list[tuple[Group, str]]:
    """What each group is; tables that only a crossing cell or a long row keeps apart are one."""
    found: list[tuple[Group, str]] = []
    for group in groups:
        free = _gutters(group, em)
        kind = classify(group, free, em) if free and depth < DEEPEST else "rows"
        last = found[-1][0] if found and found[-1][1] == "table" else None
        if last and ((kind == "table" and _same_table(last, group, em)) or _is_more_of(last, group, em)):
            found.pop()
            group, kind = Group([*last.strips, *group.strips], merge([*last.covered, *group.covered])), "table"
        found.append((group, kind))
    return found


def _same_table(above: Group, below: Group, em: float) -> bool:
    tops = [strip.top for strip in [*above.strips, *below.strips]]
    pitch = (tops[-1] - tops[0]) / max(len(tops) - 1, 1)
    left = abs(above.covered[0][0] - below.covered[0][0]) < em
    both = gutters(merge([*above.covered, *below.covered]), 0.25 * em)
    fewest = min(len(gutters(group.covered, 0.25 * em)) for group in (above, below))
    return left and below.strips[0].top - above.strips[-1].top < 1.6 * pitch and len(both) >= 0.6 * fewest


def _is_more_of(table: Group, below: Group, em: float) -> bool:
    """Whether a group below a table is more of its rows, in which an empty cell or a wrapped one hides the gutters."""
    if any(not isinstance(item, Piece) for item in [*table.items, *below.items]):
        return False
    tops = [strip.top for strip in table.strips]
    pitch = (tops[-1] - tops[0]) / max(len(tops) - 1, 1)
    above, first = table.strips[-1], below.strips[0]
    if first.top - above.top > 1.6 * pitch or len(table.strips) < 3:
        return False
    return fits_table(
        [i for i in table.items if isinstance(i, Piece)], [i for i in below.items if isinstance(i, Piece)], em
    )


def _with_loose_ends(groups: list[Group], em: float) -> list[Group]:
    """A column may begin above its neighbour (below a picture): strips above a group of columns that stand on one side
    of its gutter belong to it, from the topmost one on the right side on."""
    for index in range(len(groups) - 1, 0, -1):
        below = groups[index]
        free = gutters(below.covered, MIN_GUTTER * em)
        if not free or classify(below, free, em) == "table":
            continue  # what stands above some columns of a table is a heading of theirs
        loose: list[Strip] = []
        last_right = 0
        plain = takewhile(
            lambda g: len(g.strips) < 3 or not gutters(g.covered, MIN_GUTTER * em), groups[index - 1 :: -1]
        )
        for strip in (s for group in plain for s in reversed(group.strips)):
            right = strip.covered[0][0] >= free[0][1] - 0.1 * em
            if not right and strip.covered[-1][1] > free[0][0] + 0.1 * em:
                while len(loose) > 1 and loose[-1].top - strip.top < 0.85 * (loose[-2].top - loose[-1].top):
                    loose.pop()  # the last line of what stands over all columns
                break
            loose.append(strip)
            last_right = len(loose) if right else last_right
        column = max((s.covered[0][1] for s in below.strips if s.covered[0][0] < free[0][0]), default=0.0)
        column = min(column, free[0][0])
        last_right = min(last_right, len(loose))
        if len(loose) - last_right >= 2 and any(column - s.covered[0][1] < 1.5 * em for s in loose[last_right:]):
            last_right = len(loose)  # lines of the left column beside a picture
        last_right = _loose_lines(loose, last_right, below, free, em)
        for strip in loose[:last_right]:
            next(group for group in groups[:index] if strip in group.strips).strips.remove(strip)
            below.strips.insert(0, strip)
            below.covered = merge([*below.covered, *strip.covered])
    return [group for group in groups if group.strips]


def _loose_lines(loose: Sequence[Strip], count: int, below: Group, free: Sequence[Interval], em: float) -> int:
    """How many of the strips above a group of columns, nearest first, belong to it, given a first guess: none when the
    columns begin level below a heading; else also those at line distance above the first line of their own column."""
    columns = split(below.items, free)
    pieces = [item for strip in loose[:count] for item in strip.items if isinstance(item, Piece)]
    tops = [min(core(item)[0] for item in column) for column in columns]
    if pieces and all(piece.em > 1.12 * em for piece in pieces):
        under = {sum(piece.cx > (low + high) / 2 for low, high in free) for piece in pieces}
        level = sum(at - min(tops) < 0.6 * em for at in tops)
        if level > 1 and all(tops[own] - min(tops) < 0.6 * em for own in under):
            return 0
    top = {i: next(item for item in column if core(item)[0] == tops[i]) for i, column in enumerate(columns)}
    for number, strip in enumerate(loose):
        item = strip.items[0]
        own = sum((item.x0 + item.x1) / 2 > (low + high) / 2 for low, high in free)
        first = top.get(own)
        if len(strip.items) > 1 or not isinstance(item, Piece) or not isinstance(first, Piece):
            break
        if number >= count and (first.cy - item.cy > 1.6 * item.em or abs(first.em / item.em - 1) > 0.12):
            break
        top[own] = item
        count = max(count, number + 1)
    return count


def _without_markers(group: Group, free: list[Interval]) -> list[Interval]:
    """Gutters but for those between bullets or numbers of a list and its items."""
    if not free:
        return free
    kept = []
    low = float("-inf")
    for gutter in free:
        column = [item for item in group.items if low <= (item.x0 + item.x1) / 2 < gutter[0]]
        if not all(isinstance(item, Piece) and MARKER_ALONE.match(item.text) for item in column):
            kept.append(gutter)
            low = gutter[1]
    return kept


def _headed(blocks: list[Block], pieces: list[Piece], em: float) -> list[Piece]:
    """The pieces of a table with its heading rows, taken from the end of the flow above it: words of a heading often
    stand so close that they look like running text."""
    last = blocks[-1] if blocks else None
    if not isinstance(last, Flow):
        return pieces
    taken = heading_rows(last.rows, pieces, em)
    if not taken:
        return pieces
    if taken == len(last.rows):
        blocks.pop()
    else:
        blocks[-1] = Flow(last.rows[:-taken], last.left, last.right)
    return [*(piece for row in last.rows[-taken:] for piece in row.pieces), *pieces]


def _without_foot(blocks: list[Block], pieces: list[Piece]) -> list[Piece]:
    """The pieces of a table without the last lines of the paragraph above, which leave its gutters free when they are
    short: they stand closer to the line above them than to the row below."""
    last = blocks[-1] if blocks else None
    rows = rows_of(pieces)
    while isinstance(last, Flow) and len(rows) > 2 and len(rows[0].pieces) == 1:
        if rows[0].cy - last.rows[-1].cy > 0.8 * (rows[1].cy - rows[0].cy) or rows[0].x0 > last.left + rows[0].em:
            break
        last.rows.append(rows.pop(0))
    return [piece for row in rows for piece in row.pieces]


def _flows(group: Group) -> list[Block]:
    blocks: list[Block] = []
    pieces: list[Piece] = []
    for item in [*group.items, None]:
        if isinstance(item, Piece):
            pieces.append(item)
            continue
        if pieces:
            rows = rows_of(pieces)
            blocks.append(Flow(rows, min(row.x0 for row in rows), max(row.x1 for row in rows)))
            pieces = []
        if item is not None:
            blocks.append(item)
    return blocks


def _joined(blocks: Sequence[Block]) -> list[Block]:
    """Flows of one region that follow one another are one flow."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if isinstance(block, Flow) and isinstance(last, Flow):
            rows = [*last.rows, *block.rows]
            joined[-1] = Flow(rows, min(last.left, block.left), max(last.right, block.right))
        else:
            joined.append(block)
    return joined
