from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from encoders.failures import InterlaceError
from encoders.results import Chunk, SpokenWord
from pipelines.export import ExportFormat, export, file_names
from pipelines.records import read_records
from pipelines.rows import page_of
from pipelines.subtitles import subtitles
from tests.pipelines.small_lake import chunk, demo_rows, write_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_lake(tmp_path_factory.mktemp("lake"), demo_rows("/data"))


def test_records_are_whole_assets(lake: str) -> None:
    records = {record.uri: record for record in read_records(lake)}
    report = records["/data/docs/report.pdf"]
    assert [page.page for page in report.pages] == [1, 2]
    assert report.seconds == {"open": 0.5, "ocr": 3.0}
    assert report.answers[0]["evidence"][0]["page"] == 2
    call = records["/data/calls/call <1>.mp3"].speech
    assert call is not None and call.duration == 80
    assert [item.speaker for item in call.chunks] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_01", "SPEAKER_00"]
    assert {speaker.speaker: speaker.seconds for speaker in call.speakers} == {"SPEAKER_00": 10.0, "SPEAKER_01": 10.0}
    assert records["/data/docs/broken.pdf"].failures[0].category == "corrupt"


def test_records_of_some_assets(lake: str) -> None:
    assert [record.uri for record in read_records(lake, status={"failed"})] == ["/data/docs/broken.pdf"]
    (record,) = read_records(lake, uris={"/data/docs/report.pdf"})
    assert len(record.pages) == 2 and record.answers


def test_records_keep_first_pages_and_those_with_evidence(lake: str) -> None:
    (record,) = read_records(lake, uris={"/data/docs/report.pdf"}, first_pages=1)
    assert [page.page for page in record.pages] == [1, 2]  # the answer was read on page 2
    (record,) = read_records(lake, uris={"/data/docs/report.pdf"}, first_pages=0)
    assert [page.page for page in record.pages] == [2]


def test_rows_and_pages_round_trip(lake: str) -> None:
    row = demo_rows("/data")["parts"][1]["pages"][0]
    assert asdict(page_of(row)) == row


def test_markdown_joins_what_part_edges_cut(lake: str, tmp_path: Path) -> None:
    summary = export(lake, str(tmp_path), ExportFormat.MARKDOWN)
    assert (summary.written, summary.skipped) == (2, {"failed": 1})
    text = (tmp_path / "docs/report.pdf.md").read_text("utf-8")
    assert "The crème of the instruments stayed on the pier." in text
    assert "Harbour report" not in text  # a running header
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows == ["| Part | Count |", "| --- | --- |", "| Clamp | 12 |", "| Fuse | 7 |"]
    assert not list(tmp_path.rglob("broken*"))


def test_markdown_of_a_call_has_turns(lake: str, tmp_path: Path) -> None:
    export(lake, str(tmp_path), ExportFormat.MARKDOWN)
    turns = (tmp_path / "calls/call _1_.mp3.md").read_text("utf-8").split("\n\n")
    assert turns[0] == "**SPEAKER_00** [0:00:01.0] Good morning this is Miriam"
    assert turns[2] == "**SPEAKER_01** [0:01:01.0] The handbooks left today"


def test_jsonl_has_a_file_for_every_asset(lake: str, tmp_path: Path) -> None:
    summary = export(lake, str(tmp_path), ExportFormat.JSONL)
    assert summary.written == 3 and not summary.skipped
    first, *pages = map(json.loads, (tmp_path / "docs/report.pdf.jsonl").read_text("utf-8").splitlines())
    assert first["answers"][0]["answer"].startswith("£1,080.60") and first["status"] == "ok"
    rows = demo_rows("/data")["parts"]
    assert pages == [json.loads(json.dumps({"type": "page", **row["pages"][0]})) for row in (rows[1], rows[0])]
    (failed,) = map(json.loads, (tmp_path / "docs/broken.pdf.jsonl").read_text("utf-8").splitlines())
    assert failed["failures"][0]["category"] == "corrupt"
    call = [json.loads(row) for row in (tmp_path / "calls/call _1_.mp3.jsonl").read_text("utf-8").splitlines()]
    assert call[0]["speech"]["language"] == "en" and [row["type"] for row in call[1:]] == ["chunk"] * 4


