"""Rotated boxes on pages: corner order, turning with the page, and points along a line."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.results import Quad

Corners = NDArray[np.float32]
"""[4, 2] x, y of top left, top right, bottom right, bottom left."""

TALL = 1.5
"""Height over width from which a box holds a line that runs up or down the page (PP-OCR's own rule)."""


def upright_corners(rectangle: tuple[tuple[float, float], tuple[float, float], float]) -> Corners:
    """Corners of a `cv2.minAreaRect`, the first edge within 45 degrees of pointing right."""
    points = cv2.boxPoints(rectangle)
    edges = np.roll(points, -1, axis=0) - points
    first = int(np.argmax(edges[:, 0] - np.abs(edges[:, 1])))  # boxPoints runs clockwise on a y-down page
    return np.asarray(np.roll(points, -first, axis=0), np.float32)


def size_of(corners: Corners) -> tuple[float, float]:
    """Width (longer of top and bottom edge) and height (longer of left and right edge)."""
    edges = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(max(edges[0], edges[2])), float(max(edges[1], edges[3]))


def read_upwards(corners: Corners) -> Corners:
    """The same box with its text read from the bottom of the page to the top."""
    return np.roll(corners, 1, axis=0)


def read_downwards(corners: Corners) -> Corners:
    """The same box with its text read from the top of the page to the bottom."""
    return np.roll(corners, -1, axis=0)


def as_quad(corners: Corners) -> Quad:
    """Corners as the flat tuple that results carry, to a hundredth of a pixel."""
    values = [round(float(v), 2) for v in corners.reshape(-1)]
    return (values[0], values[1], values[2], values[3], values[4], values[5], values[6], values[7])


def as_quads(corners: NDArray[np.float32]) -> list[Quad]:
    """`as_quad` of many, [n, 4, 2]."""
    return [tuple(row) for row in np.round(corners.reshape(-1, 8).astype(np.float64), 2).tolist()]  # type: ignore[misc]


def parts_along(corners: Corners, spans: NDArray[np.float64]) -> NDArray[np.float32]:
    """[n, 4, 2]: the parts of a line between fractions [n, 2] of its length, at its full height."""
    top_left, top_right, bottom_right, bottom_left = corners.astype(np.float64)
    upper = top_left + spans[..., None] * (top_right - top_left)
    lower = bottom_left + spans[..., None] * (bottom_right - bottom_left)
    return np.stack([upper[:, 0], upper[:, 1], lower[:, 1], lower[:, 0]], axis=1).astype(np.float32)


def part_of(corners: Corners, left: float, right: float, top: float = 0.0, bottom: float = 1.0) -> Corners:
    """The part of a line between fractions (0..1) of its length and of its height."""
    top_left, top_right, bottom_right, bottom_left = corners.astype(np.float64)

    def point(x: float, y: float) -> NDArray[np.float64]:
        upper, lower = top_left + x * (top_right - top_left), bottom_left + x * (bottom_right - bottom_left)
        return np.asarray(upper + y * (lower - upper))

    return np.stack([point(left, top), point(right, top), point(right, bottom), point(left, bottom)]).astype(np.float32)


def turn_image(image: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """The image turned clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90)) if degrees else image
