"""Which tasks a document gets."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.tasks import ask_fields, ask_json, ask_layout, ask_tables
from pipelines.train.hybrid.samples import Task

_ASKERS: tuple[tuple[Callable[[Draft], Task | None], float], ...] = (
    (ask_fields.field, 3.2), (ask_fields.lacking, 1.5), (ask_json.extraction, 2.0), (ask_tables.cell, 1.4),
    (ask_tables.no_such_row, 0.5), (ask_tables.counted, 0.4), (ask_tables.listed, 0.3), (ask_tables.extreme, 0.6),
    (ask_tables.greater, 0.5), (ask_layout.neighbour, 1.0), (ask_layout.edge, 0.6), (ask_layout.where, 0.8),
)  # fmt: skip


def tasks(draft: Draft) -> tuple[Task, ...]:
    """Six to ten tasks, none twice."""
    rng = draft.rng
    wanted = rng.randint(6, 10)
    askers, weights = zip(*_ASKERS)
    chosen: dict[tuple[str | None, str | None], Task] = {}
    for _ in range(60):
        if len(chosen) == wanted:
            break
        (asker,) = rng.choices(askers, weights)
        task = asker(draft)
        if task is not None:
            chosen.setdefault((task.question, task.schema), task)
    if len(draft.sheets) > 1 and rng.random() < 0.5:
        question = rng.choice(("How many pages does the document have?", "Count the pages.", "Number of pages?"))
        chosen[question, None] = Task("count", question, None, str(len(draft.sheets)))
    return tuple(chosen.values())
