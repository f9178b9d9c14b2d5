"""A run that finds its encoders slower or faster than planned sizes its pools anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from cluster.planning import plan_pools
from cluster.pools import ClusterConfig, PoolPlan, Resources, Work
from cluster.resizing import new_sizes
from cluster.service_times import ServiceTime, measured_time
from cluster.session import cluster_resources, joins_a_cluster
from encoders.failures import InterlaceError
from pipelines.batches import Branch
from pipelines.figures import RunFigures
from pipelines.pool_sizes import Move, PoolSizes
from pipelines.queues import QueueWatch

PATIENCE = 180.0  # seconds that pools which take have to start what others gave; networks may have to be fetched


class Resizing:
    """Looked at after every batch. Once each pool with work left has finished a few, the planner is asked again, with
    the times of this run and the work that is left; at most once in the time of a batch, and not while actors move."""

    def __init__(
        self,
        plan: PoolPlan,
        branches: Sequence[Branch],
        figures: RunFigures,
        config: ClusterConfig,
        resources: Callable[[], Resources],
        note: Callable[[str], None],
    ) -> None:
        self._plan, self._branches, self._figures, self._config = plan, branches, figures, config
        self._resources, self._note = resources, note
        tasks = [task for branch in branches for task in branch.tasks]
        # Where two branches have a pool of one task each, nobody tells which of them read what.
        self._on = len(set(tasks)) == len(tasks) > 1
        self._due, self._since = time.monotonic(), 0.0

    def look(self) -> None:
        """Ask for other sizes where they end the run clearly sooner, and say so."""
        now = time.monotonic()
        if not self._on or now < self._due or self._moving(now):
            return
        self._due = now + self._config.batch_seconds
        work, times = left(self._branches, self._figures, QueueWatch.latest), self._measured()
        if len(work) < 2 or any(item.task not in times for item in work):
            return
        sizes = {task: seen["actors"] + seen["actors_starting"] for task, seen in QueueWatch.latest.items()}
        sized: dict[str, int] = {}
        with suppress(InterlaceError):  # a node has left, and what is there now is no reason to end a run
            sized = new_sizes(self._planned(work, times), sizes, self._config.batch_seconds)
        if not sized:
            return
        PoolSizes.move, self._since = Move.between(sizes, sized), now
        self._figures.resized(sized)
        told = [
            f"{item.task} {sizes[item.task]} → {sized[item.task]} actors at {times[item.task].seconds:.3g} s per "
            f"{item.unit.removesuffix('s')}, planned with {self._plan.pool(item.task).service.seconds:.3g}"
            for item in work
        ]
        self._note(f"pools are sized anew by what this run measured: {'; '.join(told)}")

    def _moving(self, now: float) -> bool:
        """Whether actors are on their way. Where they cannot start, Ray's own ways are better than waiting."""
        if PoolSizes.move is None or PoolSizes.move.done():
            return False
        if now - self._since > PATIENCE:
            PoolSizes.move, self._on = None, False
            self._note(f"what pools gave was not taken within {PATIENCE:g} s; their sizes are left to Ray")
        return True

    def _measured(self) -> dict[str, ServiceTime]:
        seconds = {task: pool.service_seconds for task, pool in self._figures.pools.items()}
        return {
            task: measured_time(task, self._plan.pool(task).device, value, "this run")
            for task, value in seconds.items()
            if value
        }

    def _planned(self, work: Sequence[Work], times: Mapping[str, ServiceTime]) -> PoolPlan:
        found = cluster_resources() if joins_a_cluster() else self._resources()  # nodes come and go
        nodes = tuple(replace(node, held=0.0) for node in found.nodes)  # what is held there is held by these pools
        pools = [self._plan.pool(item.task) for item in work]
        running = {pool.task: pool.num_gpus for pool in pools}
        decoder = self._plan.decoder
        if decoder is not None:
            running[decoder.task] = decoder.num_gpus
        return plan_pools(
            work,
            replace(found, nodes=nodes),
            self._config,
            answers=int(decoder is not None),
            service={(pool.task, pool.device): times[pool.task] for pool in pools},
            running=running,
        )


def left(branches: Sequence[Branch], figures: RunFigures, seen: Mapping[str, Mapping[str, int]]) -> list[Work]:
    """What each pool has yet to begin or end: batches in place of parts, since an actor takes no less. Figures count a
    batch when its whole chain is done; what is before or in a later pool has left the earlier ones."""
    work = []
    for branch in branches:
        for number, task in enumerate(branch.tasks):
            pool = figures.pools[task]
            later = [seen[after] for after in branch.tasks[number + 1 :] if after in seen]
            beyond = sum(found["waiting"] + found["in_hand"] for found in later)
            batches = len(branch.batches) - pool.batches - beyond
            mean = pool.units / pool.batches if pool.batches else 0.0
            units = pool.units_expected - pool.units - beyond * mean
            if batches > 0 and units > 0:
                work.append(Work(task, batches, units, pool.unit))
    return work
