"""Bulk OCR through the whole pipeline against the same encoder without it and against `RapidOCR()`, in one run.

    python -m benchmarks.bulk_ocr [--pages 60] [--baseline-pages 8] [--repeats 3]

Every contender works on the same generated, scan-like A4 pages (image-only PDFs, four pages each) and uses all
cores in its own way: the pipeline by its plan, the bare encoder in one process per core, RapidOCR by its default
threads, handed pages that are decoded already. RapidOCR reads the first pages only; its rate per page is what is
compared. The repeats take turns, so that all see the same machine. `whole` counts from the start of the process,
`steady` between the first and the last finished batch (of one worker: page).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pymupdf
from PIL import Image

from benchmarks.ocr_metrics import ReadLine, box_lines, character_errors, sorted_text
from benchmarks.ocr_pages import KnownPage, dense_pages
from cluster.session import available_cpus

PAGES_PER_FILE = 4
CONTENDERS = ("pipeline", "bare encoders", "RapidOCR as shipped", "RapidOCR, line classifier off")


@dataclass(slots=True)
class Timing:
    """Pages per second over the repeats, and what came out."""

    whole: list[float] = field(default_factory=list)
    steady: list[float] = field(default_factory=list)
    first_row: list[float] = field(default_factory=list)
    error: float = 0.0
    lost: int = 0


def write_pages(folder: Path, pages: list[KnownPage]) -> list[Path]:
    """The pages as image-only PDFs, the way an office scanner leaves them."""
    paths = []
    for start in range(0, len(pages), PAGES_PER_FILE):
        path = folder / f"{start:05d}.pdf"
        with pymupdf.open() as document:
            for page in pages[start : start + PAGES_PER_FILE]:
                sheet = document.new_page(width=595, height=842)
                jpeg = folder / "page.jpg"
                Image.fromarray(page.image).save(jpeg, quality=75)
                sheet.insert_image(sheet.rect, filename=str(jpeg))
                jpeg.unlink()
            document.save(path)
        paths.append(path)
    return paths


def time_pipeline(folder: Path, out: Path) -> dict[str, object]:
    """`interlace run` as a user types it; rates from the clock and from when its batches were committed."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "pipelines.cli", "run", str(folder), "--out", str(out), "--ocr", "always"]
    began, started = time.time(), time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    wall = time.monotonic() - started
    commits = sorted(out.glob("_interlace/runs/*/commits/*.json"), key=lambda path: path.stat().st_mtime)
    times = [path.stat().st_mtime for path in commits]
    first = len(json.loads(commits[0].read_text())["parts"]) * PAGES_PER_FILE
    lines = subprocess.run(
        [sys.executable, "-m", "benchmarks.bulk_ocr", "--lines-of", str(out)],
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        "seconds": wall,
        "first_row": times[0] - began,
        "steady": (times[0], times[-1], first),
        "lines": json.loads(lines.stdout),
    }


def lines_of(out: Path) -> list[list[tuple[str, list[float]]]]:
    """Lines of every page in the tables, in order of asset and page."""
    from pipelines.records import read_records

    records = sorted(read_records(str(out)), key=lambda record: record.uri)
    pages = [page for record in records for page in record.pages]
    return [[(line.text, list(line.quad)) for line in page.lines] for page in pages]


def worker_bare(paths: list[Path]) -> dict[str, object]:
    """The OCR encoder in this process over these files; when each page's file was done."""
    from encoders.base import MediaInput
    from encoders.ocr.config import OcrConfig
    from encoders.ocr.encoder import OcrEncoder

    config = OcrConfig()
    encoder = OcrEncoder(config.model_copy(update={"opening": config.opening.model_copy(update={"ocr": "always"})}))
    encoder.load("cpu")
    done, lines = [], {}
    for path in paths:
        perception = encoder([MediaInput(path.name, str(path), "application/pdf", path=path)])[0]
        pages = getattr(perception.result, "pages", ())
        lines[path.name] = [[(line.text, list(line.quad)) for line in page.lines] for page in pages]
        done.append((time.time(), len(pages)))
    encoder.close()
    return {"done": done, "lines": lines}


def time_bare(paths: list[Path]) -> dict[str, object]:
    """As many processes as cores, files dealt out in turn."""
    count = available_cpus()
    started = time.monotonic()
    shares = [paths[index::count] for index in range(count)]
    command = [sys.executable, "-m", "benchmarks.bulk_ocr", "--bare-worker"]
    workers = [
        subprocess.Popen([*command, *map(str, share)], stdout=subprocess.PIPE, text=True) for share in shares if share
    ]
    found = [json.loads(worker.communicate()[0]) for worker in workers]
    wall = time.monotonic() - started
    events = sorted(event for worker in found for event in worker["done"])
    lines = {name: pages for worker in found for name, pages in worker["lines"].items()}
    return {
        "seconds": wall,
        "steady": (events[0][0], events[-1][0], events[0][1]),
        "lines": [page for name in sorted(lines) for page in lines[name]],
    }


def worker_rapidocr(folder: Path, line_classifier: bool, count: int) -> dict[str, object]:
    """A RapidOCR loop in this process; its import and loading are not counted."""
    from benchmarks.ocr_readers import rapidocr

    read = rapidocr(line_classifier=line_classifier)
    pages = _rendered(sorted(folder.glob("*.pdf")), count)
    read(pages[0])
    started = time.monotonic()
    lines = [[(text, box.flatten().tolist()) for text, box in read(page)] for page in pages]
    return {"seconds": time.monotonic() - started, "lines": lines}


