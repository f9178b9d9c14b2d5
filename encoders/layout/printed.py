"""Which lines of a block stand on one printed row, and whether its rows are running text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.layout.frame import frame_of
from encoders.results import Line

_FULL = 0.8  # of the block's width: a shorter row ends on purpose
_LONG = 40  # bytes of text, of wide letters a third as many: shorter rows are no running text


class PrintedRows:
    """Rows of the lines of one page, in the frame in which its text is upright: a scan may be turned or bent, a page
    may run from right to left."""

    def __init__(self, lines: Sequence[Line]) -> None:
        frame = frame_of(lines)
        quads = np.array([line.quad for line in lines], np.float64).reshape(-1, 4, 2)
        boxes = frame.upright(quads)
        rise = (quads[:, 2] + quads[:, 3] - quads[:, 0] - quads[:, 1]) / 2
        high = np.minimum(np.hypot(rise[:, 0], rise[:, 1]), boxes[:, 3] - boxes[:, 1])
        self._lines = lines
        self._left: list[float] = boxes[:, 0].tolist()
        self._right: list[float] = boxes[:, 2].tolist()
        self._middle: list[float] = (quads.mean(axis=1) @ frame.matrix.T)[:, 1].tolist()
        self._high: list[float] = high.tolist()

    def of(self, numbers: Sequence[int]) -> list[list[int]]:
        """Some lines of the page by row: from the top, and within a row in the direction of reading."""
        if len(numbers) < 2:
            return [list(numbers)]
        rows: list[list[int]] = []
        for number in sorted(numbers, key=self._middle.__getitem__):
            row = next((row for row in reversed(rows[-3:]) if self._beside(row, number)), None)
            if row is None:
                rows.append([number])
            else:
                row.append(number)
        return [sorted(row, key=self._left.__getitem__) for row in rows]

    def _beside(self, row: Sequence[int], number: int) -> bool:
        """Whether a line stands on a row: level with the nearest one there, and over none of them."""
        left, right = self._left[number], self._right[number]
        gap, nearest = min((max(self._left[n] - right, left - self._right[n]), n) for n in row)
        high = min(self._high[number], self._high[nearest])
        return gap > -0.5 * high and abs(self._middle[number] - self._middle[nearest]) < 0.5 * high

    def in_columns(self, rows: Sequence[Sequence[int]]) -> list[list[list[int]]]:
        """Rows as cells: where gaps run down through all rows of several lines, a cell for each column up to the last
        that has a line, so that what belongs to a label above stands as far from the row's beginning."""
        bands: list[list[float]] = []
        for left, right in sorted((self._left[n], self._right[n]) for row in rows if len(row) > 1 for n in row):
            if bands and left < bands[-1][1]:
                bands[-1][1] = max(right, bands[-1][1])
            else:
                bands.append([left, right])
        placed = []
        for row in rows:
            columns = [next((k for k, (_, end) in enumerate(bands) if self._left[n] < end), 0) for n in row]
            if len(set(columns)) < len(row):  # no gap runs through
                return [[[n] for n in row] for row in rows]
            cells: list[list[int]] = [[] for _ in range(max(columns) + 1)]
            for n, column in zip(row, columns, strict=True):
                cells[column].append(n)
            placed.append(cells)
        return placed

    def running(self, rows: Sequence[Sequence[int]]) -> bool:
        """Whether rows are a text that was broken where the line was full, which reads best in one piece."""
        if len(rows) < 2 or any(len(row) > 1 for row in rows):
            return False
        numbers = [row[0] for row in rows]
        wide = max(self._right[n] for n in numbers) - min(self._left[n] for n in numbers)
        return all(
            self._right[n] - self._left[n] >= _FULL * wide and len(self._lines[n].text.encode()) >= _LONG
            for n in numbers[:-1]
        )
