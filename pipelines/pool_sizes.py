"""Sizes that pools are given while they work, carried out inside Ray Data's scheduling loop.

Ray ends actors that are idle, and where batches wait none ever is. So a pool that has to give gets no new batch until
its first actors have finished what they hold; Ray ends those, since the pool is over its size, and starts others where
there is room. Nothing in hand is stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ray.data._internal.execution.backpressure_policy.backpressure_policy import BackpressurePolicy
from ray.data._internal.execution.execution_callback import ExecutionCallback

from pipelines.queues import QueueWatch, task_of

if TYPE_CHECKING:
    from ray.data._internal.actor_autoscaler import AutoscalingActorPool
    from ray.data._internal.execution.interfaces.physical_operator import PhysicalOperator
    from ray.data._internal.execution.streaming_executor import StreamingExecutor


@dataclass(frozen=True, slots=True)
class Move:
    """Pools that give actors or keep what they have, and those that take them, each with its new size."""

    givers: dict[str, int]
    takers: dict[str, int]

    @classmethod
    def between(cls, old: dict[str, int], new: dict[str, int]) -> Move:
        """From the old sizes to the new ones."""
        return cls(
            {task: size for task, size in new.items() if size <= old[task]},
            {task: size for task, size in new.items() if size > old[task]},
        )

    def done(self) -> bool:
        """Whether the pools that take have what was meant for them, or nothing to do any more."""
        seen = QueueWatch.latest
        return all(
            not seen[task]["waiting"] or seen[task]["actors"] >= size
            for task, size in self.takers.items()
            if task in seen
        )


class PoolSizes(ExecutionCallback):
    """Bounds the pools that do not take, for as long as batches wait before one that takes: afterwards Ray is free
    again. Ray makes the instance, so the move hangs on the class."""

    move: ClassVar[Move | None] = None

    def __init__(self) -> None:
        type(self).move = None
        self._most: dict[PhysicalOperator, int] = {}  # upper sizes as they were

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Called once in each turn of the loop."""
        for operator in executor._topology:
            task = task_of(operator)
            if task is None or operator.has_completed():
                continue
            pool = _pool(operator)
            most = self._most.setdefault(operator, pool.max_size())
            bound = bound_of(task)
            size = most if bound is None else min(most, bound)
            if size != pool.max_size():
                pool._config = replace(pool._config, max_size=size, initial_size=min(pool.initial_size(), size))


class HoldGivers(BackpressurePolicy):
    """No new batch for a pool that is over its size."""

    def can_add_input(self, op: PhysicalOperator) -> bool:
        """False while it has to give an actor."""
        task = task_of(op) if PoolSizes.move is not None else None
        bound = bound_of(task) if task is not None else None
        return bound is None or _pool(op).current_size() <= bound


def bound_of(task: str) -> int | None:
    """How many actors a pool may have for now; None: as many as it likes."""
    move, seen = PoolSizes.move, QueueWatch.latest
    if move is None or task not in move.givers:
        return None
    waits = any(seen[taker]["waiting"] for taker in move.takers if taker in seen)
    return move.givers[task] if waits else None


def _pool(operator: PhysicalOperator) -> AutoscalingActorPool:
    return operator.get_autoscaling_actor_pools()[0]
