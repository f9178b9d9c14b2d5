"""The demo archive end to end: every file against what it is known to say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rapidfuzz.distance import Levenshtein

from encoders.layout import join_pages
from pipelines.outcome import Outcome
from pipelines.records import AssetRecord, read_records
from pipelines.tables import read_table
from tests.pipelines.conftest import ARCHIVE, QUESTION

TRUTH: dict[str, dict[str, Any]] = json.loads((ARCHIVE.parent / "truth.json").read_text("utf-8"))
READ = [name for name, truth in TRUTH.items() if truth["status"] == "ok"]
# Character error, spaces aside. Scans may lose a little; a text layer may lose nothing.
BOUND = {"text_layer": 0.0, "ocr": 0.05}
# Captions and figures of a screen have no one reading order: its words are compared as a bag.
UNORDERED = {"photos/Screenshot 2024-06-30.png"}


@pytest.fixture(scope="module")
def records(demo: tuple[Outcome, str]) -> dict[str, AssetRecord]:
    return {str(Path(record.uri).relative_to(ARCHIVE)): record for record in read_records(demo[1])}


def test_every_file_is_accounted_for(demo: tuple[Outcome, str], records: dict[str, AssetRecord]) -> None:
    outcome, _ = demo
    assert set(records) == set(TRUTH)
    assert outcome.ledger.balanced and not outcome.interrupted
    assert outcome.ledger.accounts["assets"].terms["failed"] == len(TRUTH) - len(READ)
    assert outcome.ledger.accounts["pages"].terms["done"] == sum(TRUTH[name].get("pages", 0) for name in READ)


@pytest.mark.parametrize("name", [name for name in READ if TRUTH[name]["modality"] != "audio"])
def test_pages_say_what_they_say(records: dict[str, AssetRecord], name: str) -> None:
    record, truth = records[name], TRUTH[name]
    assert record.status == "ok" and record.media_type == truth["media_type"]
    assert {page.source for page in record.pages} == {truth["source"]}
    assert [page.page for page in record.pages] == list(range(1, truth["pages"] + 1))
    assert {page.rotation for page in record.pages} == {truth.get("rotation", 0)}
    read, known = join_pages(record.pages), truth["text"]
    if name in UNORDERED:
        read, known = " ".join(sorted(read.split())), " ".join(sorted(known.split()))
    read, known = "".join(read.split()), "".join(known.split())
    assert Levenshtein.distance(read, known) / len(known) <= BOUND[truth["source"]], read


@pytest.mark.parametrize("name", [name for name in READ if TRUTH[name]["modality"] == "audio"])
def test_recordings_say_what_they_say(records: dict[str, AssetRecord], name: str) -> None:
    record, truth = records[name], TRUTH[name]
    assert record.speech is not None
    assert len(record.speech.speakers) == truth["speakers"]
    assert record.speech.duration == pytest.approx(truth["seconds"], abs=0.2)
    read, known = (re.findall(r"[a-z0-9']+", text.lower()) for text in (record.speech.text, truth["text"]))
    assert Levenshtein.distance(read, known) / len(known) <= 0.15, record.speech.text
    assert all(chunk.speaker and chunk.words for chunk in record.speech.chunks)


@pytest.mark.parametrize("name", [name for name in TRUTH if name not in READ])
def test_bad_files_fail_with_their_category(records: dict[str, AssetRecord], name: str) -> None:
    record = records[name]
    assert record.status == "failed"
    assert [failure.category.value for failure in record.failures] == [TRUTH[name]["category"]]
    assert Path(name).name in record.failures[0].message or len(record.failures[0].message) > 10


def test_everything_that_was_read_was_answered_once(records: dict[str, AssetRecord]) -> None:
    given = {
        name: [answer for answer in record.answers if answer["question"] == QUESTION]
        for name, record in records.items()
    }
    for name, record in records.items():
        assert len(given[name]) == (name in READ), name
        for answer in given[name]:
            assert answer["answer"].strip() and 0 < answer["confidence"] <= 1
            assert answer["precontext"] == ["speech_to_text" if record.modality == "audio" else "ocr"]
    long = given["reports/annual-report-2024.pdf"][0]
    assert long["truncated"] and "passages" in long["note"]
    short = given["photos/parcel.webp"][0]
    assert not short["truncated"]


def test_duckdb_reads_all_tables(demo: tuple[Outcome, str]) -> None:
    assets, parts, answers = (read_table(demo[1], name) for name in ("assets", "parts", "answers"))
    assert duckdb.sql("select count(*), count(distinct uri) from assets").fetchall() == [(len(TRUTH), len(TRUTH))]
    words = duckdb.sql(
        "select word.text from (select unnest(line.words) word from (select unnest(page.lines) line"
        " from (select unnest(pages) page from parts))) where word.text = 'FRAGILE'"
    ).fetchall()
    assert words == [("FRAGILE",)]
    spoken = duckdb.sql("select unnest(speech.chunks).speaker from parts where modality = 'audio'").fetchall()
    assert {speaker for (speaker,) in spoken} == {"SPEAKER_00", "SPEAKER_01"}
    query = f"select count(*) from answers join assets using (uri, etag) where question = '{QUESTION}'"
    assert duckdb.sql(query).fetchall() == [(len(READ),)]
    del assets, parts, answers
