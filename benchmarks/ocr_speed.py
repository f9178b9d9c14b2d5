"""Our bare OCR against a `RapidOCR()` loop on generated dense pages, page by page in turn, one process, one thread.

    python -m benchmarks.ocr_speed [--pages 6] [--repeats 1] [--clean]

Readers take turns on every page, so that all see the same load of the machine. CPU seconds are those of the
process; on a busy machine they are the figure to compare. Character error: edits over letters, white space and
case aside, lines sorted by place.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import ocr_readers
from benchmarks.ocr_metrics import box_lines, character_errors, sorted_text
from benchmarks.ocr_pages import KnownPage, dense_pages
from encoders.ocr.config import OcrConfig


@dataclass(slots=True)
class Tally:
    """What one reader has cost and missed so far."""

    wall: float = 0.0
    cpu: float = 0.0
    edits: int = 0
    letters: int = 0
    pages: int = 0

    @property
    def character_error(self) -> float:
        return self.edits / max(1, self.letters)


def compare(readers: dict[str, ocr_readers.Reader], pages: Sequence[KnownPage], repeats: int = 1) -> dict[str, Tally]:
    """Every reader on every page, in turn; the first page is read once before, unmeasured."""
    for read in readers.values():
        read(pages[0].image)
    tallies = {name: Tally() for name in readers}
    for _ in range(repeats):
        for page in pages:
            truth = sorted_text(box_lines(page.lines))
            for name, read in readers.items():
                tally, wall, cpu = tallies[name], time.perf_counter(), time.process_time()
                lines = read(page.image)
                tally.wall += time.perf_counter() - wall
                tally.cpu += time.process_time() - cpu
                edits, letters = character_errors(sorted_text(lines), truth)
                tally.edits, tally.letters, tally.pages = tally.edits + edits, tally.letters + letters, tally.pages + 1
    return tallies


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pages", type=int, default=6)
    options.add_argument("--repeats", type=int, default=1)
    options.add_argument("--clean", action="store_true", help="pages as rendered; default is as scanned")
    options.add_argument("--engines", default="auto,onnxruntime")
    chosen = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    readers = {f"interlace {e}": ocr_readers.interlace(OcrConfig(engine=e)) for e in chosen.engines.split(",")}
    readers["RapidOCR as shipped"] = ocr_readers.rapidocr(threads=1)
    readers["RapidOCR, line classifier off"] = ocr_readers.rapidocr(line_classifier=False, threads=1)
    tallies = compare(readers, dense_pages(chosen.pages, scanned=not chosen.clean), chosen.repeats)
    first = next(iter(tallies.values()))
    print(f"{'reader':32}{'pages':>6}{'CPU s/page':>12}{'wall s/page':>13}{'char. error':>13}{'CPU ratio':>11}")
    for name, tally in tallies.items():
        print(
            f"{name:32}{tally.pages:6}{tally.cpu / tally.pages:12.2f}{tally.wall / tally.pages:13.2f}"
            f"{tally.character_error:13.4%}{tally.cpu / first.cpu:11.2f}"
        )


if __name__ == "__main__":
    main()
