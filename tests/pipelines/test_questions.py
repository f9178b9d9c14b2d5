"""Another question, and a schema, are answered from the tables: no asset is opened, old answers stay."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from pipelines.tables import read_table
from tests.pipelines.conftest import ARCHIVE, QUESTION

SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 40}, "pages": {"type": ["integer", "null"]}},
    "required": ["title", "pages"],
    "additionalProperties": False,
}


def test_a_schema_is_answered_from_what_was_read(demo: tuple[Outcome, str], tmp_path: Path) -> None:
    _, out = demo
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    before = read_table(out, "parts").to_table(columns=["part_id", "run_id"])
    asked = {"run.answer_schema": str(schema), "decoder.max_new_tokens": 40, "cluster.num_cpus": 2}
    settings = load_settings(None, asked, {}).settings
    progress = Progress(Console(file=(tmp_path / "progress").open("w"), width=200))
    outcome = Run(settings, [str(ARCHIVE / "photos"), str(ARCHIVE / "reports")], out, progress).execute()
    assert outcome.ledger.balanced and not outcome.interrupted
    assert read_table(out, "parts").to_table(columns=["part_id", "run_id"]).equals(before)
    rows = read_table(out, "answers").to_table().to_pylist()
    given = [row for row in rows if row["question"] is None]
    assert len(given) == 4 and sum(row["question"] == QUESTION for row in rows) == len(rows) - 4
    for row in given:
        value = json.loads(row["answer"])
        assert set(value) == {"title", "pages"} and isinstance(value["title"], str) and len(value["title"]) <= 40
        assert {leaf["path"] for leaf in row["leaves"]} == {"/title", "/pages"}
        assert all(0 <= leaf["confidence"] <= 1 for leaf in row["leaves"])
    again = Run(settings, [str(ARCHIVE / "photos"), str(ARCHIVE / "reports")], out, progress).execute()
    assert again.nothing_new
