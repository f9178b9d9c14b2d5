"""Whether actors fit on a cluster's nodes and cards, and how many: each on one card, with a core beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_ROUND = 1e-9


@dataclass(frozen=True, slots=True)
class Node:
    """One machine: cores and cards for Ray, the memory of its cards, and Ray's labels."""

    cpus: float
    gpus: float = 0.0
    held: float = 0.0  # of its GPUs, by others
    card_gib: float | None = None  # None: not known
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Tenant:
    """The actors of one task: where they may be, what each takes, and how many there are at least and at most."""

    task: str
    nodes: tuple[int, ...]
    share: float  # of a card, for one actor; 0 on a CPU
    seconds: float  # predicted work of all of them
    least: int = 1
    most: int = 1
    core: float = 1.0  # the decoder has its sliver elsewhere


class Room:
    """What is left of nodes and cards while actors are placed."""

    def __init__(self, nodes: Sequence[Node], gpu_share: float = 1.0) -> None:
        self.cores = [float(int(node.cpus)) for node in nodes]
        self.cards = {i: [min(gpu_share, node.gpus - n) for n in range(_cards(node))] for i, node in enumerate(nodes)}
        self.placed: dict[str, dict[int, int]] = {}  # task to how many actors are on which node

    def place(self, tenants: Sequence[Tenant]) -> Tenant | None:
        """Place everybody's least number of actors, then one after the other for whoever has most work per actor, while
        there are cores. Returns whoever could not be placed; None when all are."""
        for tenant in sorted(tenants, key=lambda tenant: -tenant.share):
            for number in range(tenant.least):
                if not self._add(tenant, crowded=number == 0):
                    return tenant
        growing = list(tenants)
        while growing:
            tenant = max(growing, key=lambda tenant: tenant.seconds / self.count(tenant.task))
            if self.count(tenant.task) >= tenant.most or not self._add(tenant):
                growing.remove(tenant)
        return None

    def count(self, task: str) -> int:
        """How many actors of a task were placed."""
        return sum(self.placed[task].values())

    def _add(self, tenant: Tenant, *, crowded: bool = False) -> bool:
        """One actor more, on the emptiest card or node. ``crowded``: also where no core is free: pools share those."""
        ready = [node for node in tenant.nodes if crowded or self.cores[node] >= tenant.core - _ROUND]
        if not tenant.share:
            chosen = max(ready, key=lambda node: self.cores[node], default=None)
        else:
            fits = [
                (free, self.cores[node], -node, number)
                for node in ready
                for number, free in enumerate(self.cards[node])
                if free >= tenant.share - _ROUND
            ]
            if not fits:
                return False
            _, _, negative, number = max(fits)
            chosen = -negative
            self.cards[chosen][number] -= tenant.share
        if chosen is None:
            return False
        self.cores[chosen] -= tenant.core
        on = self.placed.setdefault(tenant.task, {})
        on[chosen] = on.get(chosen, 0) + 1
        return True


def _cards(node: Node) -> int:
    """Cards, a last one that is free in part counted."""
    return int(node.gpus) + (node.gpus % 1 > _ROUND)
