"""From a page to the corners of its text lines: scaling for the DB network, and reading its probability map.

The map marks the core of each line (shrunk while training), so every region is grown back by
area x unclip / perimeter. Growing a rectangle's outline by d with round joints and taking the smallest
rectangle around it adds exactly d on each side: no polygon clipper is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.ocr.config import DetectionConfig
from encoders.ocr.geometry import Corners, Rectangle, upright_corners

_STRIDE = 32  # the network's input sides are multiples of it
_MIN_CORE = 3.0  # shorter side in map pixels; smaller regions are specks
_DILATE = np.ones((2, 2), np.uint8)
_MAX_REGIONS = 3000


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line as detected: corners in page pixels, and the mean probability of its pixels."""

    corners: Corners
    score: float


def network_size(height: int, width: int, config: DetectionConfig) -> tuple[int, int]:
    """Height and width that a page is scaled to: within the side limits, multiples of 32."""
    scale = min(1.0, config.max_side / max(height, width))
    if min(height, width) * scale < config.min_side:
        scale = min(config.min_side / min(height, width), config.max_side / max(height, width))
    rows, columns = (max(_STRIDE, round(side * scale / _STRIDE) * _STRIDE) for side in (height, width))
    return rows, columns


def network_input(image: NDArray[np.uint8], config: DetectionConfig) -> NDArray[np.float32]:
    """[h, w, 3] RGB to [1, 3, H, W] BGR in -1..1."""
    rows, columns = network_size(image.shape[0], image.shape[1], config)
    shrinks = rows * columns < image.shape[0] * image.shape[1]
    scaled = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return cv2.dnn.blobFromImage(scaled, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)  # type: ignore[no-any-return]


def find_lines(probability: NDArray[np.float32], height: int, width: int, config: DetectionConfig) -> list[FoundLine]:
    """Lines of a [H, W] probability map, in pixels of the ``height`` x ``width`` page; unordered."""
    mask = cv2.dilate(cv2.compare(probability, config.pixel_threshold, cv2.CMP_GT), _DILATE)
    regions, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cores = [core for core in map(cv2.minAreaRect, regions[:_MAX_REGIONS]) if min(core[1]) >= _MIN_CORE]
    scored = [
        (core, score)
        for core, score in zip(cores, _means_inside(probability, cores), strict=True)
        if score >= config.line_threshold
    ]
    scale = np.array([width / probability.shape[1], height / probability.shape[0]], np.float32)
    corners = upright_corners([_grown(core, config.unclip) for core, _ in scored]) * scale
    corners = np.clip(corners, 0, np.array([width, height], np.float32)).astype(np.float32, copy=False)
    return [FoundLine(line, score) for line, (_, score) in zip(corners, scored, strict=True)]


def _grown(core: Rectangle, unclip: float) -> Rectangle:
    """The core of a line grown back to all of it."""
    centre, (long, short), angle = core
    grow = 2 * long * short * unclip / (2 * (long + short))
    return centre, (long + grow, short + grow), angle


def _means_inside(probability: NDArray[np.float32], cores: Sequence[Rectangle]) -> list[float]:
    """Mean of the map over each rotated rectangle."""
    rows, columns = probability.shape
    corners = np.array([cv2.boxPoints(core) for core in cores], np.float32).reshape(-1, 4, 2)
    first = np.floor(corners.min(axis=1)).astype(int).clip(0, (columns - 1, rows - 1))
    last = np.ceil(corners.max(axis=1)).astype(int).clip(0, (columns - 1, rows - 1))
    shapes = (corners - first[:, None]).astype(np.int32)
    means = []
    for (x0, y0), (x1, y1), shape in zip(first.tolist(), last.tolist(), shapes):
        inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
        cv2.fillPoly(inside, [shape], 1)
        means.append(float(cv2.mean(probability[y0 : y1 + 1, x0 : x1 + 1], inside)[0]))
    return means
