"""Answers to generated tasks against their truth."""

from __future__ import annotations

import json

import pytest

from benchmarks.hybrid.judged import judge_task, leaves, valid_json
from decoder.answer import Answer
from pipelines.train.hybrid.samples import REFUSAL, Task

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "total": {"type": "string"},
            "iban": {"type": ["string", "null"]},
            "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        },
        "required": ["total", "iban", "items"],
    }
)
TRUTH = {"total": "12.50", "iban": None, "items": [{"name": "tea"}, {"name": "rice"}]}


def rows(task: Task, text: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for outcome in judge_task("d", task, "unit", {}, Answer("u", text, 1.0)):
        found.setdefault(outcome.row, []).append(outcome.amount)
    return found


@pytest.mark.parametrize(
    ("kind", "truth", "text", "row"),
    [
        ("field", "RM 12.50", "12.50", {"d: field": [1.0]}),
        ("count", "3", "There are 3", {"d: count": [0.0]}),
        ("unanswerable", REFUSAL, "Not in the document.", {"d: refused": [1.0]}),
        ("unanswerable", REFUSAL, "12", {"d: refused": [0.0]}),
    ],
)
def test_answers_in_words(kind: str, truth: str, text: str, row: dict[str, list[float]]) -> None:
    assert rows(Task(kind, "?", None, truth), text) == row


@pytest.mark.parametrize(
    ("given", "leaves_right", "null", "whole"),
    [
        (TRUTH, [1, 1, 1], 1, 1),
        (TRUTH | {"iban": ""}, [1, 1, 1], 1, 1),
        (TRUTH | {"iban": "DE1", "total": "12,50"}, [1, 1, 1], 0, 0),
        (TRUTH | {"items": [{"name": "tea"}]}, [1, 1, 0], 1, 0),
        (TRUTH | {"items": [*TRUTH["items"], {"name": "oil"}]}, [1, 1, 1], 1, 0),  # type: ignore[misc]
    ],
)
def test_answers_in_json(given: object, leaves_right: list[int], null: int, whole: int) -> None:
    task = Task("json", None, SCHEMA, json.dumps(TRUTH))
    assert rows(task, json.dumps(given)) == {
        "d: valid JSON": [1],
        "d: JSON leaves": leaves_right,
        "d: refused, schema": [null],
        "d: JSON as a whole": [whole],
    }


@pytest.mark.parametrize("text", ["", "{", '{"total": "1"}', '{"total": 1, "iban": null, "items": []}'])
def test_what_does_not_follow_the_schema_is_wrong_everywhere(text: str) -> None:
    assert valid_json(text, SCHEMA) is None
    found = rows(Task("json", None, SCHEMA, json.dumps(TRUTH)), text)
    assert {amount for amounts in found.values() for amount in amounts} == {0.0}


def test_leaves_are_named_by_their_place() -> None:
    assert leaves(TRUTH) == {"/total": "12.50", "/iban": None, "/items/0/name": "tea", "/items/1/name": "rice"}
