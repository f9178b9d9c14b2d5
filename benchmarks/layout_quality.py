"""Quality of layout on generated pages: reading order, paragraphs, roles and table cells, born-digital and scanned.

    python -m benchmarks.layout_quality [--pages 60] [--tables 20] [--seed 1000] [--tune] [--ocr] [--notes]

Scanned pages are turned by up to a degree, noisy and JPEG-compressed; their lines are simulated (quads jittered, words
at proportional places, neighbours merged) or, with ``--ocr``, read by the OCR encoder's networks.

Where paragraphs are parted by gaps, a column whose last line is full and ends a sentence does not show whether its
paragraph ends there. Figures are given against the truth alone, and with either reading of such ends accepted.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pymupdf

from benchmarks.figures import judge
from benchmarks.generated_pages import GeneratedDocument, PageTruth, generate, generate_table_page
from benchmarks.generated_scan import scan, simulated_ocr
from benchmarks.layout_metrics import PageScore, role_scores, score_page
from encoders.layout import arrange, arrange_document
from encoders.media.opened import OpenedPage
from encoders.media.text_layer import read_text_layer
from encoders.results import Page

DPI = 144
KINDS = (("ruled", False), ("ruled", True), ("rows", False), ("unruled", False), ("unruled", True))
Scored = Iterator[tuple[str, PageScore]]


def born_digital(document: GeneratedDocument) -> list[tuple[Page, PageTruth, np.ndarray]]:
    """Every page of a document from its text layer, arranged together."""
    scale = DPI / 72
    pages = []
    with pymupdf.open(stream=document.pdf) as pdf:
        for index, truth in enumerate(document.pages):
            width, height = round(truth.width * scale), round(truth.height * scale)
            layer = read_text_layer(pdf[index], pymupdf.Matrix(scale, scale), width, height)
            opened = OpenedPage(index + 1, width, height, None, layer.lines, layer.rules)
            pages.append(arrange(opened, layer.lines, source="text_layer"))
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
    return [(page, truth, matrix) for page, truth in zip(arrange_document(pages), document.pages)]


def scanned(document: GeneratedDocument, seed: int) -> list[tuple[Page, PageTruth, np.ndarray]]:
    """Every page as a scan with simulated lines."""
    pages, matrices = [], []
    for index, truth in enumerate(document.pages):
        scanned_page = scan(document.pdf, index, seed * 31 + index, dpi=DPI)
        lines = simulated_ocr(truth, scanned_page, seed * 31 + index)
        height, width = scanned_page.image.shape[:2]
        pages.append(arrange(OpenedPage(index + 1, width, height, scanned_page.image), lines, source="ocr"))
        matrices.append(scanned_page.matrix)
    return [(page, truth, matrix) for page, truth, matrix in zip(arrange_document(pages), document.pages, matrices)]


class Recognised:
    """Pages as scans, read by the OCR networks."""

    def __init__(self) -> None:
        from encoders.ocr.config import OcrConfig
        from encoders.ocr.encoder import OcrEncoder

        self.encoder = OcrEncoder(OcrConfig())
        self.encoder.load()

    def __call__(self, document: GeneratedDocument, seed: int) -> list[tuple[Page, PageTruth, np.ndarray]]:
        from encoders.base import MediaInput

        pages, matrices = [], []
        for index in range(len(document.pages)):
            scanned_page = scan(document.pdf, index, seed * 31 + index, dpi=DPI, suffix=".png")
            part = MediaInput(f"{seed}-{index}", f"generated-{seed}.png", "image/png", data=scanned_page.encoded)
            pages.append(self.encoder([part])[0].result.pages[0])  # type: ignore[union-attr]
            matrices.append(scanned_page.matrix)
        return [(page, truth, m) for page, truth, m in zip(arrange_document(pages), document.pages, matrices)]


def documents(count: int, tables: int, seed: int, held_out: bool) -> Iterator[tuple[str, int, GeneratedDocument]]:
    """Pages of text (columns, margins, hyphens; every fourth document has two pages), then pages with tables."""
    for i in range(count):
        yield "pages", seed + i, generate(seed + i, pages=2 if i % 4 == 0 else 1, held_out=held_out)
    for i in range(tables):
        kind, spans = KINDS[i % len(KINDS)]
        yield "tables", seed + i, generate_table_page(seed + i, kind, spans=spans, held_out=held_out)


def report(title: str, scores: list[tuple[str, PageScore]], seconds: float) -> None:
    """Print the figures of one way of reading."""
    pages = [score for kind, score in scores if kind == "pages"]
    roles: Counter[tuple[str, str]] = Counter()
    cells: Counter[str] = Counter()
    for kind, score in scores:
        roles.update(score.roles if kind == "pages" else {})
        cells.update(score.cells)
    print(f"\n{title}: {len(pages)} pages, {len(scores) - len(pages)} pages with tables, {seconds:.2f} CPU s")
    if pages:
        each, macro, micro = role_scores(roles)
        print(f"  reading order exact {share(sum(s.order for s in pages), len(pages))}")
        print(f"  paragraphs exact    {share(sum(s.paragraphs for s in pages), len(pages))}")
        both = sum(s.order and s.paragraphs for s in pages)
        print(f"  both exact          {share(both, len(pages))}")
        unclear = sum(s.undecided > 0 for s in pages)
        print(
            f"  both exact, either reading of column ends that allow two ({unclear} pages have one) "
            f"{share(sum(s.either for s in pages), len(pages))}"
        )
        print(f"  role F1 macro {macro:.3f} micro {micro:.3f}  " + " ".join(f"{r} {v:.3f}" for r, v in each.items()))
    total = exact = 0
    for kind in sorted(k for k in cells if not k.endswith((" exact", " extra"))):
        total, exact = total + cells[kind], exact + cells[f"{kind} exact"]
        right, other = cells[f"{kind} exact"], cells[f"{kind} extra"]
        print(f"  cells exact {kind:14} {share(right, cells[kind])}, {other} other cells")
    print(f"  cells exact all            {share(exact, total)}")
    if pages:
        judge(f"{title}: order and paragraphs exact", 100 * both / len(pages), at_least=95, unit=" %")
        judge(f"{title}: macro F1 of roles", macro, at_least=0.9)
    if total:
        judge(f"{title}: cells exact", 100 * exact / total, at_least=90, unit=" %")


def share(part: int, whole: int) -> str:
    return f"{part}/{whole} = {100 * part / max(whole, 1):.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--tables", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--tune", action="store_true", help="the styles used while tuning instead of the held-out ones")
    parser.add_argument("--ocr", action="store_true", help="read scans with the OCR networks")
    parser.add_argument("--notes", action="store_true", help="print what is wrong")
    options = parser.parse_args()
    ways: dict[str, tuple[Callable[..., list[tuple[Page, PageTruth, np.ndarray]]], float]] = {
        "born-digital": (lambda document, seed: born_digital(document), 0.0)
    }
    ways |= (
        {"scanned, read by OCR": (Recognised(), 0.1)} if options.ocr else {"scanned, simulated lines": (scanned, 0.0)}
    )
    for title, (read, tolerance) in ways.items():
        scores: list[tuple[str, PageScore]] = []
        seconds = 0.0
        for kind, seed, document in documents(options.pages, options.tables, options.seed, not options.tune):
            started = time.process_time()
            pages = read(document, seed)
            seconds += time.process_time() - started
            for page, truth, matrix in pages:
                score = score_page(page, truth, matrix, tolerance)
                scores.append((kind, score))
                if options.notes and score.notes:
                    print(
                        title,
                        kind,
                        seed,
                        page.page,
                        f"{document.style.columns} columns {document.style.language}",
                        *score.notes,
                        sep="\n    ",
                    )
        report(title, scores, seconds)


if __name__ == "__main__":
    main()
