"""Generated pages as files that the OCR encoder opens, and what it reads in them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from benchmarks.hybrid.material import Material
from benchmarks.hybrid.perceived import Reader
from pipelines.train.hybrid.documents.drawing import draw
from pipelines.train.hybrid.samples import Sample


def read(reader: Reader, samples: Sequence[Sample], what: str) -> list[Material]:
    """Samples with their documents as they are read. Every other sample is drawn as a scan, the others are clean."""
    inputs = iter(reader.read(_files(samples), what))
    found = [Material(sample, tuple(next(inputs) for _ in sample.documents)) for sample in samples]
    reader.close()
    return found


def _files(samples: Sequence[Sample]) -> Iterator[tuple[str, bytes]]:
    for index, sample in enumerate(samples):
        for number, pages in enumerate(sample.documents):
            rng = random.Random(f"drawn {sample.seed} {number}")
            yield picture([draw(page, rng, scan=index % 2 == 0) for page in pages])


def picture(pages: Sequence[np.ndarray]) -> tuple[str, bytes]:
    """Pages [h, w, 3] as a PNG, or as a TIFF when there are several."""
    first, *others = (Image.fromarray(page) for page in pages)
    data = BytesIO()
    if others:
        first.save(data, "TIFF", save_all=True, append_images=others, compression="tiff_deflate")
        return "image/tiff", data.getvalue()
    first.save(data, "PNG")
    return "image/png", data.getvalue()
