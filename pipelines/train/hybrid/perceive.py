"""From samples to what the specialists read in them: lines are drawn, cut and read by the real recogniser.

    python -m pipelines.train.hybrid.perceive --out FOLDER --fonts FOLDER --seconds 60

Only the detector is left out: where a line stands is known, and its box is moved about as the detector's would be. What
follows is the encoder's own code: decoding, words, layout. Runs without Ray and without a network, on any number of
GPUs or on the CPU; every file in the folder holds `SAMPLES` pickled `Perceived` and is complete when it has its name.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from encoders.base import FeatureSpan, Perception
from encoders.layout import arrange, arrange_document
from encoders.media.opened import OpenedPage
from encoders.ocr.crops import HEIGHT, MAX_WIDTH, printed_rows
from encoders.ocr.decoding import ReadCrop, as_lines, decode
from encoders.ocr.networks import ALL, WESTERN
from encoders.results import DocumentResult, Line
from pipelines.train.hybrid.perceived import SAMPLES, Perceived, stored
from pipelines.train.hybrid.recognition import Recognised
from pipelines.train.hybrid.samples import PagePlan, PrintedLine, Sample
from pipelines.train.hybrid.warp import Warp
from pipelines.train.script.render import face_at

Grey = NDArray[np.uint8]
Read = Callable[[Sequence[Grey], Sequence[str]], Sequence[Recognised]]


@dataclass(frozen=True, slots=True)
class Crop:
    """A line as the recogniser gets it, [48, w], and its corners on the page [4, 2]."""

    image: Grey
    corners: NDArray[np.float32]
    script: str


def crop(line: PrintedLine, scale: float, look: Look, rng: np.random.Generator) -> Crop:
    """A printed line as a detector would have cut it out of a scan of the page at ``scale``."""
    font = face_at(line.face, max(7, round(line.size * scale)))
    left, top, right, bottom = font.getbbox(line.text)
    high = max(4.0, bottom - top)
    before, after = rng.uniform(0.05, 0.45, 2) * high
    above, below = rng.uniform(0.06, 0.26, 2) * high
    size = max(4, round(right - left + before + after)), max(4, round(high + above + below))
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((before - left, above - top), line.text, font=font, fill=0)
    target = min(MAX_WIDTH, max(1, -(-HEIGHT * size[0] // size[1])))
    pixels = look.show(np.asarray(image), rng)
    shape = cv2.resize(pixels, (target, HEIGHT), interpolation=cv2.INTER_AREA if size[1] > 72 else cv2.INTER_CUBIC)
    x0, y0 = line.box[0] * scale - before, line.box[1] * scale - above
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32) + (x0, y0)
    return Crop(np.asarray(shape, np.uint8), corners.astype(np.float32), line.script)


@dataclass(frozen=True, slots=True)
class Look:
    """How a page was scanned: blur and noise in grey levels, ink and paper, JPEG quality (0: none)."""

    blur: float
    noise: float
    ink: float
    paper: float
    quality: int

    @classmethod
    def of(cls, rng: np.random.Generator) -> Look:
        """Half of the pages are clean, the others as bad as `scan_like` makes them."""
        if rng.random() < 0.5:
            return cls(float(rng.uniform(0, 0.4)), 0.0, float(rng.uniform(0, 60)), float(rng.uniform(225, 255)), 0)
        ink, paper = float(rng.uniform(0, 90)), float(rng.uniform(190, 255))
        return cls(float(rng.uniform(0.3, 1.0)), float(rng.uniform(0, 10)), ink, paper, int(rng.integers(35, 90)))

    def show(self, image: Grey, rng: np.random.Generator) -> Grey:
        """The line as the scanner saw it."""
        grey = cv2.GaussianBlur(image, (0, 0), self.blur) if self.blur > 0.2 else image
        seen = self.ink + (self.paper - self.ink) / 255 * grey.astype(np.float32)
        if self.noise:
            seen += rng.standard_normal(seen.shape, np.float32) * self.noise
        pixels = np.clip(seen, 0, 255).astype(np.uint8)
        if self.quality:
            pixels = cv2.imdecode(
                cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1], cv2.IMREAD_GRAYSCALE
            )
        return np.asarray(pixels, np.uint8)


def perceive(samples: Sequence[Sample], read: Read) -> list[Perceived]:
    """What is read in each document of each sample. ``read`` gets all lines at once."""
    pages: list[tuple[int, int, int, float, PagePlan, list[Crop]]] = []
    for index, sample in enumerate(samples):
        for number, document in enumerate(sample.documents):
            rng = np.random.default_rng([sample.seed, number])
            look, scale, warp = Look.of(rng), float(rng.uniform(0.62, 1.15)), Warp.of(rng)
            for page, plan in enumerate(document, 1):
                flat = [crop(line, scale, look, rng) for line in plan.lines if line.text.strip()]
                size = plan.width * scale, plan.height * scale
                crops = [replace(one, corners=warp.bent(one.corners, *size)) for one in flat]
                pages.append((index, number, page, scale, plan, crops))
    crops = [one for *_, found in pages for one in found]
    recognised = iter(read([one.image for one in crops], [WESTERN if c.script == "Latn" else ALL for c in crops]))
    parts: dict[tuple[int, int], list[tuple[PagePlan, float, int, list[tuple[Crop, Recognised]]]]] = {}
    for index, number, page, scale, plan, found in pages:
        lines = [(one, next(recognised)) for one in found]
        parts.setdefault((index, number), []).append((plan, scale, page, lines))
    return [
        Perceived(sample, tuple(_perception(parts[index, number]) for number in range(len(sample.documents))))
        for index, sample in enumerate(samples)
    ]


def _perception(pages: Sequence[tuple[PagePlan, float, int, list[tuple[Crop, Recognised]]]]) -> Perception:
    """As `OcrEncoder` puts a part together."""
    features: dict[tuple[int, object], NDArray[np.float16]] = {}
    arranged = []
    for plan, scale, number, crops in pages:
        lines: list[Line] = []
        for cut, seen in crops:
            reading = decode(seen.symbols, seen.confidences, seen.characters)
            if not reading.text or reading.confidence < 0.3:
                continue
            for placed in as_lines([ReadCrop(reading, printed_rows(cut.image), cut.corners, cut.script)])[0]:
                lines.append(placed.line)
                features[number, placed.line.quad] = seen.features[placed.start : placed.stop]
        rules = tuple((x0 * scale, y0 * scale, x1 * scale, y1 * scale) for x0, y0, x1, y1 in plan.rules)
        opened = OpenedPage(number, round(plan.width * scale), round(plan.height * scale), None, rules=rules)
        arranged.append(arrange(opened, lines, source="ocr"))
    spans, rows, position = [], [], 0
    result = tuple(arrange_document(arranged))
    for page in result:
        for item, line in enumerate(page.lines):
            found = features.get((page.page, line.quad))
            if found is not None:
                spans.append(FeatureSpan(item, position, position + len(found), page.page))
                rows.append(found)
                position += len(found)
    vectors = np.concatenate(rows) if rows else np.zeros((0, 0), np.float16)
    return Perception(DocumentResult(result), vectors, tuple(spans))


# -- many processes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    out: Path
    fonts: Sequence[Path]
    sentences: Path | None
    held_out: bool
    first: int
    stop: float
    most: int
    workers: int


def _work(number: int, pipe: Connection, job: _Job) -> None:
    """Generate, draw, have read, put together, write; until the time is over."""
    cv2.setNumThreads(1)
    from pipelines.train.hybrid.mixture import sample_maker
    from pipelines.train.hybrid.recognition import packed, unpacked

    make = sample_maker(job.fonts, job.sentences, held_out=job.held_out)
    characters: dict[str, list[str]] = pipe.recv()

    def read(images: Sequence[Grey], alphabets: Sequence[str]) -> Sequence[Recognised]:
        groups, places = packed(images, alphabets)
        pipe.send(groups)
        return unpacked(pipe.recv(), places, [image.shape[1] for image in images], characters)

    for block in range(number, job.most, job.workers):
        if time.monotonic() > job.stop:
            break
        if (job.out / f"{block:07d}.samples").exists():
            continue
        samples = [make(job.first + block * SAMPLES + k) for k in range(SAMPLES)]
        partial = job.out / f"{block:07d}.partial"
        partial.write_bytes(pickle.dumps(perceive(samples, read), protocol=5))
        partial.rename(job.out / f"{block:07d}.samples")
    pipe.send(None)


def _serve(pipes: list[Connection], device: str) -> None:
    """One network on one device for many workers."""
    from pipelines.train.hybrid.recognition import LineNetwork

    network = LineNetwork(device)
    for pipe in pipes:
        pipe.send(network.characters)
    while pipes:
        for ready in wait(pipes):
            pipe = cast(Connection, ready)
            groups = pipe.recv()
            if groups is None:
                pipes.remove(pipe)
                continue
            pipe.send([network(images, alphabet) for images, alphabet in groups])


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fonts", type=Path, nargs="+", required=True)
    parser.add_argument("--sentences", type=Path, help="gzipped English sentences, one a line")
    parser.add_argument("--held-out", action="store_true", help="layouts, fonts, words that training never sees")
    parser.add_argument("--seconds", type=float, default=60, help="ends earlier when all samples are there")
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--devices", nargs="+", default=["cpu"], help="cuda:0 cuda:1 ...")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    job = _Job(
        arguments.out,
        arguments.fonts,
        arguments.sentences,
        arguments.held_out,
        arguments.first_seed,
        time.monotonic() + arguments.seconds,
        -(-arguments.samples // SAMPLES),
        arguments.workers,
    )
    ends: list[list[Connection]] = [[] for _ in arguments.devices]
    processes = []
    for number in range(arguments.workers):
        here, there = context.Pipe()
        ends[number % len(ends)].append(here)
        processes.append(context.Process(target=_work, args=(number, there, job)))
    processes += [context.Process(target=_serve, args=pair) for pair in zip(ends, arguments.devices)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    files = list(stored(arguments.out))
    print(f"{len(files) * SAMPLES} samples in {arguments.out}, {sum(f.stat().st_size for f in files) >> 20} MiB")


if __name__ == "__main__":
    main()
