"""From the cluster's CPUs and GPUs, the work, and service times to a plan: one actor pool per task encoder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from cluster.service_times import DEFAULTS, ServiceTime
from encoders.failures import InterlaceError


class ClusterConfig(BaseModel):
    """What a run may use. A running cluster (RAY_ADDRESS) has its own resources; these are for a local Ray."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_cpus: int | None = Field(
        None, ge=1, description="CPUs of the local Ray; default: all that this process may use"
    )
    num_gpus: int | None = Field(None, ge=0, description="GPUs of the local Ray; default: all that torch sees")
    object_store_gib: float = Field(1.0, gt=0, description="shared memory of the local Ray's object store")
    batch_seconds: float = Field(25.0, gt=0, description="work in one batch; about what a killed worker loses")
    actors: dict[str, int] = Field(default_factory=dict, description="fixed pool sizes by task, in place of the plan's")


OVERHEAD_CPUS = 0.2
"""Booked by everything that is not an encoder: answering 0.05, writing 0.05, the decoder's replica 0.1."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the pools may share."""

    cpus: float
    gpus: float = 0


@dataclass(frozen=True, slots=True)
class Work:
    """How much one task has to do: parts, and units (pages, seconds of audio, answers)."""

    task: str
    parts: int
    units: float
    unit: str


@dataclass(frozen=True, slots=True)
class Pool:
    """The actors of one task: how many, what each is given, and how much work one batch holds."""

    task: str
    device: str  # cpu | cuda
    actors: int  # at the start
    max_actors: int  # once other pools are done
    num_cpus: float
    num_gpus: float
    batch_units: float
    seconds: float  # predicted work of one actor
    service: ServiceTime
    unit: str
    crowd: int = 1  # actors that keep one GPU place busy: while one prepares, another computes

    @property
    def wall_seconds(self) -> float:
        """Predicted time at the starting size."""
        return self.seconds / self.actors


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """All pools of a run. ``decoder_seconds`` is the predicted work of the shared decoder, which has its own share."""

    pools: tuple[Pool, ...]
    resources: Resources
    decoder: Pool | None = None

    @property
    def bottleneck(self) -> str:
        """The pool that is predicted to finish last."""
        pools = [*self.pools, *((self.decoder,) if self.decoder else ())]
        return max(pools, key=lambda pool: pool.wall_seconds).task if pools else "nothing"

    @property
    def hours(self) -> float:
        """Predicted wall time: CPU pools share the cores, so it is at least all their work over the cores."""
        pools = [*self.pools, *((self.decoder,) if self.decoder else ())]
        if not pools:
            return 0.0
        shared = sum(pool.seconds for pool in pools if pool.device == "cpu") / max(self.resources.cpus, 1)
        cuda = sum(pool.seconds / pool.crowd for pool in pools if pool.device == "cuda") / max(self.resources.gpus, 1)
        return float(max(shared, cuda) / 3600)

    def pool(self, task: str) -> Pool:
        """The pool of one task."""
        return next(pool for pool in self.pools if pool.task == task)


