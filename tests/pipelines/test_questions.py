"""Another question, and a schema, are answered from the tables: no asset is opened, old answers stay."""

from __future__ import annotations

import json

from pipelines.tables import read_table
from tests.pipelines.conftest import QUESTION, Runs


def test_a_schema_is_answered_from_what_was_read(runs: Runs) -> None:
    assert runs.asked.ledger.balanced and not runs.asked.interrupted
    assert read_table(runs.out, "parts").to_table(columns=["part_id", "run_id"]).equals(runs.parts)
    rows = read_table(runs.out, "answers").to_table().to_pylist()
    given = [row for row in rows if row["question"] is None]
    assert len(given) == 4 and sum(row["question"] == QUESTION for row in rows) == len(rows) - 4
    for row in given:
        value = json.loads(row["answer"])
        assert set(value) == {"title", "pages"} and isinstance(value["title"], str) and len(value["title"]) <= 40
        assert {leaf["path"] for leaf in row["leaves"]} == {"/title", "/pages"}
        assert all(0 <= leaf["confidence"] <= 1 for leaf in row["leaves"])
    assert runs.again.nothing_new
