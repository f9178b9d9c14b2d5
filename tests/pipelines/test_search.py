from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from encoders.failures import InterlaceError
from encoders.results import quad
from pipelines.search import Hit, search
from pipelines.search_output import show
from tests.pipelines.small_lake import asset, demo_rows, line, page, part, write_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = demo_rows("/data")
    script = page(
        1, [line("北港水位站将于六月十八日", 50), line("进行检修，期间数据", 90), line("Ответ: ΣΟΦΟΣ Straße", 130)]
    )
    rows["assets"].append(asset("/data/zh.png", "image", "image/png"))
    rows["parts"].append(part("/data/zh.png", "image", "image/png", 0, pages=[asdict(script)]))
    return write_lake(tmp_path_factory.mktemp("lake"), rows)


def hits(lake: str, text: str) -> list[Hit]:
    return list(search(lake, text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CREME", "crème"),
        ("creme of the", "crème of the"),
        ("the pier", "the pier."),
        ("£1,080.60", "£1,080.60"),
        ("1080.60", None),
        ("harbour report", "Harbour report"),  # a running header, which the page's text leaves out
        ("instruments stayed", "instru- ments stayed"),
        ("ments", "ments"),
        ("crem", None),
        ("crem*", "crème"),
        ("水位站", "北港水位站将于六月十八日"),
        ("十八日进行", "北港水位站将于六月十八日进行检修，期间数据"),
        ("σοφος", "ΣΟΦΟΣ"),
        ("strasse", "Straße"),
        ("pier clamp", None),
    ],
)
def test_words_and_phrases(lake: str, text: str, found: str | None) -> None:
    assert [hit.text for hit in hits(lake, text)] == ([found] if found else [])


def test_a_hit_says_where_it_stands(lake: str) -> None:
    (hit,) = hits(lake, "of the instruments")
    assert (hit.uri, hit.page, hit.before) == ("/data/docs/report.pdf", 1, "Harbour report The Gauge The crème")
    assert hit.quads == (quad(160, 120, 300, 140), quad(60, 150, 110, 170))
    assert hit.confidence == pytest.approx(0.62)


def test_a_hit_in_a_recording_has_times_and_its_speaker(lake: str) -> None:
    (hit,) = hits(lake, "handbooks left")
    assert (hit.uri, hit.start, hit.end, hit.speaker) == ("/data/calls/call <1>.mp3", 61.5, 62.4, "SPEAKER_00")
    assert [found.start for found in hits(lake, "miriam hello")] == [3.0]  # over the edge of a chunk


def test_a_limit_ends_the_search(lake: str) -> None:
    assert len(hits(lake, "the")) > 2
    assert len(list(search(lake, "the", limit=2))) == 2


def test_nothing_to_search_for(lake: str, tmp_path: Path) -> None:
    with pytest.raises(InterlaceError, match="give a word"):
        hits(lake, " ?! ")
    with pytest.raises(InterlaceError, match="holds no Interlace tables"):
        hits(str(tmp_path), "word")


def test_output_is_json_lines_or_plain_fields(lake: str) -> None:
    out = io.StringIO()
    assert show(search(lake, "pier"), Console(file=out), as_json=True) == 1
    assert json.loads(out.getvalue())["page"] == 1
    out = io.StringIO()
    show(search(lake, "pier"), Console(file=out, width=40))
    uri, place, box, context = out.getvalue().rstrip("\n").split("\t")
    assert (uri, place, box) == ("/data/docs/report.pdf", "page 1", "260,150,310,170")
    assert "[pier.]" in context
    out = io.StringIO()
    show(search(lake, "left today"), Console(file=out, force_terminal=True, width=200))
    assert "0:01:01.5" not in out.getvalue() and "0:01:02.0" in out.getvalue()


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    hostile = page(1, [line("evil\x1b]0;title\x07 word", 10)])
    rows = {
        "assets": [asset("/x\x1b[2J.png", "image", "image/png")],
        "parts": [part("/x\x1b[2J.png", "image", "image/png", 0, pages=[asdict(hostile)])],
    }
    lake = write_lake(tmp_path, rows)
    for terminal in (True, False):
        out = io.StringIO()
        show(search(lake, "word"), Console(file=out, force_terminal=terminal, color_system=None))
        assert "\x1b]" not in out.getvalue() and "\x1b[2J" not in out.getvalue()
