"""Tasks of generated samples, asked and judged: each kind is a row of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.hybrid.agreement import refused, same_text
from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from decoder.answer import Answer
from pipelines.train.hybrid.samples import Task

Leaves = dict[str, Any]
MERGING = ("pairs",)
"""Sections whose comparisons and merges are between two inputs."""


def asked_of(
    section: str, tasks: Sequence[Task], inputs: tuple[Input, ...], tags: Mapping[str, str]
) -> Iterator[Asked]:
    """The tasks of a sample as what is asked about its inputs; outcomes are grouped by ``tags`` and by task."""
    for task in tasks:
        judge = partial(judge_task, section, task, inputs[0].key, {**tags, "task": task.kind})
        yield Asked(inputs, task.question, task.schema, judge, task=task)


def judge_task(section: str, task: Task, unit: str, tags: Mapping[str, str], answer: Answer) -> list[Outcome]:
    """An answer against a task's truth. A task with a schema gives an outcome for each leaf."""
    if task.schema is not None:
        return list(_json(section, task, unit, tags, answer))
    if not task.answerable:
        refusal = not answer.failures and refused(answer.text)
        return [Outcome(f"{section}: refused", Measure.RATE, float(refusal), unit, tags=tags)]
    right = float(not answer.failures and same_text(answer.text, task.answer, task.accepted))
    found = [Outcome(f"{section}: {task.kind}", Measure.RATE, right, unit, tags=tags)]
    if section in MERGING and task.kind in ("compare", "merge"):
        found.append(Outcome(f"{section}: needs both signals", Measure.RATE, right, unit, tags=tags))
    return found


def _json(section: str, task: Task, unit: str, tags: Mapping[str, str], answer: Answer) -> Iterator[Outcome]:
    assert task.schema is not None
    found = valid_json(answer.text, task.schema)
    yield Outcome(f"{section}: valid JSON", Measure.RATE, float(found is not None), unit, tags=tags)
    truth, given = leaves(json.loads(task.answer)), leaves(found)
    right = {path: path in given and same_leaf(given[path], truth[path]) for path in truth}
    for path, value in truth.items():
        row = "refused, schema" if value in (None, "") else "JSON leaves"
        yield Outcome(f"{section}: {row}", Measure.RATE, float(right[path]), unit, tags=tags)
    whole = all(right.values()) and set(given) <= set(truth)
    yield Outcome(f"{section}: JSON as a whole", Measure.RATE, float(whole), unit, tags=tags)


def valid_json(text: str, schema: str) -> Any:
    """The value of a text that is JSON and follows the schema, else None."""
    import jsonschema  # a machine that only times or reads need not have it

    try:
        value = json.loads(text)
        jsonschema.validate(value, json.loads(schema))
    except (ValueError, jsonschema.ValidationError):
        return None
    return value


def leaves(value: Any, path: str = "") -> Leaves:
    """Every string, number, boolean and null by its JSON pointer."""
    if isinstance(value, dict):
        return {k: leaf for name, own in value.items() for k, leaf in leaves(own, f"{path}/{name}").items()}
    if isinstance(value, list):
        return {k: leaf for index, own in enumerate(value) for k, leaf in leaves(own, f"{path}/{index}").items()}
    return {path: value} if path else {}


def same_leaf(given: object, truth: object) -> bool:
    """Whether two leaves mean the same; nothing is null or ""."""
    if truth in (None, "") or given in (None, ""):
        return truth in (None, "") and given in (None, "")
    return same_text(str(given), str(truth))
