"""Generated pages whose text is known: dense prose, narrow columns and tables, clean or as a scanner leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray

_TEXT = (
    "archive batch between board camera careful century chapter claim column commission condition contract council "
    "county court current decision delivery department describe document effect engine evidence exchange export "
    "figure final general government harbour however imported industry interest invoice journal judgement kitchen "
    "labour language letter machine market measure minister morning number object office opinion order paragraph "
    "payment period physical portrait position powder pressure print private produce property public quality quarter "
    "question railway receipt record reference region remain report require research result sample section service "
    "several signature standard statement station storage street subject supply surface system temperature together "
    "transport treasury uniform valuable various volume warehouse weather witness yesterday"
)
WORDS = tuple(_TEXT.split())
DPI = 144
FONTS = ("tiro", "helv", "cour")


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page [h, w, 3] RGB and its lines, each with the box of its print."""

    image: NDArray[np.uint8]
    lines: tuple[tuple[str, tuple[float, float, float, float]], ...]


def dense_pages(count: int, seed: int = 0, *, scanned: bool = False) -> list[KnownPage]:
    """A4 pages at 144 DPI in turn of prose (about 50 long lines), two columns (about 110), and a table (150 cells)."""
    rng = np.random.default_rng(seed)
    makers = (_prose, _columns, _table)
    pages = [_rendered(makers[i % 3](rng), FONTS[i % len(FONTS)], 8.5 if i % 3 == 1 else 10.5) for i in range(count)]
    return [_scanned(page, rng) for page in pages] if scanned else pages


def prose_pages(count: int, seed: int, lines: int, letters: int) -> list[KnownPage]:
    """Scan-like A4 pages of so many lines, at most 52, of up to so many letters each; 82 are 1,280 pixels of a crop."""
    rng = np.random.default_rng(seed)
    return [_scanned(_rendered(_prose(rng, lines, letters), FONTS[0], 10.5), rng) for _ in range(count)]


def _sentence(rng: np.random.Generator, letters: int) -> str:
    """Words, names, numbers and amounts, up to so many letters."""
    text = ""
    while True:
        kind = rng.random()
        word = str(rng.choice(WORDS))
        if kind < 0.12:
            word = f"{rng.integers(1, 99999):,}.{rng.integers(0, 99):02d}"
        elif kind < 0.2:
            word = word.capitalize()
        elif kind < 0.26:
            word += str(rng.choice([",", ".", ";", ":"]))
        if len(text) + 1 + len(word) > letters:
            return text
        text = f"{text} {word}".strip()


def _prose(rng: np.random.Generator, lines: int = 50, letters: int = 92) -> list[tuple[str, float, float]]:
    return [(_sentence(rng, letters), 50.0, 60.0 + 14.5 * row) for row in range(lines)]


def _columns(rng: np.random.Generator) -> list[tuple[str, float, float]]:
    return [(_sentence(rng, 46), x, 60.0 + 13.0 * row) for x in (45.0, 310.0) for row in range(55)]


def _table(rng: np.random.Generator) -> list[tuple[str, float, float]]:
    return [(_sentence(rng, 14) or "none", 50.0 + 104.0 * c, 70.0 + 24.0 * r) for r in range(30) for c in range(5)]


def _rendered(lines: Sequence[tuple[str, float, float]], font: str, size: float) -> KnownPage:
    with pymupdf.open() as document:
        page = document.new_page(width=595, height=842)
        known = []
        scale = DPI / 72
        for text, x, y in lines:
            page.insert_text((x, y), text, fontname=font, fontsize=size)
            width = pymupdf.get_text_length(text, fontname=font, fontsize=size)
            box = (x * scale, (y - 0.75 * size) * scale, (x + width) * scale, (y + 0.22 * size) * scale)
            known.append((text, box))
        pixels = page.get_pixmap(dpi=DPI, alpha=False)
        image = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3).copy()
    return KnownPage(image, tuple(known))


def _scanned(page: KnownPage, rng: np.random.Generator) -> KnownPage:
    """Skewed by up to half a degree, blurred, noisy, a JPEG of quality 60; boxes stay the straight ones."""
    height, width = page.image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-0.5, 0.5)), 1)
    image = cv2.warpAffine(page.image, turn, (width, height), borderValue=(255, 255, 255))
    image = cv2.GaussianBlur(image, (0, 0), 0.7).astype(np.float32) * 0.92 + rng.normal(0, 6, image.shape)
    _, data = cv2.imencode(".jpg", np.clip(image, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])
    return KnownPage(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8), page.lines)
