"""A clean page as a poor scan shows it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def scan_like(image: Pixels, rng: np.random.Generator, *, jpeg: tuple[int, int] = (45, 75)) -> Pixels:
    """The page as a poor scan: skewed up to 0.8 degrees, blurred, on grey paper, noisy, JPEG at low quality."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-0.8, 0.8)), 1.0)
    page = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    page = cv2.GaussianBlur(page, (0, 0), float(rng.uniform(0.5, 1.0)))
    ink, paper = float(rng.uniform(10, 70)), float(rng.uniform(215, 250))
    grey = ink + (paper - ink) / 255 * page.astype(np.float32)
    grey += rng.normal(0, rng.uniform(3, 9), (height, width, 1))
    _, encoded = cv2.imencode(
        ".jpg", np.clip(grey, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*jpeg))]
    )
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
