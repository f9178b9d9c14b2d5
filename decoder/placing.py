"""Where detected things are: the order in which a prompt names them, and the part of the picture each is in."""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]  # left, top, right, bottom

ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")


def in_reading_order(boxes: Sequence[Box]) -> list[int]:
    """Numbers of boxes by row from the top, within a row from the left. A box is on a row when its middle is below that
    of the row's first by less than half the height of the less high of the two."""
    middles, rows = [(top + bottom) / 2 for _, top, _, bottom in boxes], list[list[int]]()
    for number in sorted(range(len(boxes)), key=lambda n: (middles[n], boxes[n][0])):
        first = rows[-1][0] if rows else None
        high = min(boxes[n][3] - boxes[n][1] for n in (number, number if first is None else first))
        if first is not None and middles[number] - middles[first] < high / 2:
            rows[-1].append(number)
        else:
            rows.append([number])
    return [number for row in rows for number in sorted(row, key=lambda n: boxes[n][0])]


def part_of(box: Box, width: int, height: int) -> tuple[str, str]:
    """The third of a picture's height, then of its width, that the middle of a box is in: top, middle or bottom; left,
    center or right."""
    left, top, right, bottom = box
    down, across = (top + bottom) / 2 / max(1, height), (left + right) / 2 / max(1, width)
    return ROWS[min(2, max(0, int(3 * down)))], COLUMNS[min(2, max(0, int(3 * across)))]
