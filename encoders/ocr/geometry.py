"""Rotated boxes on pages: corner order, turning with the page, and points along a line."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.results import Quad

Corners = NDArray[np.float32]
"""[4, 2] x, y of top left, top right, bottom right, bottom left."""

TALL = 1.5
"""Height over width from which a box holds a line that runs up or down the page (PP-OCR's own rule)."""


Rectangle = tuple[tuple[float, float], tuple[float, float], float]
"""Centre, sides and angle, of `cv2.minAreaRect`."""

_NEXT = np.array([1, 2, 3, 0])


def upright_corners(rectangles: Sequence[Rectangle]) -> NDArray[np.float32]:
    """[n, 4, 2]: corners of rectangles, the first edge of each within 45 degrees of pointing right."""
    points = np.array([cv2.boxPoints(rectangle) for rectangle in rectangles], np.float32).reshape(-1, 4, 2)
    edges = points[:, _NEXT] - points
    first = np.argmax(edges[..., 0] - np.abs(edges[..., 1]), axis=1)  # boxPoints runs clockwise on a y-down page
    order = (first[:, None] + np.arange(4)) % 4
    return np.asarray(np.take_along_axis(points, order[..., None], axis=1))


def sizes_of(lines: Sequence[Corners] | NDArray[np.float32]) -> list[tuple[float, float]]:
    """Of each, [n, 4, 2], width (longer of top and bottom edge) and height (longer of left and right edge)."""
    return [(width, height) for width, height in extents_of(lines).tolist()]


def extents_of(lines: Sequence[Corners] | NDArray[np.float32]) -> NDArray[np.float64]:
    """`sizes_of` as an array [n, 2]."""
    points = np.asarray(lines).reshape(-1, 4, 2)
    edges = points[:, _NEXT] - points
    edges *= edges
    lengths = np.sqrt(edges[..., 0] + edges[..., 1])  # top, right, bottom, left
    return np.maximum(lengths[:, :2], lengths[:, 2:]).astype(np.float64)


def read_upwards(corners: Corners) -> Corners:
    """The same boxes [..., 4, 2] with their text read from the bottom of the page to the top."""
    return np.roll(corners, 1, axis=-2)


def read_downwards(corners: Corners) -> Corners:
    """The same boxes [..., 4, 2] with their text read from the top of the page to the bottom."""
    return np.roll(corners, -1, axis=-2)


def as_quads(lines: Sequence[Corners] | NDArray[np.float32]) -> list[Quad]:
    """Corners [n, 4, 2] as the flat tuples that results carry, to a hundredth of a pixel."""
    rounded = np.rint(np.asarray(lines, np.float64).reshape(-1, 8) * 100) / 100
    return list(map(tuple, rounded.tolist()))  # type: ignore[arg-type]


def parts_along(lines: NDArray[np.float32], spans: NDArray[np.float64]) -> NDArray[np.float32]:
    """[n, 4, 2]: of each of n lines the part between fractions [n, 2] of its length, at its full height."""
    top_left, top_right, bottom_right, bottom_left = lines.astype(np.float64).transpose(1, 0, 2)[:, :, None]
    parts = np.empty((len(spans), 4, 2), np.float32)
    parts[:, :2] = top_left + spans[..., None] * (top_right - top_left)
    parts[:, :1:-1] = bottom_left + spans[..., None] * (bottom_right - bottom_left)
    return parts


def parts_of(lines: NDArray[np.float32], spans: NDArray[np.float64], top: float, bottom: float) -> NDArray[np.float32]:
    """[n, 4, 2]: the same between the fractions ``top`` and ``bottom`` of the lines' heights."""
    a, b, c, d = lines.astype(np.float64).transpose(1, 0, 2)[:, :, None]
    upper, lower = a + spans[..., None] * (b - a), d + spans[..., None] * (c - d)  # [n, 2, 2], left and right
    rise = lower - upper
    parts = np.empty((len(spans), 4, 2), np.float32)
    parts[:, :2], parts[:, :1:-1] = upper + top * rise, upper + bottom * rise
    return parts


def turn_image(image: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """The image turned clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90)) if degrees else image
