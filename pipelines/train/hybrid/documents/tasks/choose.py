"""Which tasks a document gets."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.tasks import ask_copy, ask_fields, ask_json, ask_layout, ask_screen, ask_tables
from pipelines.train.hybrid.samples import Task

Asker = Callable[[Draft], Task | None]
_ASKERS: tuple[tuple[Asker, float], ...] = (
    (ask_fields.field, 3.2), (ask_fields.lacking, 1.5), (ask_json.extraction, 2.0), (ask_tables.cell, 1.4),
    (ask_tables.no_such_row, 0.5), (ask_tables.counted, 0.4), (ask_tables.listed, 0.3), (ask_tables.extreme, 0.6),
    (ask_tables.greater, 0.5), (ask_layout.neighbour, 1.0), (ask_layout.edge, 0.6), (ask_layout.where, 0.8),
)  # fmt: skip
"""What a held-out document is asked: never change it, or figures of different trainings cannot be compared."""
_TRAINING: tuple[tuple[Asker, float], ...] = (
    (ask_fields.field, 4.0), (ask_fields.lacking, 2.2), (ask_json.extraction, 2.4), (ask_json.listing, 0.6),
    (ask_tables.cell, 2.0), (ask_tables.no_such_row, 0.6), (ask_tables.counted, 0.7), (ask_tables.listed, 0.7),
    (ask_tables.extreme, 1.4), (ask_tables.greater, 1.0), (ask_tables.among, 0.6), (ask_tables.peak, 0.4),
    (ask_tables.column, 0.4), (ask_tables.ordinal, 0.6), (ask_layout.neighbour, 2.8), (ask_layout.edge, 0.9),
    (ask_layout.where, 0.5), (ask_copy.following, 0.6),
)  # fmt: skip
_RECORDS: tuple[tuple[Asker, float], ...] = (
    (ask_copy.entry, 3.0), (ask_copy.no_such_entry, 1.2), (ask_copy.reverse, 0.6), (ask_copy.entries, 0.8),
    (ask_copy.following, 0.6), (ask_tables.cell, 3.0), (ask_tables.no_such_row, 0.8), (ask_layout.neighbour, 2.2),
    (ask_layout.edge, 0.5), (ask_tables.counted, 0.4), (ask_json.listing, 0.6), (ask_tables.column, 0.4),
    (ask_tables.ordinal, 0.5),
)  # fmt: skip
_SCREEN = (
    (ask_screen.single, 1.2), (ask_screen.listed, 0.8), (ask_screen.following, 1.0), (ask_screen.lacking, 0.8),
)  # fmt: skip


def tasks(draft: Draft) -> tuple[Task, ...]:
    """Six to ten tasks, none twice."""
    rng = draft.rng
    wanted = rng.randint(6, 10)
    able = _ASKERS if draft.held_out else _RECORDS if draft.kind == "records" else _TRAINING
    if draft.kind == "screen":
        able = (*able, *_SCREEN)
    askers, weights = zip(*able)
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
