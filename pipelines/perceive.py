"""The graph of a run: every branch is a chain of only the pools that its modality needs.

batches of documents and images ─► [ocr pool] ─► ... ─┐
batches of recordings ─► [speech_to_text pool] ───────┴► union ─► answer ─► write
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from cluster.pools import Pool, PoolPlan
from encoders.registry import EncoderEntry
from pipelines.batches import Branch
from pipelines.stages import PerceiveStage, RunContext, WriteStage, pack

READERS = 2  # read tasks at once: they book no CPU, and Ray would start a process for each of them
SMALL_CPUS = 0.05  # what Ray books for an actor that mostly waits; see cluster.pools.OVERHEAD_CPUS


@dataclass(frozen=True, slots=True)
class Step:
    """A further stage between perceiving and writing: its class, how to construct it, and calls at once."""

    stage: type
    arguments: Mapping[str, Any]
    concurrent_calls: int = 1


class BatchSource(Datasource):
    """The batches of a frozen manifest: one read task, one block and one row each.

    A datasource of our own because `read_parquet` puts small row groups together as it likes, and its tasks book CPUs.
    """

    def __init__(self, context: RunContext, batches: Sequence[int]) -> None:
        self._context, self._batches = context, tuple(batches)

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown; a batch is a few kilobytes."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, *args: Any, **kwargs: Any
    ) -> list[ReadTask]:
        """One task per batch, whatever the parallelism asked for."""
        return [self._task(number) for number in self._batches]

    def _task(self, number: int) -> ReadTask:
        context = self._context

        def read() -> Iterable[pa.Table]:
            yield pack(context.files().batch(number).to_pylist())

        return ReadTask(read, BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None))


def perceive(
    context: RunContext,
    branches: Sequence[Branch],
    entries: Mapping[str, EncoderEntry],
    configs: Mapping[str, Any],
    plan: PoolPlan,
    *,
    steps: Sequence[Step] = (),
) -> Dataset:
    """The lazy dataset of a run. Iterating over it does the work and yields one small row per part written."""
    streams = []
    for branch in branches:
        stream = ray.data.read_datasource(
            BatchSource(context, branch.batches),
            override_num_blocks=len(branch.batches),
            num_cpus=0,
            concurrency=READERS,
        )
        for task in branch.tasks:
            pool = plan.pool(task)
            arguments = {"entry": entries[task], "config": configs[task], "context": context, "device": pool.device}
            stream = _pool(stream, PerceiveStage, arguments, pool, len(branch.batches))
        streams.append(stream)
    stream = streams[0].union(*streams[1:]) if len(streams) > 1 else streams[0]
    for step in steps:
        stream = _small(stream, step.stage, step.arguments, step.concurrent_calls)
    return _small(stream, WriteStage, {"context": context})


def _pool(stream: Dataset, stage: type, arguments: Mapping[str, Any], pool: Pool, batches: int) -> Dataset:
    least, most = min(pool.actors, batches), min(pool.max_actors, batches)
    return stream.map_batches(
        stage,
        batch_size=1,  # one row is one batch of parts, see pipelines.stages
        batch_format="pyarrow",
        fn_constructor_kwargs=dict(arguments),
        compute=ActorPoolStrategy(min_size=least, max_size=most, initial_size=least, max_tasks_in_flight_per_actor=2),
        num_cpus=pool.num_cpus,
        num_gpus=pool.num_gpus or None,
    )


def _small(stream: Dataset, stage: type, arguments: Mapping[str, Any], concurrent_calls: int = 1) -> Dataset:
    """One actor that mostly waits for others."""
    return stream.map_batches(
        stage,
        batch_size=1,  # one row is one batch of parts, see pipelines.stages
        batch_format="pyarrow",
        fn_constructor_kwargs=dict(arguments),
        compute=ActorPoolStrategy(
            size=1,
            max_tasks_in_flight_per_actor=concurrent_calls + 1,
            max_concurrent_calls_per_actor=concurrent_calls,
            enable_true_multi_threading=concurrent_calls > 1,
        ),
        num_cpus=SMALL_CPUS,
    )
