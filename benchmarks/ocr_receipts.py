"""Quality on scanned receipts: ours and `RapidOCR()` as shipped, side by side, on the tuning half and the other.

    python -m benchmarks.ocr_receipts [--data ../shared/data/dev/receipts] [--ours-only]

The first 15 by file name are what settings were tuned on. Figures, each over all receipts of a half:
  char. error   edits between both texts / letters of the truth, lines sorted by place, white space and case aside
  word F1       words (split at white space, case aside) as bags
  box F1        line boxes matched one to one at an overlap (IoU) of 0.5 or more
  totals        receipts whose true total stands in the text read
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import ocr_readers
from benchmarks.figures import judge
from benchmarks.ocr_metrics import ReadLine, box_lines, character_errors, f1, matched, matched_boxes, sorted_text

DATA = Path("../shared/data/dev/receipts")
TUNED = 15


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of one reader on one half."""

    character_error: float
    word_f1: float
    box_f1: float
    totals: int
    receipts: int


def load(folder: Path = DATA) -> list[dict[str, Any]]:
    """Label rows {id, file, truth}, by file name."""
    rows = [json.loads(row) for row in (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    return sorted(rows, key=lambda row: row["file"])


def measure(rows: Sequence[dict[str, Any]], results: Sequence[Sequence[ReadLine]]) -> Quality:
    """The figures over these receipts."""
    edits = letters = totals = 0
    words, boxes = np.zeros(3, int), np.zeros(3, int)
    for row, lines in zip(rows, results):
        truth = box_lines([(line["text"], line["box"]) for line in row["truth"]["lines"]])
        text, true_text = sorted_text(lines), sorted_text(truth)
        wrong, length = character_errors(text, true_text)
        edits, letters = edits + wrong, letters + length
        words += matched(text.upper().split(), true_text.upper().split())
        boxes += matched_boxes(lines, truth)
        totals += row["truth"]["fields"]["total"] in text
    return Quality(edits / max(1, letters), f1(*map(int, words)), f1(*map(int, boxes)), totals, len(rows))


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--ours-only", action="store_true")
    chosen = options.parse_args()
    rows = load(chosen.data)
    readers = {"interlace": ocr_readers.interlace()}
    if not chosen.ours_only:
        readers["RapidOCR as shipped"] = ocr_readers.rapidocr()
    print(f"{'reader':22}{'half':8}{'char. error':>12}{'word F1':>9}{'box F1':>9}{'totals':>9}{'CPU s':>8}")
    ours: dict[str, Quality] = {}
    for name, read in readers.items():
        results, started = [], time.process_time()
        for row in rows:
            image = cv2.cvtColor(cv2.imread(str(chosen.data / row["file"])), cv2.COLOR_BGR2RGB)
            results.append(read(np.asarray(image, np.uint8)))
        seconds = time.process_time() - started
        for half, part in {"tuned": slice(TUNED), "other": slice(TUNED, None), "both": slice(None)}.items():
            q = measure(rows[part], results[part])
            if name == "interlace":
                ours[half] = q
            totals = f"{q.totals}/{q.receipts}"
            print(
                f"{name:22}{half:8}{q.character_error:12.4f}{q.word_f1:9.4f}{q.box_f1:9.4f}{totals:>9}{seconds:8.1f}",
                flush=True,
            )
    for half, q in ours.items():
        judge(f"character error, {half}", q.character_error, at_most=0.04)
        judge(f"word F1, {half}", q.word_f1, at_least=0.88)
        judge(f"line box F1, {half}", q.box_f1, at_least=0.92)
        judge(f"true totals found, {half}", q.totals, at_least=q.receipts - 1)


if __name__ == "__main__":
    main()
