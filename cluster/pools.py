"""What a run may use, what it has to do, and the plan that comes of both: one actor pool per task encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cluster.labels import label_selector
from cluster.placing import Node
from cluster.service_times import ServiceTime


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
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="nodes by task (answer: the decoder), by Ray's labels, such as ray.io/accelerator-type=L4",
    )
    gpu_gib: dict[str, float] = Field(
        default_factory=dict, description="GPU memory of an actor by task (answer: the decoder), in place of the lock's"
    )
    card_gib: float | None = Field(None, gt=0, description="memory of one GPU; default: what its driver says")
    gpu_share: float = Field(
        1.0, gt=0, le=1, description="share of every GPU that a run may fill; the rest is for an endpoint beside it"
    )
    wait_gpus: int = Field(0, ge=0, description="GPUs of a joined cluster without which a run is not planned")
    wait_seconds: float = Field(
        600.0, ge=0, description="how long a joined cluster that has no worker, or too few GPUs, may take to start some"
    )

    @field_validator("labels")
    @classmethod
    def _selectors(cls, value: dict[str, str]) -> dict[str, str]:
        for text in value.values():
            label_selector(text)
        return value


OVERHEAD_CPUS = 0.2
"""Booked by everything that is not an encoder: answering 0.05, writing 0.05, the decoder's replica 0.1."""
DECODER = "answer"


@dataclass(frozen=True, slots=True)
class Resources:
    """What the pools may share. Without ``nodes`` all of it is one machine."""

    cpus: float
    gpus: float = 0
    nodes: tuple[Node, ...] = ()

    def machines(self) -> tuple[Node, ...]:
        """The nodes that have anything for pools."""
        return tuple(node for node in self.nodes if node.cpus) or (Node(self.cpus, self.gpus),)


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
    crowd: int = 1  # actors that one GPU, or its share of one, holds: while one prepares, another computes
    gib: float | None = None  # of a GPU, that one actor needs; None: not known, or on a CPU
    labels: Mapping[str, str] = field(default_factory=dict)  # of the nodes that may hold it, as Ray selects them
    fixed: bool = False  # its size is the user's

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


def usable_cpus(cpus: float) -> float:
    """Cores of a node that encoders may book."""
    return max(cpus - OVERHEAD_CPUS, cpus / 2)
