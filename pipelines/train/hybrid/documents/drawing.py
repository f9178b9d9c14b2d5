"""Page plans as pixels."""

from __future__ import annotations

import math
import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipelines.train.hybrid.documents.sheet import extents
from pipelines.train.hybrid.samples import PagePlan
from pipelines.train.script.degrade import scan_like
from pipelines.train.script.render import face_at

Pixels = NDArray[np.uint8]


def draw(page: PagePlan, rng: random.Random, *, scan: bool = False, stamps: bool = True) -> Pixels:
    """The page as [height, width, 3] RGB: on white or tinted paper, perhaps with the ring of a stamp where nothing is
    printed. ``scan``: as a poor scan shows it, a little turned, blurred, grey, with noise."""
    paper = (255, 255, 255) if rng.random() < 0.6 else tuple(rng.randint(232, 255) for _ in range(3))
    ink = rng.choice((0, 0, 20, 45, 60))
    image = Image.new("RGB", (page.width, page.height), paper)
    pen = ImageDraw.Draw(image)
    rule = rng.randint(1, 3)
    for x0, y0, x1, y1 in page.rules:
        pen.line((x0, y0, x1, y1), fill=(ink + 40,) * 3, width=rule)
    for line in page.lines:
        baseline = line.box[1] + extents(line.face, line.size)[0]
        font = face_at(line.face, line.size)
        pen.text((line.box[0], baseline), line.text, font=font, fill=(ink,) * 3, anchor="ls")
    if rng.random() < 0.15 and stamps:
        _stamp(pen, page, rng)
    pixels = np.asarray(image)
    return scan_like(pixels, np.random.default_rng(rng.getrandbits(32))) if scan else pixels


def _stamp(pen: ImageDraw.ImageDraw, page: PagePlan, rng: random.Random) -> None:
    """Two rings and a star, in a place that no text touches; nowhere when there is none."""
    radius = min(page.width, page.height) * rng.uniform(0.06, 0.1)
    colour = rng.choice(((170, 40, 50), (40, 60, 150), (60, 110, 70)))
    for _ in range(30):
        x, y = rng.uniform(radius, page.width - radius), rng.uniform(radius, page.height - radius)
        if any(
            line.box[0] < x + radius
            and x - radius < line.box[2]
            and line.box[1] < y + radius
            and y - radius < line.box[3]
            for line in page.lines
        ):
            continue
        for inner in (radius, radius * 0.82):
            pen.ellipse((x - inner, y - inner, x + inner, y + inner), outline=colour, width=3)
        points = [
            (
                x + radius * (0.5, 0.2)[n % 2] * math.sin(n * math.pi / 5),
                y - radius * (0.5, 0.2)[n % 2] * math.cos(n * math.pi / 5),
            )
            for n in range(10)
        ]
        pen.polygon(points, outline=colour)
        return
