"""The table: rows by column, groups, and the default mode of a row and of a section."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.hybrid.columns import ZERO_SHOT, columns
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.table import ENCODER, Report


def answers(row: str, right: int, count: int, tokens: int, language: str = "en") -> list[Outcome]:
    tags = {"language": language}
    return [
        Outcome(row, Measure.RATE, float(index < right), f"d{index}", prompt_tokens=tokens, tags=tags)
        for index in range(count)
    ]


@pytest.fixture
def report() -> Report:
    report = Report()
    for column, right, tokens in ((ZERO_SHOT, 10, 800), ("text", 90, 800), ("soft", 60, 400), ("both", 95, 1200)):
        report.add(column, answers("documents: field", right, 100, tokens))
        report.add(column, answers("documents: valid JSON", 100, 100, tokens))
    report.add("soft", [Outcome("reading: prose", Measure.ERROR, 3, "l", of=100, prompt_tokens=60)])
    report.add(ENCODER, [Outcome("reading: prose", Measure.ERROR, 1, "l", of=100)])
    return report


def test_the_table_prints_every_row_with_its_default_mode(report: Report) -> None:
    field, valid, prose, *rest = [line for line in report.text().splitlines() if line.strip()][1:]
    assert field.split()[:4] == ["documents:", "field", "100", "10.0"] and "95.0 (88.8-97.8)" in field
    assert field.endswith("800 / 800 / 400 / 1200  text")  # 90 lies within both's interval and costs less
    assert valid.endswith("soft")
    assert "3.0 (3.0-3.0)" in prose and "1.0 (1.0-1.0)" in prose
    assert rest[0] == "Default mode by the rule, over all rates of a section: documents text"
    assert "MISSED documents: field, text: 0.900 (wanted >= 0.95)" in rest


def test_the_json_has_groups_that_the_table_leaves_out(report: Report, tmp_path: Path) -> None:
    report.extras["speed"] = {"text": 1}
    report.write(tmp_path / "out" / "table.json", {"device": "cpu"})
    kept = json.loads((tmp_path / "out" / "table.json").read_text())
    assert kept["rows"]["documents: field"]["both"]["value"] == 0.95
    assert kept["groups"]["language"]["documents: field (en)"]["soft"]["count"] == 100
    assert kept["default_modes"] == {"documents": "text", "reading": None}
    assert kept["speed"] == {"text": 1} and kept["settings"] == {"device": "cpu"}


def test_columns_name_modes_and_rates() -> None:
    names = [(column.name, column.mode, column.rate) for column in columns("base", "tuned", ["text", "soft@16"])]
    assert names == [(ZERO_SHOT, "text", None), ("text", "text", None), ("soft@16", "soft", 16)]
    assert [column.name for column in columns("base", None, ["text"])] == [ZERO_SHOT]
    with pytest.raises(ValueError, match="hard is no mode"):
        columns("base", None, ["hard"])
