"""Batches: parts that travel together, formed by pages and seconds, never by rows; and the branches they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from cluster.pools import PoolPlan, Work
from encoders.registry import EncoderEntry
from pipelines.manifest import MANIFEST
from pipelines.row_file import RowFile
from pipelines.runfiles import RunFiles
from pipelines.shards import Shards

MAX_PARTS = 256  # of one batch: many tiny images are still journalled and committed in bounded steps
SHRINK = 8  # first and last batches are this much smaller than those between


@dataclass(frozen=True, slots=True)
class Branch:
    """Modalities that go through the same encoders, and the numbers of their batches."""

    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    batches: tuple[int, ...]


def form_branches(parts: RowFile, entries: Mapping[str, EncoderEntry], plan: PoolPlan) -> tuple[list[Branch], RowFile]:
    """The branches of a run, and the parts in the order of their batches with `batch` filled in; a branch holds the
    modalities that share a chain of tasks."""
    chains: dict[tuple[str, ...], list[str]] = {}
    there = _totals(parts)
    for modality in ("document", "image", "audio"):
        chain = tuple(task for task, entry in entries.items() if modality in entry.modalities)
        if chain and modality in there:
            chains.setdefault(chain, []).append(modality)
    branches: list[Branch] = []
    ordered = RowFile(parts.schema)
    first = 0
    for chain, modalities in chains.items():
        pools = [plan.pool(task) for task in chain]
        budget, actors = min(pool.batch_units for pool in pools), max(pool.max_actors for pool in pools)
        forming = Forming(sum(there[modality][1] for modality in modalities), budget, actors)
        column = parts.schema.get_field_index("batch")
        for rows in parts.tables():
            mine = rows.filter(pc.is_in(rows["modality"], value_set=pa.array(modalities)))
            numbers = [first + number for number in forming.numbers(mine["units"].to_pylist())]
            ordered.add(mine.set_column(column, mine.schema.field(column), [pa.array(numbers, pa.int32())]))
        branches.append(Branch(chain, tuple(modalities), tuple(range(first, first + forming.formed))))
        first += forming.formed
    return branches, ordered


def form_batches(units: Sequence[float], budget: float, actors: int) -> list[int]:
    """For each part the number of its batch, where all of them are at hand; see `Forming`."""
    return Forming(sum(units), budget, actors).numbers(units)


class Forming:
    """Gives one part after the other the number of its batch, counted from 0: consecutive parts, up to ``budget``
    units; a part over it is a batch of its own. ``total`` is what all of them have.

    The first batch of every actor is small and each further one twice as large, so that rows arrive early and a mistake
    in the settings shows; the last ones shrink with the work that is left, so that the actors end together.
    """

    def __init__(self, total: float, budget: float, actors: int) -> None:
        self._budget, self._actors = budget, actors
        self._left, self._used, self._held, self._limit = total, 0.0, 0, -1.0
        self.formed = 0  # batches so far

    def numbers(self, units: Iterable[float]) -> list[int]:
        """The numbers of the parts that come next."""
        return [self._number(part) for part in units]

    def _number(self, part: float) -> int:
        budget, actors = self._budget, self._actors
        if not self.formed or self._used + part > self._limit or self._held >= MAX_PARTS:
            ramp = budget / SHRINK * 2 ** min(self.formed // actors, 30)
            self._limit = max(min(budget, ramp, self._left / (4 * actors)), budget / SHRINK)
            self._used, self._held = 0.0, 0
            self.formed += 1
        self._used, self._held, self._left = self._used + part, self._held + 1, self._left - part
        return self.formed - 1


def _totals(parts: RowFile) -> dict[str, tuple[int, float]]:
    """How many parts each modality has, and their units."""
    found: dict[str, tuple[int, float]] = {}
    for rows in parts.tables():
        for item in rows.group_by("modality").aggregate([("units", "count"), ("units", "sum")]).to_pylist():
            count, units = found.get(item["modality"], (0, 0.0))
            found[item["modality"]] = count + item["units_count"], units + (item["units_sum"] or 0.0)
    return found


def work_of(parts: RowFile, entries: Mapping[str, EncoderEntry]) -> list[Work]:
    """How much every task has to do."""
    there = _totals(parts)
    work = []
    for task, entry in entries.items():
        own = [there[modality] for modality in entry.modalities if modality in there]
        work.append(Work(task, sum(count for count, _ in own), float(sum(units for _, units in own)), entry.unit))
    return work


_LEFT = pa.schema([MANIFEST.field(name) for name in ("part_id", "modality", "units", "batch")])


def left_parts(files: RunFiles) -> RowFile:
    """The parts that no commit names, in no order."""
    shards = Shards({"parts": _LEFT, "done": _LEFT.empty_table().select(["part_id"]).schema}, key="part_id")
    for record in files.commits():
        shards.add("done", pa.table({"part_id": pa.array([part for part, _, _ in record.parts], pa.string())}))
    for rows in files.manifest_tables(_LEFT.names):
        shards.add("parts", rows)
    left = RowFile(_LEFT)
    for shard in shards:
        left.add(
            shard["parts"].filter(pc.invert(pc.is_in(shard["parts"]["part_id"], value_set=shard["done"]["part_id"])))
        )
    return left


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
