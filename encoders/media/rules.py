"""Ruling lines that a page draws as vectors: the edges of tables, boxes and separators."""

from __future__ import annotations

from typing import Any

import pymupdf

from encoders.media.opened import Segment

MAX_PATHS = 20_000
"""Pages with more paths are maps and plots; listing their drawings takes seconds and finds no tables."""
MAX_THICKNESS = 4.0  # points; a thicker bar is a filled area
MIN_LENGTH = 6.0  # points


def ruling_segments(page: Any, matrix: Any, paths: int) -> tuple[Segment, ...]:
    """Horizontal and vertical line segments of the page in pixels, each with its ends in reading order."""
    if not 0 < paths <= MAX_PATHS:
        return ()
    found = set()
    for drawing in page.get_cdrawings():
        stroked = drawing["type"] != "f" and drawing.get("stroke_opacity", 1) != 0
        for item in drawing["items"]:
            for x0, y0, x1, y1 in _edges(item, stroked):
                start, end = pymupdf.Point(x0, y0) * matrix, pymupdf.Point(x1, y1) * matrix
                ends = sorted([(round(start.x, 2), round(start.y, 2)), (round(end.x, 2), round(end.y, 2))])
                found.add((*ends[0], *ends[1]))
    return tuple(sorted(found))


def _edges(item: Any, stroked: bool) -> list[Segment]:
    """The straight axis-parallel edges of one drawing item, in points."""
    kind = item[0]
    if kind == "l":
        (x0, y0), (x1, y1) = item[1], item[2]
        straight = abs(x0 - x1) < 0.5 or abs(y0 - y1) < 0.5
        long = abs(x0 - x1) + abs(y0 - y1) >= MIN_LENGTH
        return [(x0, y0, x1, y1)] if stroked and straight and long else []
    if kind == "re":
        x0, y0, x1, y1 = item[1]
        return _rectangle(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), stroked)
    if kind == "qu" and stroked:
        corners = [item[1][0], item[1][1], item[1][3], item[1][2]]
        pairs = zip(corners, corners[1:] + corners[:1])
        return [edge for a, b in pairs for edge in _edges(("l", a, b), True)]
    return []


def _rectangle(x0: float, y0: float, x1: float, y1: float, stroked: bool) -> list[Segment]:
    """A thin rectangle is one line; an outlined one has four, a filled area none of its own."""
    width, height = x1 - x0, y1 - y0
    if height <= MAX_THICKNESS and width >= MIN_LENGTH:
        return [(x0, (y0 + y1) / 2, x1, (y0 + y1) / 2)]
    if width <= MAX_THICKNESS and height >= MIN_LENGTH:
        return [((x0 + x1) / 2, y0, (x0 + x1) / 2, y1)]
    if not stroked or width < MIN_LENGTH or height < MIN_LENGTH:
        return []
    return [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]
