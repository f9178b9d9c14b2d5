"""Which questions what was read still answers: an answer that the recogniser misread would teach to make things up."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from encoders.base import Perception
from encoders.results import DocumentResult, Speech
from pipelines.train.hybrid.samples import Task

_PRINTED = {"field", "table", "copy", "layout", "list", "extreme", "json"}
"""Kinds whose answers are as printed."""
_UNREAD = 1 / 8  # of the values of a JSON answer: else a long list would never be asked for


def answered(tasks: Sequence[Task], documents: Sequence[Perception]) -> list[Task]:
    """The tasks whose answers stand in the lines that were read, or in what was heard, case, width forms and white
    space aside; of JSON, seven in eight of the values."""
    lines: list[str] = []
    for one in documents:
        if isinstance(one.result, DocumentResult):
            lines += [line.text for page in one.result.pages for line in page.lines]
        elif isinstance(one.result, Speech):
            lines.append(one.result.text)
    read = _bare(" ".join(lines))
    return [task for task in tasks if task.kind not in _PRINTED or _stands(task, read)]


def _stands(task: Task, read: str) -> bool:
    values = list(_values(json.loads(task.answer))) if task.schema is not None else [task.answer]
    missing = sum(not (_bare(value) in read or all(_bare(word) in read for word in value.split())) for value in values)
    return missing <= len(values) * _UNREAD


def _values(answer: Any) -> Iterator[str]:
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list):
        for one in answer:
            yield from _values(one)
    elif isinstance(answer, str):
        yield answer


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(";")
