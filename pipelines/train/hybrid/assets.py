"""Samples as files of an archive: pages as images and scans, recordings as FLAC and WAV."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image
from scipy.io import wavfile

from pipelines.train.hybrid.documents import draw
from pipelines.train.hybrid.samples import PagePlan
from pipelines.train.hybrid.speech.voices import RATE

_SCANNED = 0.6  # share of the documents that are poor scans
_DPI = 150  # that pages are planned for


def document_file(pages: Sequence[PagePlan], rng: random.Random, *, screen: bool = False) -> tuple[str, bytes]:
    """The suffix and the bytes of a document, the same for the same generator. Pages of several are a PDF of images
    without a text layer: what is to be read is on the page alone. ``screen``: a screenshot, which nobody scans."""
    scan = rng.random() < _SCANNED and not screen
    drawn = [Image.fromarray(draw(page, rng, scan=scan, stamps=not screen)) for page in pages]
    if screen or (len(drawn) == 1 and rng.random() < 0.6):
        suffix = "jpg" if scan else "png"
        return suffix, _encoded(drawn[0], rng, lossless=not scan)
    document = pymupdf.open()
    for image in drawn:
        page = document.new_page(width=image.width * 72 / _DPI, height=image.height * 72 / _DPI)
        page.insert_image(page.rect, stream=_encoded(image, rng, lossless=False))
    return "pdf", bytes(document.tobytes(no_new_id=True))  # an id would make it another file every time


def recording_file(samples: NDArray[np.float32], rng: random.Random) -> tuple[str, bytes]:
    """The suffix and the bytes of a recording [n] at 16 kHz."""
    stored = np.clip(samples * 32767, -32768, 32767).astype(np.int16)
    sink = io.BytesIO()
    if rng.random() < 0.3:
        wavfile.write(sink, RATE, stored)
        return "wav", sink.getvalue()
    import soundfile  # comes with librosa

    soundfile.write(sink, stored, RATE, format="FLAC", subtype="PCM_16")
    return "flac", sink.getvalue()


def _encoded(image: Image.Image, rng: random.Random, *, lossless: bool) -> bytes:
    sink = io.BytesIO()
    if lossless:
        image.save(sink, "PNG", compress_level=3)
    else:
        image.save(sink, "JPEG", quality=rng.randint(75, 92))
    return sink.getvalue()
