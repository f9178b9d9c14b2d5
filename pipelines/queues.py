"""How many batches wait before each pool and are in its actors' hands, seen from inside Ray Data's scheduling loop.

Ray exports such numbers through its dashboard's agent alone, which a local Ray does not run; here they are one dict.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ray.data._internal.execution.execution_callback import ExecutionCallback

if TYPE_CHECKING:
    from ray.data._internal.execution.interfaces.physical_operator import PhysicalOperator
    from ray.data._internal.execution.streaming_executor import StreamingExecutor

EVERY = 0.5  # seconds; the loop turns hundreds of times in one


class QueueWatch(ExecutionCallback):
    """Looks at every pool now and then. Ray makes the instance, so what was seen last hangs on the class."""

    latest: ClassVar[dict[str, dict[str, int]]] = {}

    def __init__(self) -> None:
        self._due = 0.0
        type(self).latest = {}

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Called once in each turn of the loop."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY
        seen: dict[str, dict[str, int]] = {}
        for operator, state in executor._topology.items():
            task = task_of(operator)
            if task is None:
                continue
            pool = operator.get_actor_info()
            numbers = {
                "waiting": state.total_enqueued_input_blocks(),
                "in_hand": operator.num_active_tasks(),
                "actors": pool.running,
                "actors_starting": pool.pending + pool.restarting,
            }
            before = seen.setdefault(task, dict.fromkeys(numbers, 0))  # two branches may have a pool of one task each
            for name, value in numbers.items():
                before[name] += value
        type(self).latest = seen


def task_of(operator: PhysicalOperator) -> str | None:
    """Whose pool an operator is; None for those that read no media."""
    for logical in operator._logical_operators:
        arguments: Mapping[str, Any] = getattr(logical, "fn_constructor_kwargs", None) or {}
        entry = arguments.get("entry") or (arguments.get("arguments") or {}).get("entry")
        if entry is not None:
            return str(entry.task)
    return None
