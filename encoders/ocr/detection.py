"""From a page to the corners of its text lines: scaling for the DB network, and reading its probability map.

The map marks the core of each line (shrunk while training), so every region is grown back by
area x unclip / perimeter. Growing a rectangle's outline by d with round joints and taking the smallest
rectangle around it adds exactly d on each side: no polygon clipper is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.ocr.config import DetectionConfig
from encoders.ocr.geometry import Corners, upright_corners

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
    mask = cv2.dilate((probability > config.pixel_threshold).astype(np.uint8), _DILATE)
    regions, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    scale = np.array([width / probability.shape[1], height / probability.shape[0]], np.float32)
    limit = np.array([width, height], np.float32)
    found = []
    for region in regions[:_MAX_REGIONS]:
        (centre, (long, short), angle) = cv2.minAreaRect(region)
        if min(long, short) < _MIN_CORE:
            continue
        score = _mean_inside(probability, cv2.boxPoints((centre, (long, short), angle)))
        if score < config.line_threshold:
            continue
        grow = 2 * long * short * config.unclip / (2 * (long + short))
        corners = upright_corners((centre, (long + grow, short + grow), angle))
        found.append(FoundLine(np.clip(corners * scale, 0, limit).astype(np.float32), score))
    return found


def _mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    """Mean of the map over a rotated rectangle."""
    rows, columns = probability.shape
    x0, y0 = np.floor(corners.min(axis=0)).astype(int).clip(0, (columns - 1, rows - 1))
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int).clip(0, (columns - 1, rows - 1))
    inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillPoly(inside, [(corners - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(probability[y0 : y1 + 1, x0 : x1 + 1], inside)[0])