def test_srt_of_a_call(lake: str, tmp_path: Path) -> None:
    summary = export(lake, str(tmp_path), ExportFormat.SRT)
    assert summary.written == 1 and summary.skipped == {"not a recording": 1, "failed": 1}
    cues = (tmp_path / "calls/call _1_.mp3.srt").read_text("utf-8").split("\n\n")
    assert cues[0] == "1\n00:00:01,000 --> 00:00:03,400\nSPEAKER_00: Good morning this is Miriam"
    assert cues[2].splitlines()[1:] == ["00:01:01,000 --> 00:01:02,900", "The handbooks left today"]


def test_long_speech_becomes_cues_that_fit() -> None:
    text = "The handrail on the left side is loose, and one of the steps is cracked. " * 6
    cues = [cue.splitlines() for cue in subtitles([chunk(text.strip(), 0, "A"), chunk("Yes.", 60, "B")]).split("\n\n")]
    assert len(cues) > 6
    for _, times, *lines in cues:
        start, end = (
            sum(float(x) * f for x, f in zip(re.split("[:]", t.replace(",", ".")), (3600, 60, 1)))
            for t in times.split(" --> ")
        )
        assert 0 < end - start <= 7.5
        assert len(lines) <= 2 and all(len(line) <= 42 for line in lines)
    assert "A: The handrail" in cues[0][2] and cues[-1][2] == "B: Yes."
    said = " ".join(" ".join(cue[2:]) for cue in cues[:-1]).removeprefix("A: ")
    assert said == text.strip()


def test_unspaced_speech_wraps_by_width() -> None:
    signs = "北港水位站将于六月十八日上午九点至下午四点进行检修期间数据将暂停更新"
    words = tuple(SpokenWord(sign, i * 0.2, i * 0.2 + 0.2, 0.9) for i, sign in enumerate(signs))
    cues = subtitles([Chunk(signs, 0, 7, 0.9, None, words)]).split("\n\n")
    lines = [line for cue in cues for line in cue.splitlines()[2:]]
    assert "".join(lines) == signs and all(len(line) <= 21 for line in lines)


def test_file_names_are_safe_and_apart() -> None:
    names = file_names(
        [
            "s3://bucket/a/../../etc/passwd",
            "s3://bucket/a/Scan.pdf",
            "s3://bucket/a/scan.PDF",
            "s3://bucket/a/con.png",
            "s3://bucket/a/.hidden",
            "s3://bucket/a/tab\there?.png",
            "s3://bucket/a/" + "長" * 120 + ".png",
            "s3://bucket/a/x.md/inner.png",
            "s3://bucket/a/x",
        ]
    )
    values = list(names.values())
    assert len({name.casefold() for name in values}) == len(values)
    assert all(piece not in ("", ".", "..") for name in values for piece in name.split("/"))
    assert names["s3://bucket/a/con.png"] == "_con.png" and names["s3://bucket/a/.hidden"] == "_.hidden"
    assert names["s3://bucket/a/tab\there?.png"] == "tab_here_.png"
    assert names["s3://bucket/a/Scan.pdf"] != "Scan.pdf"  # it differs from another in case alone
    assert all(len(piece.encode()) < 220 for name in values for piece in name.split("/"))
    assert names["s3://bucket/a/x"] != "x"  # x.md is a folder


def test_one_file_keeps_its_name() -> None:
    assert file_names(["/data/a/b.pdf"]) == {"/data/a/b.pdf": "b.pdf"}


def test_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(InterlaceError, match="holds no Interlace tables"):
        export(str(tmp_path / "none"), str(tmp_path / "to"), ExportFormat.JSONL)