def plan_pools(
    work: Sequence[Work],
    resources: Resources,
    config: ClusterConfig | None = None,
    *,
    answers: int = 0,
    service: Mapping[tuple[str, str], ServiceTime] | None = None,
) -> PoolPlan:
    """Give every task that has work its pool. Actors are shared out by predicted seconds, at least one each.

    With GPUs, each pool gets whole ones while they last and equal fractions of one otherwise, and each such place is
    shared by as many actors as keep it busy and have a core each: an actor spends most of its time opening, cutting
    out and laying out on its core. Without GPUs, one core per actor, or equal fractions of a core when there are
    more pools than cores. Raises InterlaceError when a plan cannot be met.
    """
    config = config or ClusterConfig()
    times = {**DEFAULTS, **(service or {})}
    device = "cuda" if resources.gpus else "cpu"
    active = [item for item in work if item.parts]
    decoder = _decoder(answers, device, resources, times) if answers else None
    if not active:
        return PoolPlan((), resources, decoder)
    slots = resources.gpus if device == "cuda" else resources.cpus
    if slots <= 0:
        raise InterlaceError("the cluster has neither CPUs nor GPUs free for encoders; add a node or stop other work")
    tenants = len(active) + (1 if decoder and device == "cuda" else 0)
    seconds = {item.task: item.units * times[item.task, device].seconds for item in active}
    places = int(slots) if tenants <= slots else len(active)
    share = 1.0 if tenants <= slots else math.floor(100 * slots / tenants) / 100
    crowds = {item.task: _crowd(times[item.task, device], resources, places, device) for item in active}
    counts = _share(seconds, places, crowds, config)
    counts = {item.task: min(counts[item.task], item.parts) for item in active}
    total = sum(counts.values())
    pools = []
    for item in active:
        time, crowd = times[item.task, device], crowds[item.task]
        actors = counts[item.task]
        free = (int(slots / share) - len(active) + 1) * crowd
        most = config.actors.get(item.task) or max(actors, min(item.parts, free))
        pools.append(
            Pool(
                task=item.task,
                device=device,
                actors=actors,
                max_actors=most,
                num_cpus=_cpus(resources, total),
                num_gpus=math.floor(1000 * share / crowd) / 1000 if device == "cuda" else 0.0,
                batch_units=max(1.0, config.batch_seconds / time.seconds),
                seconds=seconds[item.task],
                service=time,
                unit=item.unit,
                crowd=crowd,
            )
        )
    return PoolPlan(tuple(pools), resources, decoder)


def _cpus(resources: Resources, actors: int) -> float:
    """CPUs that Ray's books give one actor: at most one, and together a little less than there are, so that what
    answers, writes and decodes always fits beside them; with whole CPUs a machine of two cores waits for ever."""
    usable = max(resources.cpus - OVERHEAD_CPUS, resources.cpus / 2)
    return min(1.0, math.floor(100 * usable / actors) / 100)


def _crowd(time: ServiceTime, resources: Resources, places: int, device: str) -> int:
    """Actors of one GPU place: enough to keep it busy, no more than have a core each."""
    if device != "cuda" or not time.gpu_seconds:
        return 1
    usable = max(resources.cpus - OVERHEAD_CPUS, resources.cpus / 2)
    return max(1, min(math.ceil(time.seconds / time.gpu_seconds), int(usable / places)))


def _share(
    seconds: Mapping[str, float], places: int, crowds: Mapping[str, int], config: ClusterConfig
) -> dict[str, int]:
    """Actors by predicted work: everybody one place, then each further one to whoever has the most work per place."""
    asked = {task: config.actors[task] / crowds[task] for task in seconds if task in config.actors}
    counts = {task: asked.get(task, 1) for task in seconds}
    free = [task for task in seconds if task not in asked]
    while free and sum(counts.values()) + 1 <= places:
        counts[max(free, key=lambda task: seconds[task] / (counts[task] * crowds[task]))] += 1
    if asked and sum(counts.values()) > places:
        named = ", ".join(f"{task}: {config.actors.get(task, 1)}" for task in seconds)
        most = ", ".join(f"{task}: {crowds[task]}" for task in seconds)
        raise InterlaceError(
            f"pools of {named} actors do not fit the {places} places here, which take {most} actors each; "
            "lower cluster.actors"
        )
    return {task: config.actors.get(task) or round(counts[task]) * crowds[task] for task in seconds}


def _decoder(answers: int, device: str, resources: Resources, times: Mapping[tuple[str, str], ServiceTime]) -> Pool:
    """The decoder takes a sliver of CPU in Ray's books, so that encoders and decoder can never wait for each other."""
    time = times["answer", device]
    return Pool(
        task="answer",
        device=device,
        actors=1,
        max_actors=1,
        num_cpus=0.1,
        num_gpus=min(1.0, resources.gpus / 4) if device == "cuda" else 0.0,
        batch_units=max(1.0, 16.0),
        seconds=answers * time.seconds,
        service=time,
        unit="answers",
    )
