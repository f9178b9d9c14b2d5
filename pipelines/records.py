"""Whole assets out of the tables: parts joined in order, rows turned back into result types, one at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.failures import Failure
from encoders.results import Detection, Page, Speaker, Speech
from encoders.speech.matching import match_speakers
from pipelines.rows import detection_of, failure_of, page_of, speech_of
from pipelines.storage import Storage
from pipelines.tables import read_batches, read_rows

PART_COLUMNS = (
    "part_id",
    "uri",
    "modality",
    "media_type",
    "range_start",
    "status",
    "pages",
    "speech",
    "objects",
    "gui_elements",
    "failures",
    "seconds",
)
BATCH_ROWS = 16  # as Arrow; as Python objects a part of 32 dense pages takes 30 MB, so these are made one at a time


@dataclass(slots=True)
class AssetRecord:
    """One asset as the tables know it, over all of its parts.

    ``pages`` are in order; ``speech`` is one transcript with times from the start of the recording and one label
    per voice. ``answers`` are rows of the table `answers`; ``seconds`` has the time of each stage.
    """

    uri: str
    etag: str = ""
    size: int = 0
    modified: datetime | None = None
    media_type: str = ""
    modality: str = ""
    status: str = ""
    parts: int = 0
    page_count: int = 0  # as the probe found
    duration: float = 0.0  # seconds, as the probe found
    pages: list[Page] = field(default_factory=list)
    speech: Speech | None = None
    objects: list[Detection] = field(default_factory=list)
    gui_elements: list[Detection] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Part:
    """What one row of `parts` adds to its asset."""

    start: float
    pages: list[Page]
    speech: Speech | None
    objects: list[Detection]
    gui_elements: list[Detection]
    failures: list[Failure]
    seconds: list[dict[str, Any]]


def read_records(
    out: str | Storage,
    *,
    uris: Collection[str] | None = None,
    status: Collection[str] | None = None,
    first_pages: int | None = None,
) -> Iterator[AssetRecord]:
    """Every asset of OUT once, in table order; only those of ``uris`` and ``status`` when given.

    With ``first_pages`` a record keeps so many pages, and those that an answer's evidence stands on. One pass over
    `parts`: an asset leaves when its last part was seen, so that memory holds the assets under way and the small
    columns of `assets` and `answers`. Raises InterlaceError when OUT holds no tables.
    """
    assets = read_rows(out, "assets", filter=_condition(uris, status)).combine_chunks()
    pending = {uri: number for number, uri in enumerate(assets["uri"].to_pylist())}  # rows stay Arrow: a tenth of dicts
    counts = assets["parts"].to_pylist()
    answers = read_rows(out, "answers", filter=_condition(uris, None)).combine_chunks()
    answered: dict[str, list[int]] = {}
    for number, uri in enumerate(answers["uri"].to_pylist()):
        answered.setdefault(uri, []).append(number)

    def answers_of(uri: str) -> list[dict[str, Any]]:
        return [answers.slice(number, 1).to_pylist()[0] for number in answered.get(uri, ())]

    def record(uri: str, parts: list[_Part]) -> AssetRecord:
        return _record(assets.slice(pending.pop(uri), 1).to_pylist()[0], parts, answers_of(uri))

    waiting: dict[str, list[_Part]] = {}
    scan = read_batches(
        out,
        "parts",
        columns=list(PART_COLUMNS),
        filter=_condition(uris, None),
        batch_size=BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
    )
    for batch in scan:
        for number, uri in enumerate(batch["uri"].to_pylist()):
            if uri not in pending:
                continue  # filtered out, or its last part is not published yet
            keep = None if first_pages is None else {*range(1, first_pages + 1), *_evident(answers_of(uri))}
            parts = waiting.setdefault(uri, [])
            parts.append(_part(batch.slice(number, 1).to_pylist()[0], keep))
            if len(parts) >= (counts[pending[uri]] or 1):
                yield record(uri, waiting.pop(uri))
    for uri in list(pending):  # parts that are missing, and assets that never had one
        yield record(uri, waiting.pop(uri, []))


def _evident(answers: Sequence[dict[str, Any]]) -> set[int]:
    """Pages on which evidence stands."""
    return {item["page"] for row in answers for item in row["evidence"] or () if item["page"] is not None}


def _condition(uris: Collection[str] | None, status: Collection[str] | None) -> pc.Expression | None:
    terms = [
        pc.field(name).isin(pa.array(sorted(values), pa.string()))
        for name, values in (("uri", uris), ("status", status))
        if values is not None
    ]
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else terms[0] & terms[1]


def _part(row: dict[str, Any], keep: set[int] | None) -> _Part:
    return _Part(
        start=row["range_start"] or 0,
        pages=[page_of(page) for page in row["pages"] or () if keep is None or page["page"] in keep],
        speech=speech_of(row["speech"]) if row["speech"] is not None else None,
        objects=[detection_of(item) for item in row["objects"] or ()],
        gui_elements=[detection_of(item) for item in row["gui_elements"] or ()],
        failures=[failure_of(item) for item in row["failures"] or ()],
        seconds=row["seconds"] or [],
    )


def _record(asset: dict[str, Any], parts: list[_Part], answers: list[dict[str, Any]]) -> AssetRecord:
    parts.sort(key=lambda part: part.start)
    seconds: dict[str, float] = {}
    for stage in (stage for part in parts for stage in part.seconds):
        seconds[stage["stage"]] = seconds.get(stage["stage"], 0.0) + stage["seconds"]
    return AssetRecord(
        uri=asset["uri"],
        etag=asset["etag"] or "",
        size=asset["size"] or 0,
        modified=asset["modified"],
        media_type=asset["media_type"] or "",
        modality=asset["modality"] or "",
        status=asset["status"] or "",
        parts=len(parts),
        page_count=asset["pages"] or 0,
        duration=asset["seconds"] or 0.0,
        pages=sorted((page for part in parts for page in part.pages), key=lambda page: page.page),
        speech=_whole([part.speech for part in parts if part.speech is not None]),
        objects=[item for part in parts for item in part.objects],
        gui_elements=[item for part in parts for item in part.gui_elements],
        failures=[item for part in parts for item in part.failures],
        answers=answers,
        seconds=seconds,
    )


def _whole(parts: Sequence[Speech]) -> Speech | None:
    """The parts of a recording as one transcript; voices that sound alike have one label."""
    if len(parts) < 2:
        return parts[0] if parts else None
    matched = match_speakers(parts)
    speakers: dict[str, Speaker] = {}
    for speaker in (speaker for part in matched for speaker in part.speakers):
        known = speakers.get(speaker.speaker)
        total = speaker.seconds + (known.seconds if known else 0.0)
        speakers[speaker.speaker] = Speaker(speaker.speaker, total, (known or speaker).embedding)
    most = max(matched, key=lambda part: sum(chunk.end - chunk.start for chunk in part.chunks))
    return Speech(
        text=" ".join(part.text for part in matched if part.text),
        language=most.language,
        language_confidence=most.language_confidence,
        duration=sum(part.duration for part in matched),
        chunks=tuple(chunk for part in matched for chunk in part.chunks),
        speakers=tuple(speakers[label] for label in sorted(speakers)),
    )
