"""Batches: parts that travel together, formed by pages and seconds, never by rows; and the branches they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.pools import Pool, PoolPlan, Work
from encoders.registry import EncoderEntry

MAX_PARTS = 256  # of one batch: many tiny images are still journalled and committed in bounded steps


@dataclass(frozen=True, slots=True)
class Branch:
    """Modalities that go through the same encoders, and the numbers of their batches."""

    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    batches: tuple[int, ...]


def form_branches(
    parts: Sequence[dict[str, Any]], entries: Mapping[str, EncoderEntry], plan: PoolPlan
) -> tuple[list[Branch], list[list[dict[str, Any]]]]:
    """The branches of a run and its batches in order; a branch holds the modalities that share a chain of tasks."""
    chains: dict[tuple[str, ...], list[str]] = {}
    for modality in ("document", "image", "audio"):
        chain = tuple(task for task, entry in entries.items() if modality in entry.modalities)
        if chain and any(part["modality"] == modality for part in parts):
            chains.setdefault(chain, []).append(modality)
    branches: list[Branch] = []
    batches: list[list[dict[str, Any]]] = []
    for chain, modalities in chains.items():
        mine = [part for part in parts if part["modality"] in modalities]
        own = form_batches(mine, min(_budget(plan.pool(task), mine) for task in chain))
        branches.append(Branch(chain, tuple(modalities), tuple(range(len(batches), len(batches) + len(own)))))
        batches += own
    return branches, batches


def _budget(pool: Pool, parts: Sequence[dict[str, Any]]) -> float:
    """Units of one batch: the pool's, or less when there is little work, so that every actor gets several."""
    total = sum(float(part["units"]) for part in parts)
    return min(pool.batch_units, max(1.0, total / (4 * pool.max_actors)))


def form_batches(parts: Iterable[dict[str, Any]], budget: float) -> list[list[dict[str, Any]]]:
    """Consecutive parts up to ``budget`` units; a part over the budget is a batch of its own."""
    batches: list[list[dict[str, Any]]] = []
    used = 0.0
    for part in parts:
        if not batches or used + part["units"] > budget or len(batches[-1]) >= MAX_PARTS:
            batches.append([])
            used = 0.0
        batches[-1].append(part)
        used += part["units"]
    return batches


def work_of(parts: Iterable[dict[str, Any]], entries: Mapping[str, EncoderEntry]) -> list[Work]:
    """How much every task has to do."""
    totals = {task: [0, 0.0] for task in entries}
    for part in parts:
        for task, entry in entries.items():
            if part["modality"] in entry.modalities:
                totals[task][0] += 1
                totals[task][1] += part["units"]
    return [Work(task, int(count), units, entries[task].unit) for task, (count, units) in totals.items()]
