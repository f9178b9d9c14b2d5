"""Generated pages as scans: rendered, turned by up to a degree or two, noisy, compressed; and simulated OCR lines."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray

from benchmarks.generated_pages import LineTruth, PageTruth
from encoders.results import Line, Quad, Word


@dataclass
class Scan:
    """An image [height, width, 3] RGB, its encoded bytes, and the way from page points to its pixels."""

    image: NDArray[np.uint8]
    encoded: bytes
    matrix: NDArray[np.float64]  # [2, 3]

    def quad(self, box: tuple[float, float, float, float]) -> Quad:
        """A box in points as a quad in pixels."""
        x0, y0, x1, y1 = box
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]]) @ self.matrix.T
        a, b, c, d, e, f, g, h = (float(v) for v in corners.reshape(-1))
        return (a, b, c, d, e, f, g, h)


def scan(
    pdf: bytes,
    page: int,
    seed: int,
    *,
    dpi: int = 144,
    skew: float | None = None,
    noise: float = 6.0,
    suffix: str = ".png",
) -> Scan:
    """Render a page (from 0) and treat it as a scanner would. ``skew`` in degrees, random within 1 when None;
    ``suffix`` .png or .jpg is how it is encoded (JPEG artefacts are in either: it is compressed once before)."""
    rng = np.random.default_rng(seed)
    angle = random.Random(seed).uniform(-1.0, 1.0) if skew is None else skew
    with pymupdf.open(stream=pdf) as document:
        pixmap = document[page].get_pixmap(dpi=dpi)
        image = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, pixmap.n)[:, :, :3].copy()
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    paper = 255 - int(rng.integers(0, 14))
    image = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    image = cv2.GaussianBlur(image, (3, 3), 0.6).astype(np.float32) * (paper / 255)
    image += rng.normal(0, noise, image.shape[:2]).astype(np.float32)[:, :, None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    encoded = (
        jpeg.tobytes()
        if suffix == ".jpg"
        else cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    )
    scale = np.array([[dpi / 72, 0.0, 0.0], [0.0, dpi / 72, 0.0], [0.0, 0.0, 1.0]])
    return Scan(image, encoded, turn @ scale)


def simulated_ocr(truth: PageTruth, scanned: Scan, seed: int) -> list[Line]:
    """Lines as a detector and recogniser would return them, with the true text: quads tilted like the scan and off by
    a pixel or two, height by the letters present, words at proportional places, neighbours sometimes merged."""
    rng = random.Random(seed)
    lines = [_seen(line, scanned, rng) for line in _rows(truth.lines, rng)]
    rng.shuffle(lines)
    return lines


def _rows(lines: list[LineTruth], rng: random.Random) -> list[list[LineTruth]]:
    """One group for each line; lines side by side with less than 1.2 em between them are merged now and then."""
    groups: list[list[LineTruth]] = []
    for line in sorted(lines, key=lambda line: (round(line.box[3] / 3), line.box[0])):
        last = groups[-1][-1] if groups else None
        if last is not None and abs(last.box[3] - line.box[3]) < 1:
            tall = line.box[3] - line.box[1]
            if 0 < line.box[0] - last.box[2] < 1.2 * tall and rng.random() < 0.3:
                groups[-1].append(line)
                continue
        groups.append([line])
    return groups


def _seen(group: list[LineTruth], scanned: Scan, rng: random.Random) -> Line:
    words = []
    for part in group:
        x0, y0, x1, y1 = _ink(part)
        unit = (x1 - x0) / max(len(part.text), 1)
        at = 0
        for text in part.text.split(" "):
            box = (x0 + at * unit + rng.uniform(-0.3, 0.3) * unit, y0, x0 + (at + len(text)) * unit, y1)
            if text:
                words.append(Word(text, scanned.quad(box), 0.95))
            at += len(text) + 1
    boxes = [_ink(part) for part in group]
    hull = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    corners = scanned.quad(hull)
    jitter = [value + rng.uniform(-1.2, 1.2) for value in corners]
    tilt = math.radians(rng.uniform(-0.15, 0.15))
    wide = corners[2] - corners[0]
    jitter[3] += wide * tilt / 2
    jitter[5] += wide * tilt / 2
    a, b, c, d, e, f, g, h = jitter
    return Line(" ".join(part.text for part in group), (a, b, c, d, e, f, g, h), rng.uniform(0.85, 0.99), tuple(words))


def _ink(line: LineTruth) -> tuple[float, float, float, float]:
    """The box that a detector draws: around the letters that are there, and a little more."""
    x0, y0, x1, y1 = line.box
    size = (y1 - y0) / 0.97
    base = y1 - 0.22 * size
    tall = any(c.isupper() or c.isdigit() or c in "bdfhklt" or ord(c) > 0x2E80 for c in line.text)
    deep = any(c in "gjpqy,;()" or ord(c) > 0x2E80 for c in line.text)
    top, bottom = base - (0.73 if tall else 0.5) * size, base + (0.21 if deep else 0.02) * size
    more = 0.12 * size
    return x0 - more, top - more, x1 + more, bottom + more
