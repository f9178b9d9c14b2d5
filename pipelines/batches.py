"""Batches: parts that travel together, formed by pages and seconds, never by rows; and the branches they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from cluster.pools import PoolPlan, Work
from encoders.registry import EncoderEntry
from pipelines.runfiles import RunFiles

MAX_PARTS = 256  # of one batch: many tiny images are still journalled and committed in bounded steps
SHRINK = 8  # first and last batches are this much smaller than those between


@dataclass(frozen=True, slots=True)
class Branch:
    """Modalities that go through the same encoders, and the numbers of their batches."""

    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    batches: tuple[int, ...]


def form_branches(
    parts: pa.Table, entries: Mapping[str, EncoderEntry], plan: PoolPlan
) -> tuple[list[Branch], pa.Table]:
    """The branches of a run, and the parts in the order of their batches with `batch` filled in; a branch holds the
    modalities that share a chain of tasks."""
    chains: dict[tuple[str, ...], list[str]] = {}
    there = set(pc.unique(parts["modality"]).to_pylist())
    for modality in ("document", "image", "audio"):
        chain = tuple(task for task, entry in entries.items() if modality in entry.modalities)
        if chain and modality in there:
            chains.setdefault(chain, []).append(modality)
    branches: list[Branch] = []
    ordered: list[pa.Table] = []
    first = 0
    for chain, modalities in chains.items():
        mine = parts.filter(pc.is_in(parts["modality"], value_set=pa.array(modalities)))
        pools = [plan.pool(task) for task in chain]
        budget, actors = min(pool.batch_units for pool in pools), max(pool.max_actors for pool in pools)
        numbers = [first + number for number in form_batches(mine["units"].to_pylist(), budget, actors)]
        column = mine.schema.get_field_index("batch")
        ordered.append(mine.set_column(column, mine.schema.field(column), [pa.array(numbers, pa.int32())]))
        branches.append(Branch(chain, tuple(modalities), tuple(range(first, numbers[-1] + 1))))
        first = numbers[-1] + 1
    return branches, pa.concat_tables(ordered) if ordered else parts.slice(0, 0)


def form_batches(units: Sequence[float], budget: float, actors: int) -> list[int]:
    """For each part the number of its batch, counted from 0: consecutive parts, up to ``budget`` units; a part over it
    is a batch of its own.

    The first batch of every actor is small and each further one twice as large, so that rows arrive early and a mistake
    in the settings shows; the last ones shrink with the work that is left, so that the actors end together.
    """
    numbers: list[int] = []
    left, used, held, limit = sum(units), 0.0, 0, -1.0
    for part in units:
        if not numbers or used + part > limit or held >= MAX_PARTS:
            number = numbers[-1] + 1 if numbers else 0
            ramp = budget / SHRINK * 2 ** min(number // actors, 30)
            limit = max(min(budget, ramp, left / (4 * actors)), budget / SHRINK)
            used, held = 0.0, 0
        else:
            number = numbers[-1]
        numbers.append(number)
        used, held, left = used + part, held + 1, left - part
    return numbers


def work_of(parts: pa.Table, entries: Mapping[str, EncoderEntry]) -> list[Work]:
    """How much every task has to do."""
    work = []
    for task, entry in entries.items():
        units = parts["units"].filter(pc.is_in(parts["modality"], value_set=pa.array(entry.modalities)))
        work.append(Work(task, len(units), float(pc.sum(units).as_py() or 0), entry.unit))
    return work


def left_parts(files: RunFiles) -> pa.Table:
    """The parts that no commit names."""
    done = [pa.array([part for part, _, _ in record.parts], pa.string()) for record in files.commits()]
    manifest = files.manifest(["part_id", "modality", "units", "batch"])
    return manifest.filter(pc.invert(pc.is_in(manifest["part_id"], value_set=pa.chunked_array(done, pa.string()))))


def remaining_branches(files: RunFiles, batches: set[int]) -> list[Branch]:
    """The branches of a frozen run, with only these batches."""
    first = 0
    branches = []
    for tasks, modalities, count in files.state()["branches"]:
        own = tuple(number for number in range(first, first + count) if number in batches)
        if own:
            branches.append(Branch(tuple(tasks), tuple(modalities), own))
        first += count
    return branches
