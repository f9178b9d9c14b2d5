"""The same pages through two engines: how many lines agree, and how far apart their words' boxes are.

    python -m benchmarks.ocr_parity [--pages 6] [--device cpu|cuda] [--reference onnxruntime] [--engine torch]

Lines are paired by place. Wanted: at least 99.5 % of lines equal, every paired word of equal lines at an overlap
(IoU) of 0.9 or more.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import judge
from benchmarks.ocr_metrics import overlap
from benchmarks.ocr_pages import dense_pages
from benchmarks.ocr_readers import page_reader
from encoders.ocr.config import OcrConfig
from encoders.results import Line


@dataclass(frozen=True, slots=True)
class Parity:
    """How alike two engines read."""

    lines: int  # of the reference
    equal: float  # share of them that the other reads alike
    words: int  # of equal lines
    worst_overlap: float
    low_overlaps: int  # words below 0.9
    example: str = ""


def compare(reference: Sequence[Sequence[Line]], other: Sequence[Sequence[Line]]) -> Parity:
    """Lines per page of both engines."""
    lines = equal = words = low = 0
    worst, example = 1.0, ""
    for mine, theirs in zip(reference, other):
        for line in mine:
            lines += 1
            twin = max(theirs, key=lambda candidate: overlap(_box(candidate), _box(line)), default=None)
            if twin is None or twin.text != line.text:
                example = example or f"{line.text!r} / {twin.text if twin else None!r}"
                continue
            equal += 1
            for a, b in zip(line.words, twin.words):
                share = overlap(_corners(a.quad), _corners(b.quad))
                words, low, worst = words + 1, low + (share < 0.9), min(worst, share)
    return Parity(lines, equal / max(1, lines), words, worst, low, example)


def _corners(quad: Sequence[float]) -> NDArray[np.float64]:
    return np.array(quad, float).reshape(4, 2)


def _box(line: Line) -> NDArray[np.float64]:
    return _corners(line.quad)


def main() -> None:
    """Print one JSON line, and whether it is as wanted."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pages", type=int, default=6)
    options.add_argument("--device", default="cpu")
    options.add_argument("--reference", default="onnxruntime")
    options.add_argument("--engine", default="torch")
    options.add_argument("--card-process", action="store_true", help="torch computes in a process beside this one")
    options.add_argument("--detector", default="ocr_detection")
    options.add_argument("--recogniser", default="ocr_recognition")
    chosen = options.parse_args()
    known = dense_pages(chosen.pages, scanned=False) + dense_pages(chosen.pages, seed=1, scanned=True)
    images = [page.image for page in known]
    read = {}
    seconds = {}
    for engine, device in ((chosen.reference, "cpu"), (chosen.engine, chosen.device)):
        refs = {"detector": chosen.detector, "recogniser": chosen.recogniser}
        config = OcrConfig.model_validate({"engine": engine, "card_process": chosen.card_process, **refs})
        reader = page_reader(config, device)
        reader.read(images)
        started = time.perf_counter()
        read[engine] = [page.lines for page in reader.read(images)]
        seconds[engine] = round((time.perf_counter() - started) / len(images), 4)
    parity = compare(read[chosen.reference], read[chosen.engine])
    print(json.dumps({"engine": chosen.engine, "device": chosen.device, **asdict(parity), "seconds_per_page": seconds}))
    judge("lines that both engines read alike", 100 * parity.equal, at_least=99.5, unit=" %")
    judge("smallest overlap of a word's two boxes", parity.worst_overlap, at_least=0.9)


if __name__ == "__main__":
    main()
