"""Pages of text in any script. Needs Pillow with libraqm, as its wheels have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from encoders.results import Quad, quad

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a font file."""

    path: Path
    index: int = 0


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page with its truth: one text and one box per printed line, top to bottom."""

    image: Pixels  # [height, width, 3] RGB
    texts: tuple[str, ...]
    quads: tuple[Quad, ...]


@lru_cache(maxsize=512)
def face_at(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """The face at a size in pixels, shaped by libraqm (joined Arabic, Indic clusters, right to left)."""
    return ImageFont.truetype(str(face.path), size, index=face.index, layout_engine=ImageFont.Layout.RAQM)


def wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines of at most ``width`` pixels: at spaces, or anywhere where a word alone is too wide."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if font.getlength(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        while font.getlength(word) > width:  # Chinese, Japanese and Thai print without spaces
            cut = next(n for n in range(len(word), 0, -1) if font.getlength(word[:n]) <= width)
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return [*lines, line] if line else lines


def render_page(
    texts: Sequence[str], face: Face, *, size: int = 28, width: int = 1190, right_to_left: bool = False
) -> RenderedPage:
    """A page of one column: each text is a paragraph, set in one face, black on white."""
    font = face_at(face, size)
    margin, leading = 80, round(size * 1.7)
    image = Image.new("L", (width, margin * 2 + leading * 400), 255)
    pen = ImageDraw.Draw(image)
    lines: list[str] = []
    quads: list[Quad] = []
    top = margin
    for text in texts:
        for line in wrap(text, font, width - 2 * margin):
            left = width - margin - font.getlength(line) if right_to_left else margin
            pen.text((left, top), line, font=font, fill=0)
            quads.append(quad(*pen.textbbox((left, top), line, font=font)))
            lines.append(line)
            top += leading
        top += leading // 2
    pixels = np.asarray(image.crop((0, 0, width, top + margin)))
    return RenderedPage(np.repeat(pixels[:, :, None], 3, axis=2), tuple(lines), tuple(quads))
