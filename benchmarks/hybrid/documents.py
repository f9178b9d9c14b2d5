"""Generated documents whose layouts, faces, words and half of whose languages training never sees: every other one
drawn as a scan, read by the real OCR encoder, asked everything that their tasks ask."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.hybrid.asking import Asked, Reply
from benchmarks.hybrid.drawn import read
from benchmarks.hybrid.judged import asked_of
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report
from pipelines.train.hybrid.documents import document
from pipelines.train.hybrid.samples import Sample

SECTION = "documents"
COUNT = 80
FIRST_SEED = 900_000_000


def run(setting: Setting, report: Report) -> None:
    """Ask all columns about the documents."""
    setting.replies[SECTION] = replies_about(setting, SECTION, FIRST_SEED, COUNT)
    for column, replies in setting.replies[SECTION].items():
        report.add(column, (outcome for reply in replies for outcome in reply.outcomes))


def replies_about(
    setting: Setting, what: str, first: int, count: int, only: Sequence[str] | None = None
) -> dict[str, list[Reply]]:
    """What columns (all, or those named) reply to all tasks of so many held-out documents from a seed on."""
    samples = [document(first + index, setting.faces, held_out=True) for index in range(setting.count(count))]
    return setting.panel.ask(questions(setting, samples, what), what, only)


def questions(setting: Setting, samples: Sequence[Sample], what: str) -> list[Asked]:
    """Everything that is asked of some samples with documents."""
    found: list[Asked] = []
    for sample, inputs in zip(samples, read(setting.ocr, samples, what), strict=True):
        tags = {"kind": sample.kind, "language": sample.language}
        found += asked_of(SECTION, sample.tasks, inputs, tags)
    setting.ocr.close()
    return found
