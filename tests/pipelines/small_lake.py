"""A small lake made by hand: a paged document in two parts, a two-part call, a failed file, and their answers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import write_deltalake

from encoders.failures import Failure, FailureCategory
from encoders.results import Cell, Chunk, Line, Page, Role, Speaker, Speech, SpokenWord, Table, Word, quad
from pipelines.lease import Lease
from pipelines.manifest import LISTING, MANIFEST, Manifest
from pipelines.publish import publish
from pipelines.runfiles import RunFiles
from pipelines.storage import Storage
from pipelines.tables import SCHEMAS, rows_to_table


def line(
    text: str, y: float, *, role: Role = Role.BODY, paragraph: int = 0, x: float = 60, confidence: float = 0.97
) -> Line:
    """A line of words of 10 pixels a sign, 20 pixels high."""
    words, left = [], x
    for word in text.split():
        words.append(Word(word, quad(left, y, left + 10 * len(word), y + 20), confidence))
        left += 10 * len(word) + 10
    return Line(text, quad(x, y, left - 10, y + 20), confidence, tuple(words), role, paragraph)


def page(number: int, lines: list[Line], tables: tuple[Table, ...] = (), source: str = "ocr") -> Page:
    text = "\n".join(item.text for item in lines if item.role is not Role.HEADER)
    return Page(number, 600, 800, source, text, tuple(lines), tables)


def chunk(text: str, start: float, speaker: str, confidence: float = 0.9) -> Chunk:
    words = tuple(
        SpokenWord(f" {word}" if index else word, start + index * 0.5, start + index * 0.5 + 0.4, confidence, speaker)
        for index, word in enumerate(text.split())
    )
    return Chunk(text, start, start + len(words) * 0.5, confidence, speaker, words)


def speech(chunks: list[Chunk], voices: dict[str, tuple[float, ...]], duration: float) -> Speech:
    speakers = tuple(Speaker(label, 5.0, vector) for label, vector in voices.items())
    return Speech(" ".join(item.text for item in chunks), "en", 0.98, duration, tuple(chunks), speakers)


def parts_table(page_number: int, rows: list[list[str]], *, continues: bool = False) -> tuple[Table, list[Line]]:
    """A table at the foot (or, when it continues, at the top) of a page, and its lines."""
    top = 100.0 if continues else 640.0
    cells, lines = [], []
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            box = quad(60 + 200 * c, top + 30 * r, 250 + 200 * c, top + 30 * r + 26)
            cells.append(Cell(r, c, 1, 1, text, box))
            lines.append(line(text, top + 30 * r, role=Role.TABLE, paragraph=9, x=64 + 200 * c))
    box = quad(60, top, 60 + 200 * len(rows[0]), top + 30 * len(rows))
    return Table(box, len(rows), len(rows[0]), tuple(cells), continues), lines


def asset(uri: str, modality: str, media_type: str, **more: Any) -> dict[str, Any]:
    return {"uri": uri, "etag": "e1", "modality": modality, "media_type": media_type, "status": "ok", "parts": 1} | more


def part(uri: str, modality: str, media_type: str, start: float, **more: Any) -> dict[str, Any]:
    row = {
        "part_id": f"{uri}#{start:g}",
        "uri": uri,
        "etag": "e1",
        "modality": modality,
        "media_type": media_type,
        "range_start": start,
        "status": "ok",
        "failures": [],
        "seconds": [{"stage": "open", "seconds": 0.25}, {"stage": "ocr", "seconds": 1.5}],
        "run_id": "run-1",
    }
    return row | more


def write_lake(out: Path, rows: dict[str, list[dict[str, Any]]]) -> str:
    """Delta tables with these rows; the name of the folder."""
    for name, schema in SCHEMAS.items():
        write_deltalake(str(out / name), rows_to_table(rows.get(name, []), schema), mode="append")
    return str(out)


def publish_lake(out: Path, rows: dict[str, list[dict[str, Any]]]) -> str:
    """The same as the work of a finished run: manifest, commit and publish; the tables have a ledger and a history."""
    files = RunFiles(Storage(str(out)), "run-1")
    listing = [
        row | {"state": "new", "pages": row.get("pages", 0), "seconds": row.get("seconds", 0.0)}
        for row in rows["assets"]
    ]
    parts = []
    for row in rows["parts"]:
        units = row["speech"]["duration"] if row.get("speech") else len(row.get("pages") or ())
        parts.append(row | {"units": units, "batch": 0})
    files.freeze(Manifest(rows_to_table(listing, LISTING), rows_to_table(parts, MANIFEST)))
    started = datetime.now(UTC) - timedelta(seconds=90)
    files.write_state({"run_id": "run-1", "started": started.isoformat(), "finished": started.isoformat()})
    files.commit({name: rows_to_table(rows[name], SCHEMAS[name]) for name in ("parts", "answers")})
    with Lease(files.storage, "test") as lease:
        publish(files, lease)
    return str(out)


def demo_rows(root: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of the small lake, for files below ``root``."""
    report, call, bad = f"{root}/docs/report.pdf", f"{root}/calls/call <1>.mp3", f"{root}/docs/broken.pdf"
    head = [["Part", "Count"]]
    first_table, first_lines = parts_table(1, [*head, ["Clamp", "12"]])
    next_table, next_lines = parts_table(2, [*head, ["Fuse", "7"]], continues=True)
    one = page(
        1,
        [
            line("Harbour report", 20, role=Role.HEADER, paragraph=0),
            line("The Gauge", 60, role=Role.HEADING, paragraph=1),
            line("The crème of the instru-", 120, paragraph=2, confidence=0.62),
            line("ments stayed on the pier.", 150, paragraph=2),
            *first_lines,
        ],
        (first_table,),
    )
    two = page(
        2, [*next_lines, line("The total due is £1,080.60 today.", 400, paragraph=1)], (next_table,), "text_layer"
    )
    miriam, tom = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    early = speech(
        [chunk("Good morning this is Miriam", 1, "SPEAKER_00"), chunk("Hello Miriam", 5, "SPEAKER_01")],
        {"SPEAKER_00": miriam, "SPEAKER_01": tom},
        60.0,
    )
    late = speech(
        [chunk("The handbooks left today", 61, "SPEAKER_00"), chunk("Thank you", 66, "SPEAKER_01")],
        {"SPEAKER_00": tom, "SPEAKER_01": miriam},
        20.0,
    )
    locked = Failure(FailureCategory.CORRUPT, "open", "the cross-reference <table> is broken")
    pdf, mp3 = "application/pdf", "audio/mpeg"
    answer = {
        "uri": report,
        "etag": "e1",
        "question": "What is due?",
        "answer": "£1,080.60 </script><b>now</b>",
        "confidence": 0.84,
        "truncated": True,
        "precontext": ["ocr"],
        "evidence": [
            {
                "value": "£1,080.60",
                "part_id": f"{report}#1",
                "page": 2,
                "quad": list(quad(230, 400, 320, 420)),
                "confidence": 0.97,
            }
        ],
    }
    leaves = [
        {"path": "kind", "value": "call", "confidence": 0.9, "seen": False},
        {"path": "caller", "value": "Miriam", "confidence": 0.7, "seen": True},
    ]
    facts = {
        "uri": call,
        "etag": "e1",
        "answer": '{"kind": "call", "caller": "Miriam"}',
        "confidence": 0.7,
        "leaves": leaves,
        "evidence": [{"path": "caller", "value": "Miriam", "part_id": f"{call}#0", "start": 3.0, "end": 3.4}] * 2,
    }
    return {
        "assets": [
            asset(report, "document", pdf, pages=2, parts=2, size=1200),
            asset(call, "audio", mp3, seconds=80.0, parts=2, size=900),
            asset(bad, "document", pdf, status="failed", size=10),
        ],
        "parts": [
            part(report, "document", pdf, 1, pages=[asdict(two)], text=two.text),
            part(report, "document", pdf, 0, pages=[asdict(one)], text=one.text),
            part(call, "audio", mp3, 0, speech=asdict(early), text=early.text),
            part(call, "audio", mp3, 60, speech=asdict(late), text=late.text),
            part(bad, "document", pdf, 0, status="failed", failures=[asdict(locked)]),
        ],
        "answers": [answer, facts],
    }
