"""The sections of the table by name, and what each asks about."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.hybrid import chats, documents, ratios, reading, receipts, screens, speech, speed, sureness
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report

SECTIONS: dict[str, Callable[[Setting, Report], None]] = {
    "receipts": receipts.run,
    "documents": documents.run,
    "screens": screens.run,
    "chats": chats.run,
    "ratios": ratios.run,
    "reading": reading.run,
    "aloud": speech.aloud,
    "calls": speech.calls,
    "pairs": speech.pairs,
    "calibration": sureness.run,
    "speed": speed.run,
}

ONE_COLUMN = ("ratios", "reading", "aloud")
"""Sections that look at the first soft column alone, or at none."""
BESIDE = ("chats",)
"""Sections that hold one trained column, the first, against the untrained decoder."""
AFTER = ("calibration", "speed")
"""Sections that want what others found, or the machine for themselves: last, one after another."""

MATERIAL: dict[str, dict[str, Callable[[Setting], list[Material]]]] = {
    "receipts": {"receipts": receipts.material},
    "documents": {"documents": documents.material},
    "screens": {"screens": screens.material},
    "ratios": {"documents": documents.material},
    "reading": {f"reading-{kind}": partial(reading.material, kind=kind) for kind in reading.KINDS},
    "aloud": {f"voices-{fold}": partial(speech.voices, fold=fold) for fold in speech.FOLDS},
    "calls": {"calls": speech.called},
    "pairs": {"pairs": speech.paired},
    "calibration": {"calibration": sureness.material},
    "speed": {"speed": speed.material},
}
"""What a section asks about, under the names that it has in a kit."""


def run(name: str, setting: Setting, report: Report) -> None:
    """One section into a report; without its data it says so and is left out."""
    try:
        SECTIONS[name](setting, report)
    except FileNotFoundError as error:
        report.lines.append(f"{name}: left out, {error}")
