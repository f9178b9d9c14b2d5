"""The graph of a run: every branch is a chain of only the pools that its modality needs.

batches of documents and images ─► [ocr pool] ─► ... ─┐
batches of recordings ─► [speech_to_text pool] ───────┴► union ─► answer

The last stage of a chain makes its batches durable in its own actors: a process of its own for writing took seconds to
start, and would be one for all pools.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.data._internal.execution.backpressure_policy import (
    ENABLED_BACKPRESSURE_POLICIES,
    ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY,
)
from ray.data._internal.execution.backpressure_policy.backpressure_policy import BackpressurePolicy
from ray.data._internal.execution.interfaces.physical_operator import PhysicalOperator
from ray.data._internal.execution.operators.input_data_buffer import InputDataBuffer
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from cluster.pools import Pool, PoolPlan
from encoders.registry import EncoderEntry
from pipelines.batches import Branch
from pipelines.pool_sizes import HoldGivers, PoolSizes
from pipelines.queues import QueueWatch
from pipelines.stages import PerceiveStage, RunContext, WritingStage, pack_table

AHEAD = 16  # batches that wait between the source and its pool
SMALL_CPUS = 0.05  # what Ray books for actors that mostly wait; see cluster.pools.OVERHEAD_CPUS


@dataclass(frozen=True, slots=True)
class Step:
    """A further stage between perceiving and writing: its class, how to construct it, calls at once of an actor, and
    actors."""

    stage: type
    arguments: Mapping[str, Any]
    concurrent_calls: int = 1
    actors: int = 1


class BatchSource(Datasource):
    """The batches of a frozen manifest, streamed by one read task: one block and one row each.

    A datasource of our own because `read_parquet` puts small row groups together as it likes, and its tasks book CPUs.
    One task and not one for each batch: the driver keeps each, and Ray starts a process for all that run at once.
    """

    supports_distributed_reads = False
    """It runs on the driver's node: of a task on a host without power Ray learns 100 s after it gave up the host (it
    waits for the connection; actors it restarts at once), and until then nobody would get a batch."""

    def __init__(self, context: RunContext, batches: Sequence[int]) -> None:
        self._context, self._batches = context, tuple(batches)

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown; a batch is a few kilobytes."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, *args: Any, **kwargs: Any
    ) -> list[ReadTask]:
        """One task, whatever the parallelism asked for."""
        context, batches = self._context, self._batches

        def read() -> Iterable[pa.Table]:
            for batch in context.files().batches(batches):
                yield pack_table(batch)

        return [ReadTask(read, BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None))]


class ReadAhead(BackpressurePolicy):
    """Keeps the source from streaming a whole manifest into the driver's queues: Ray counts bytes, and a batch has next
    to none. With it the driver's memory does not grow with the manifest."""

    def max_task_output_bytes_to_read(self, op: PhysicalOperator) -> int | None:
        """Nothing more while enough batches wait for the pool behind the source."""
        sources = [dependency for dependency in op.input_dependencies if isinstance(dependency, InputDataBuffer)]
        if not sources:
            return None
        waiting = sum(self._topology[after].total_enqueued_input_blocks() for after in op.output_dependencies)
        return 0 if waiting >= AHEAD else None


def perceive(
    context: RunContext,
    branches: Sequence[Branch],
    entries: Mapping[str, EncoderEntry],
    configs: Mapping[str, Any],
    plan: PoolPlan,
    *,
    steps: Sequence[Step] = (),
    grows: bool = False,
) -> Dataset:
    """The lazy dataset of a run. Iterating over it does the work and yields one small row per part written.

    ``grows``: nodes may join while it goes on. Pools then have no upper size but that of the work; Ray Data adds actors
    as there is room, and asks the cluster's autoscaler for nodes when there is none.
    """
    settings = DataContext.get_current()
    settings.target_max_block_size = 1  # byte: every row is a batch and a block of its own, however small
    settings.set_config(
        ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY, [*ENABLED_BACKPRESSURE_POLICIES, ReadAhead, HoldGivers]
    )
    settings.custom_execution_callback_classes = [QueueWatch, PoolSizes]
    streams = []
    for branch in branches:
        stream = ray.data.read_datasource(
            BatchSource(context, branch.batches), override_num_blocks=1, num_cpus=0, concurrency=1
        )
        for task in branch.tasks:
            pool = plan.pool(task)
            arguments = {"entry": entries[task], "config": configs[task], "context": context, "device": pool.device}
            last = task == branch.tasks[-1] and not steps
            stream = _pool(stream, *_stage(PerceiveStage, arguments, context, last), pool, len(branch.batches), grows)
        streams.append(stream)
    stream = streams[0].union(*streams[1:]) if len(streams) > 1 else streams[0]
    for number, step in enumerate(steps, 1):
        stage, given = _stage(step.stage, step.arguments, context, number == len(steps))
        stream = _small(stream, stage, given, step.concurrent_calls, step.actors)
    return stream


def _stage(
    stage: type, arguments: Mapping[str, Any], context: RunContext, last: bool
) -> tuple[type, Mapping[str, Any]]:
    """A stage and its arguments, writing what it made when it is the last."""
    return (
        (WritingStage, {"stage": stage, "arguments": dict(arguments), "context": context})
        if last
        else (stage, arguments)
    )


def _pool(stream: Dataset, stage: type, arguments: Mapping[str, Any], pool: Pool, batches: int, grows: bool) -> Dataset:
    """Ray starts the planned number of actors. It ends those that wait for work, down to one, and starts others where
    batches wait, as soon as there is room: so cores and cards go to the branch, and in a chain to the stage, that is
    behind, whatever the plan had thought. Pools that all have batches waiting are moved by `pipelines.resizing`."""
    start, most = min(pool.actors, batches), batches if grows and not pool.fixed else min(pool.max_actors, batches)
    least = start if pool.fixed else 1
    return stream.map_batches(
        stage,
        batch_size=1,  # one row is one batch of parts, see pipelines.stages
        batch_format="pyarrow",
        fn_constructor_kwargs=dict(arguments),
        compute=ActorPoolStrategy(min_size=least, max_size=most, initial_size=start, max_tasks_in_flight_per_actor=2),
        num_cpus=pool.num_cpus,
        num_gpus=pool.num_gpus or None,
        label_selector=dict(pool.labels) or None,
    )


def _small(stream: Dataset, stage: type, arguments: Mapping[str, Any], concurrent_calls: int, actors: int) -> Dataset:
    """Actors that mostly wait for others; together they book no more than one would."""
    return stream.map_batches(
        stage,
        batch_size=1,  # one row is one batch of parts, see pipelines.stages
        batch_format="pyarrow",
        fn_constructor_kwargs=dict(arguments),
        compute=ActorPoolStrategy(
            size=actors,
            max_tasks_in_flight_per_actor=concurrent_calls + 1,
            max_concurrent_calls_per_actor=concurrent_calls,
            enable_true_multi_threading=concurrent_calls > 1,
        ),
        num_cpus=math.floor(1e4 * SMALL_CPUS / actors) / 1e4,  # Ray's books have four places
    )
