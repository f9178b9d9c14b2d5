"""Bulk OCR through the whole pipeline against the same encoder without it and against `RapidOCR()`, in one run.

    python -m benchmarks.bulk_ocr [--pages 60] [--baseline-pages 8] [--repeats 3] [--keep FILE]

Every contender works on the same generated, scan-like A4 pages (image-only PDFs, four pages each) and uses all
cores in its own way: the pipeline by its plan, the bare encoder in one process per core, RapidOCR by its default
threads, handed pages that are decoded already. RapidOCR, a quarter as fast, reads other pages in each repeat, a share
of the whole; its rate per page is what is compared. The repeats take turns, so that all see the same machine. `whole`
counts from the start of the process to its end, `steady` between the first and the last finished batch (of one worker:
file). With --keep, what was measured before an interruption is not measured again.
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
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

from benchmarks.figures import MARKS, floor_and_goal, must_be_zero, spread
from benchmarks.ocr_metrics import ReadLine, box_lines, character_errors, sorted_text
from benchmarks.ocr_pages import KnownPage, dense_pages
from cluster.session import available_cpus

PAGES_PER_FILE = 4
PAGES_AT_ONCE = 12  # made and written, so that the images of hundreds of pages never lie in memory together
Lines = tuple[tuple[str, tuple[float, float, float, float]], ...]
CONTENDERS = ("pipeline", "bare encoders", "RapidOCR as shipped", "RapidOCR, line classifier off")


@dataclass(slots=True)
class Measured:
    """One repeat of one contender: seconds, pages per second with start-up and without, and what came out."""

    seconds: float
    whole: float
    error: float
    lost: int = 0
    steady: float = 0.0
    first_row: float = 0.0  # seconds after the start
    last_row: float = 0.0
    shared_error: float = 0.0  # on the pages of this repeat that everybody read


def make_pages(folder: Path, count: int) -> tuple[list[Path], list[Lines]]:
    """So many pages as image-only PDFs, the way an office scanner leaves them, and the lines that are on each."""
    paths: list[Path] = []
    lines: list[Lines] = []
    for seed in range(-(-count // PAGES_AT_ONCE)):
        known = dense_pages(min(PAGES_AT_ONCE, count - len(lines)), seed, scanned=True)
        for start in range(0, len(known), PAGES_PER_FILE):
            paths.append(folder / f"{len(paths):05d}.pdf")
            _write_scan(paths[-1], known[start : start + PAGES_PER_FILE])
        lines += [page.lines for page in known]
    return paths, lines


def _write_scan(path: Path, pages: list[KnownPage]) -> None:
    with pymupdf.open() as document:
        for page in pages:
            sheet = document.new_page(width=595, height=842)
            jpeg = path.with_suffix(".jpg")
            Image.fromarray(page.image).save(jpeg, quality=75)
            sheet.insert_image(sheet.rect, filename=str(jpeg))
            jpeg.unlink()
        document.save(path)


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
        "last_row": times[-1] - began,
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


def worker_rapidocr(folder: Path, line_classifier: bool, first: int, count: int) -> dict[str, object]:
    """A RapidOCR loop in this process; its import and loading are not counted."""
    from benchmarks.ocr_readers import rapidocr

    read = rapidocr(line_classifier=line_classifier)
    pages = list(islice(_rendered(sorted(folder.glob("*.pdf"))[first // PAGES_PER_FILE :]), count))
    read(pages[0])
    started = time.monotonic()
    lines = [[(text, box.flatten().tolist()) for text, box in read(page)] for page in pages]
    return {"seconds": time.monotonic() - started, "lines": lines}


def _rendered(paths: Iterable[Path]) -> Iterator[NDArray[np.uint8]]:
    for path in paths:
        with pymupdf.open(path) as document:
            for page in document:
                pixels = page.get_pixmap(dpi=144, alpha=False)
                yield np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3)


def time_rapidocr(folder: Path, line_classifier: bool, first: int, count: int) -> dict[str, object]:
    """`worker_rapidocr` in a process of its own, with the threads that it takes by default."""
    command = [sys.executable, "-m", "benchmarks.bulk_ocr", "--rapidocr-worker", str(folder), str(first), str(count)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    command += ["--line-classifier"] if line_classifier else []
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def character_error(lines: list, known: list[Lines]) -> float:
    """Edits over letters of all pages read, lines sorted by place."""
    edits = letters = 0
    for read, there in zip(lines, known):
        wrong, total = character_errors(sorted_text(_boxes(read)), sorted_text(box_lines(there)))
        edits, letters = edits + wrong, letters + total
    return edits / max(1, letters)


def _boxes(lines: list) -> list[ReadLine]:
    return [(text, np.array(box, float).reshape(4, 2)) for text, box in lines]


def bench(pages: int, baseline_pages: int, repeats: int, kept: Path | None) -> dict[str, list[Measured]]:
    """Run everything, in turn."""
    sizes = [pages, baseline_pages]
    measured: dict[str, list[Measured]] = {name: [] for name in CONTENDERS}
    for line in kept.read_text().splitlines() if kept and kept.exists() else ():
        entry = json.loads(line)
        if entry["sizes"] == sizes and len(measured[entry["name"]]) < repeats:
            measured[entry["name"]].append(Measured(**entry["measured"]))
    folder = Path(tempfile.mkdtemp(prefix="interlace-bulk-"))
    source = folder / "in"
    source.mkdir()
    paths, known = make_pages(source, pages)
    for number in range(repeats):
        for name in CONTENDERS:
            if len(measured[name]) > number:
                continue
            found = _measure(name, paths, known, folder, number * baseline_pages % pages, baseline_pages)
            measured[name].append(found)
            if kept:
                with kept.open("a") as file:
                    file.write(json.dumps({"name": name, "sizes": sizes, "measured": asdict(found)}) + "\n")
            print(f"repeat {number + 1} {name}: {found.whole:.3f} pages/s", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return measured


def _measure(name: str, paths: list[Path], known: list[Lines], folder: Path, first: int, count: int) -> Measured:
    source = paths[0].parent
    result: dict[str, Any]
    shared = slice(first, first + count)
    if name == "pipeline":
        result = time_pipeline(source, folder / "out")
    elif name == "bare encoders":
        result = time_bare(paths)
    else:
        known, shared = known[first : first + count], slice(None)
        result = time_rapidocr(source, name.endswith("shipped"), first, count)
    read = len(result["lines"])
    found = Measured(result["seconds"], read / result["seconds"], character_error(result["lines"], known))
    found.shared_error = character_error(result["lines"][shared], known[shared])
    found.lost = len(known) - read
    if "steady" in result:
        start, last, before = result["steady"]
        found.steady = (read - before) / max(last - start, 1e-9)
    found.first_row, found.last_row = result.get("first_row", 0.0), result.get("last_row", 0.0)
    return found


def table(measured: dict[str, list[Measured]]) -> str:
    """One line per contender, then the ratios with their floors and goals."""
    rows = [f"{'pages/s, whole command':34}{'':>24}{'steady':>24}{'char. error':>13}{'lost':>6}"]
    for name, found in measured.items():
        steady = spread([one.steady for one in found]) if found[0].steady else ""
        error, lost = max(one.error for one in found), max(one.lost for one in found)
        rows.append(f"{name:34}{spread([one.whole for one in found]):>24}{steady:>24}{error:13.3%}{lost:6}")
    ours, bare = measured["pipeline"], measured["bare encoders"]
    rows.append(f"seconds of a run: {spread([one.seconds for one in ours], 0)} (wanted: 300 or more)")
    rows.append(f"seconds to the first row: {spread([one.first_row for one in ours], 1)}")
    rows.append(f"seconds from the last row to the end: {spread([one.seconds - one.last_row for one in ours], 1)}")
    for title, other, floor, goal in (
        ("against RapidOCR as shipped", measured["RapidOCR as shipped"], 2.0, 3.0),
        ("against RapidOCR, classifier off", measured["RapidOCR, line classifier off"], 1.3, 1.6),
        ("against bare encoders, start-up included", bare, 0.85, 0.9),
    ):
        rows.append(floor_and_goal(title, [a.whole / b.whole for a, b in zip(ours, other)], floor, goal, unit="x"))
    apart = [a.steady / b.steady for a, b in zip(ours, bare)]
    rows.append(floor_and_goal("against bare encoders, start-up apart", apart, 0.92, 0.97, unit="x"))
    least = min(mean(one.shared_error for one in found) for name, found in measured.items() if name.startswith("Rapid"))
    own = mean(one.shared_error for one in ours)
    wanted = f"(wanted no higher than RapidOCR's {least:.4%})"
    rows.append(f"{MARKS[own > least]} character error on the pages that all read: {own:.4%} {wanted}")
    rows.append(must_be_zero("pages lost", sum(one.lost for one in ours)))
    return "\n".join(rows)


def main() -> None:
    """Print the table; the other options are for the processes that this starts."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pages", type=int, default=60)
    options.add_argument("--baseline-pages", type=int, default=8)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--bare-worker", nargs="*", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--keep", type=Path, help="a file of measurements to go on from")
    options.add_argument("--rapidocr-worker", nargs=3, help=argparse.SUPPRESS)
    options.add_argument("--line-classifier", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--lines-of", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.bare_worker:
        print(json.dumps(worker_bare(chosen.bare_worker)))
    elif chosen.rapidocr_worker:
        folder, first, count = chosen.rapidocr_worker
        print(json.dumps(worker_rapidocr(Path(folder), chosen.line_classifier, int(first), int(count))))
    elif chosen.lines_of:
        print(json.dumps(lines_of(chosen.lines_of)))
    else:
        print(table(bench(chosen.pages, chosen.baseline_pages, chosen.repeats, chosen.keep)))
    sys.stdout.flush()
    os._exit(0)  # see pipelines.cli.main


if __name__ == "__main__":
    main()
