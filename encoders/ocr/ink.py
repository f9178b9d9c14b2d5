"""How the ink of several pages lies in one array of bytes, which a card sends back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.layout.runs import Ink


class Place(NamedTuple):
    """Where what is found of a page lies among that of all: its bits, flags of rows, then bits of columns, a line for
    every eight rows, one for the first rows and one for the last."""

    start: int
    height: int
    width: int

    @property
    def row(self) -> int:
        """Bytes of a row of bits."""
        return -(-self.width // 8)

    @property
    def lines(self) -> int:
        """Lines of bits of columns."""
        return self.height // 8 + 2

    @property
    def bytes(self) -> int:
        """Of all."""
        return self.height * self.row + self.height + self.lines * self.row

    def ink(self, found: NDArray[np.uint8]) -> Ink:
        """This page's."""
        mine = found[self.start : self.start + self.bytes]
        bits, rows, columns = np.split(mine, np.cumsum([self.height * self.row, self.height]))
        columns = np.bitwise_or.reduce(columns.reshape(-1, self.row), axis=0)
        return Ink(bits.reshape(self.height, self.row), rows, columns, self.width)


def places(sizes: Sequence[tuple[int, int]]) -> list[Place]:
    """For pages of these heights and widths."""
    made, start = [], 0
    for height, width in sizes:
        made.append(Place(start, height, width))
        start += made[-1].bytes
    return made
