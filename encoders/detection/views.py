"""An image as views that a network can take: whole and letterboxed, and in tiles where elements would be too small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.detection.candidates import Image

WHOLE = 1792  # pixels; images up to this longer side are seen as they are
SHRUNK = 1280  # longer side of the overview of a larger image
LARGEST = 4096  # longer side that is tiled; larger images are scaled down to it
TILE, SHARED = 1280, 192  # side of a tile, and how much of it the next one sees too
SMALLEST = 32  # shorter images than this are scaled up
GREY = 114


@dataclass(frozen=True, slots=True)
class View:
    """Pixels [h, w, 3] with sides that are multiples, and how to go back: x = left + view_x / scale."""

    pixels: NDArray[np.uint8]
    scale: float
    left: float
    top: float
    width: int  # of ``pixels``, what is image and not margin
    height: int
    tile: bool = False

    def back(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes of the view in pixels of the image."""
        out: NDArray[np.float32] = boxes / self.scale + np.array([self.left, self.top] * 2, np.float32)
        return out


def views(image: Image, multiple: int) -> Iterator[View]:
    """The overview first, then tiles if the image is larger than the network should see at once."""
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= WHOLE:
        scale = min(SMALLEST / min(height, width), WHOLE / longer) if min(height, width) < SMALLEST else 1.0
        yield _view(image, max(scale, 1.0), 0, 0, multiple)
        return
    yield _view(image, SHRUNK / longer, 0, 0, multiple)
    scale = min(1.0, LARGEST / longer)
    step, side = (TILE - SHARED) / scale, TILE / scale
    for top in _starts(height, side, step):
        for left in _starts(width, side, step):
            piece = image[top : top + round(side), left : left + round(side)]
            yield _view(piece, scale, left, top, multiple, tile=True)


def _starts(length: int, side: float, step: float) -> list[int]:
    """Where tiles begin, so that they cover the length and the last one ends with it."""
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / step)) + 1
    return [round(at) for at in np.linspace(0, length - side, count)]


def _view(image: Image, scale: float, left: float, top: float, multiple: int, tile: bool = False) -> View:
    height, width = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    if scale != 1.0:
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
    padded = np.full((-(-height // multiple) * multiple, -(-width // multiple) * multiple, 3), GREY, np.uint8)
    padded[:height, :width] = image
    return View(padded, scale, left, top, width, height, tile)
