"""Generated documents whose layouts, faces, words and half of whose languages training never sees: every other one
drawn as a scan, read by the real OCR encoder, asked everything that their tasks ask."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.hybrid import recorded
from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.confidences import values
from benchmarks.hybrid.drawn import read
from benchmarks.hybrid.judged import asked_of
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report
from pipelines.train.hybrid.documents import document

SECTION = "documents"
COUNT = 80
FIRST_SEED = 900_000_000


def run(setting: Setting, report: Report) -> None:
    """Ask all columns about the documents."""
    for column, replies in setting.panel.ask(questions(material(setting)), SECTION).items():
        report.add(column, (outcome for reply in replies for outcome in reply.outcomes))
        recorded.save(recorded.file_of(setting.out, SECTION, column), replies)
        setting.values[column] = list(values(replies, setting.panel.answerers[column]))


def material(setting: Setting) -> list[Material]:
    """The documents of the table."""
    return held_out(setting, SECTION, FIRST_SEED, COUNT)


def held_out(setting: Setting, section: str, first: int, count: int) -> list[Material]:
    """So many held-out documents from a seed on, read."""

    def make() -> list[Material]:
        seeds = range(first, first + setting.count(count))
        samples = [document(seed, setting.faces, held_out=True) for seed in seeds]
        return read(setting.ocr, samples, section)

    return setting.material(section, make)


def questions(materials: Sequence[Material]) -> list[Asked]:
    """Everything that is asked of some documents."""
    found: list[Asked] = []
    for one in materials:
        tags = {"kind": one.sample.kind, "language": one.sample.language}
        found += asked_of(SECTION, one.sample.tasks, one.inputs, tags)
    return found
