"""Boxes of words in a text layer: as high as their type size, turned as their line is."""

from __future__ import annotations

import math
from typing import Any

from encoders.results import Quad

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def word_corners(box: Box, line: Any) -> list[Point]:
    """The corners of a word in points, from the top left as it is read.

    ``box`` is MuPDF's, which reaches from the font's highest accent to its deepest descender, up to 1.4 times the
    type size, and is axis-parallel for slanted lines too. The corners span the type size around the baseline.
    """
    x0, y0, x1, y1 = box
    if line["wmode"]:  # vertical writing has no baseline; MuPDF's boxes are those of the characters
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    c, s = line["dir"]
    span = _span(line["spans"], box)
    up, down = _heights(span)
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    along = (x1 - x0) * abs(c) + (y1 - y0) * abs(s)
    if min(abs(c), abs(s)) > 0.01:  # slanted: the box is that of a turned rectangle whose height we know
        raw = span["size"] * (span["ascender"] - span["descender"])
        along = ((x1 - x0) - raw * abs(s)) / abs(c) if abs(c) > abs(s) else ((y1 - y0) - raw * abs(c)) / abs(s)
    # From the word's middle to its baseline, measured down the page as the line is read: (-s, c) points down.
    drop = (span["origin"][0] - centre_x) * -s + (span["origin"][1] - centre_y) * c
    half = max(along, 0.1) / 2
    return [
        (centre_x + a * c - d * s, centre_y + a * s + d * c)
        for a, d in ((-half, drop - up), (half, drop - up), (half, drop + down), (-half, drop + down))
    ]


def on_page(corners: list[Point], matrix: Any) -> Quad:
    """Points to pixels."""
    a, b, c, d, e, f = matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = [(a * x + c * y + e, b * x + d * y + f) for x, y in corners]
    return ax, ay, bx, by, cx, cy, dx, dy


def around(quads: list[Quad]) -> Quad:
    """The smallest box around the quads of a line, turned as its first word is."""
    ax, ay, bx, by = quads[0][:4]
    length = math.hypot(bx - ax, by - ay) or 1.0
    c, s = (bx - ax) / length, (by - ay) / length
    along = [x * c + y * s for quad in quads for x, y in zip(quad[0::2], quad[1::2])]
    across = [y * c - x * s for quad in quads for x, y in zip(quad[0::2], quad[1::2])]
    left, right, top, bottom = min(along), max(along), min(across), max(across)
    corners = [(a * c - d * s, a * s + d * c) for a, d in ((left, top), (right, top), (right, bottom), (left, bottom))]
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    return ax, ay, bx, by, cx, cy, dx, dy


def _span(spans: list[Any], box: Box) -> Any:
    """The span that a word belongs to; of several the largest, which is not the index."""
    if len(spans) == 1:
        return spans[0]
    x0, y0, x1, y1 = box
    touching = [
        span
        for span in spans
        if min(x1, span["bbox"][2]) - max(x0, span["bbox"][0]) > 0.1
        and min(y1, span["bbox"][3]) - max(y0, span["bbox"][1]) > 0.1
    ]
    return max(touching or spans, key=lambda span: float(span["size"]))


def _heights(span: Any) -> tuple[float, float]:
    """Ascent and descent of a span, scaled to add up to its type size."""
    ascender, descender = span["ascender"], -span["descender"]
    if ascender < 0.2 or descender < 0 or descender > ascender:  # fonts without metrics, such as scanners' own
        ascender, descender = 0.8, 0.2
    whole = ascender + descender
    return span["size"] * ascender / whole, span["size"] * descender / whole