def _rendered(paths: Iterable[Path], count: int) -> list:
    import numpy as np

    pages: list = []
    for path in paths:
        with pymupdf.open(path) as document:
            for page in document:
                pixels = page.get_pixmap(dpi=144, alpha=False)
                pages.append(np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3))
                if len(pages) == count:
                    return pages
    return pages


def time_rapidocr(folder: Path, line_classifier: bool, count: int) -> dict[str, object]:
    """`worker_rapidocr` in a process of its own, with the threads that it takes by default."""
    command = [sys.executable, "-m", "benchmarks.bulk_ocr", "--rapidocr-worker", str(folder), str(count)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    command += ["--line-classifier"] if line_classifier else []
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def character_error(lines: list, pages: list[KnownPage]) -> float:
    """Edits over letters of all pages read, lines sorted by place."""
    edits = letters = 0
    for read, known in zip(lines, pages):
        wrong, total = character_errors(sorted_text(_boxes(read)), sorted_text(box_lines(known.lines)))
        edits, letters = edits + wrong, letters + total
    return edits / max(1, letters)


def _boxes(lines: list) -> list[ReadLine]:
    import numpy as np

    return [(text, np.array(box, float).reshape(4, 2)) for text, box in lines]


def bench(pages: int, baseline_pages: int, repeats: int) -> dict[str, Timing]:
    """Run everything, in turn."""
    folder = Path(tempfile.mkdtemp(prefix="interlace-bulk-"))
    known = dense_pages(pages, scanned=True)
    source = folder / "in"
    source.mkdir()
    paths = write_pages(source, known)
    timings = {name: Timing() for name in CONTENDERS}
    for number in range(repeats):
        for name in CONTENDERS:
            if name == "pipeline":
                result = time_pipeline(source, folder / "out")
            elif name == "bare encoders":
                result = time_bare(paths)
            else:
                result = time_rapidocr(source, name.endswith("shipped"), baseline_pages)
            _note(timings[name], result, known)
            print(f"repeat {number + 1} {name}: {timings[name].whole[-1]:.3f} pages/s", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return timings


def _note(timing: Timing, result: dict, known: list[KnownPage]) -> None:
    read = len(result["lines"])
    timing.whole.append(read / result["seconds"])
    if "steady" in result:
        first, last, before = result["steady"]
        timing.steady.append((read - before) / max(last - first, 1e-9))
        timing.lost = max(timing.lost, len(known) - read)
    if "first_row" in result:
        timing.first_row.append(result["first_row"])
    timing.error = character_error(result["lines"], known)


def table(timings: dict[str, Timing]) -> str:
    """One line per contender, then the ratios with their floors and goals."""
    rows = [f"{'':32}{'pages/s':>10}{'min-max':>16}{'steady':>9}{'char. error':>13}{'lost':>6}"]
    for name, timing in timings.items():
        spread = f"{min(timing.whole):.3f}-{max(timing.whole):.3f}"
        steady = f"{median(timing.steady):.3f}" if timing.steady else ""
        lost = str(timing.lost) if timing.steady else ""
        rows.append(f"{name:32}{median(timing.whole):10.3f}{spread:>16}{steady:>9}{timing.error:13.3%}{lost:>6}")
    ours, bare = timings["pipeline"], timings["bare encoders"]
    rows.append(f"time to first row: {median(ours.first_row):.1f} s")
    for title, value, floor, goal in (
        ("against RapidOCR as shipped", _ratio(ours, timings["RapidOCR as shipped"]), 2.0, 3.0),
        ("against RapidOCR, classifier off", _ratio(ours, timings["RapidOCR, line classifier off"]), 1.3, 1.6),
        ("against bare encoders, start-up included", _ratio(ours, bare), 0.85, 0.9),
        ("the same, start-up apart", median(a / b for a, b in zip(ours.steady, bare.steady)), 0.92, 0.97),
    ):
        said = "reaches its goal" if value >= goal else "holds its floor" if value >= floor else "MISSES ITS FLOOR"
        rows.append(f"{title:44}{value:6.2f}x   floor {floor}x, goal {goal}x: {said}")
    return "\n".join(rows)


def _ratio(ours: Timing, theirs: Timing) -> float:
    return median(a / b for a, b in zip(ours.whole, theirs.whole))


def main() -> None:
    """Print the table; the other options are for the processes that this starts."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pages", type=int, default=60)
    options.add_argument("--baseline-pages", type=int, default=8)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--bare-worker", nargs="*", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--rapidocr-worker", nargs=2, help=argparse.SUPPRESS)
    options.add_argument("--line-classifier", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--lines-of", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.bare_worker:
        print(json.dumps(worker_bare(chosen.bare_worker)))
    elif chosen.rapidocr_worker:
        folder, count = chosen.rapidocr_worker
        print(json.dumps(worker_rapidocr(Path(folder), chosen.line_classifier, int(count))))
    elif chosen.lines_of:
        print(json.dumps(lines_of(chosen.lines_of)))
    else:
        print(table(bench(chosen.pages, chosen.baseline_pages, chosen.repeats)))
    sys.stdout.flush()
    os._exit(0)  # see pipelines.cli.main


if __name__ == "__main__":
    main()
