"""From the cluster's CPUs and GPUs, the work, and service times to a plan, or to the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from cluster.gpu_memory import Need
from cluster.labels import label_selector, matches
from cluster.placing import Node, Room, Tenant
from cluster.pools import DECODER, ClusterConfig, Pool, PoolPlan, Resources, Work, usable_cpus
from cluster.service_times import DEFAULTS, ServiceTime
from encoders.failures import InterlaceError


def plan_pools(
    work: Sequence[Work],
    resources: Resources,
    config: ClusterConfig | None = None,
    *,
    answers: int = 0,
    service: Mapping[tuple[str, str], ServiceTime] | None = None,
    needs: Mapping[str, Need] | None = None,
    running: Mapping[str, float] | None = None,
) -> PoolPlan:
    """Give every task that has work its pool. Actors are shared out by predicted seconds, at least one each.

    On nodes with GPUs an actor takes the share of a card that the memory it needs is (``needs`` by task), or
    more where fewer actors keep the card busy and have a core each: an actor spends most of its time opening, cutting
    out and laying out on its core. Pools have cards of their own while there are enough, else equal shares. Without
    GPUs, one core per actor, or equal fractions of a core when there are more pools than cores. Ray starts a pool at
    its planned size and moves it between one actor and ``max_actors`` by what waits before it. ``running``: by task,
    the share of a card that actors hold who work already; it stays.

    Raises InterlaceError when a plan cannot be met: which pool, what it needs, what there is, what to change.
    """
    todo, times = [item for item in work if item.parts], {**DEFAULTS, **(service or {})}
    planning = partial(_Planning, config or ClusterConfig(), times, needs or {}, running or {})
    nodes = resources.machines()
    free = tuple(replace(node, gpus=node.gpus - node.held) for node in nodes)
    if free != nodes and all(left.gpus > 0 or not node.gpus for left, node in zip(free, nodes, strict=True)):
        with suppress(InterlaceError):  # what a run beside this one holds now comes free, so it is no reason to refuse
            return planning(resources, free).plan(todo, answers)
    return planning(resources, nodes).plan(todo, answers)


class _Planning:
    """One plan in the making."""

    def __init__(
        self,
        config: ClusterConfig,
        times: Mapping[tuple[str, str], ServiceTime],
        needs: Mapping[str, Need],
        running: Mapping[str, float],
        resources: Resources,
        nodes: Sequence[Node],
    ) -> None:
        self.config, self.times, self.needs, self.running = config, times, needs, running
        self.resources, self.nodes = resources, nodes
        self.tenants = 0  # pools, and the decoder
        self.encoders = 0

    def plan(self, work: Sequence[Work], answers: int) -> PoolPlan:
        """The pools of this work, and the decoder's when there are answers to give."""
        if work and sum(node.cpus for node in self.nodes) <= 0:
            raise InterlaceError("the cluster has no CPUs for encoders; add a node or stop other work")
        tasks = [item.task for item in work]
        where = {task: self._allowed(task) for task in [*tasks, *([DECODER] if answers else [])]}
        self.tenants, self.encoders = len(where), len(work)
        shares = {**self._shares(where), **self.running}
        seconds = {item.task: item.units * self._time(item.task, where).seconds for item in work}
        tenants = [self._tenant(item, where[item.task], shares[item.task], seconds[item.task]) for item in work]
        decoder = self._decoder(answers, where[DECODER], shares[DECODER]) if answers else None
        beside = [Tenant(DECODER, where[DECODER], shares[DECODER], 0.0, core=0.0)] if answers and tenants else []
        room = Room(self.nodes, self.config.gpu_share)
        if (left := room.place([*beside, *tenants])) is not None:
            raise InterlaceError(self._refusal(left, [*beside, *tenants]))
        pools = []
        for item, tenant in zip(work, tenants, strict=True):
            time = self._time(item.task, where)
            actors, most = room.count(item.task), self._most(tenant)
            pools.append(
                Pool(
                    task=item.task,
                    device=self._device(tenant.nodes),
                    actors=actors,
                    max_actors=self.config.actors.get(item.task) or max(actors, min(item.parts, most)),
                    num_cpus=self._cpus(room, item.task),
                    num_gpus=tenant.share,
                    batch_units=max(1.0, self.config.batch_seconds / time.seconds),
                    seconds=seconds[item.task],
                    service=time,
                    unit=item.unit,
                    crowd=self._crowd(item.task, tenant.nodes, tenant.share),
                    gib=self._gib(item.task, tenant.nodes),
                    labels=self._selector(item.task),
                    fixed=item.task in self.config.actors,
                )
            )
        return PoolPlan(tuple(pools), self.resources, decoder)

    def _selector(self, task: str) -> dict[str, str]:
        text = self.config.labels.get(task)
        return label_selector(text) if text else {}

    def _allowed(self, task: str) -> tuple[int, ...]:
        """The nodes that may hold a task: those with its labels, and of these the ones with GPUs when there are any."""
        selector = self._selector(task)
        fit = [number for number, node in enumerate(self.nodes) if matches(selector, node.labels)]
        if not fit:
            known = sorted({f"{key}={value}" for node in self.nodes for key, value in node.labels.items()})
            raise InterlaceError(
                f"no node has the labels {self.config.labels[task]} that cluster.labels.{task} asks for; nodes here "
                f"have: {', '.join(known) or 'none'}"
            )
        return tuple(number for number in fit if self.nodes[number].gpus) or tuple(fit)

    def _device(self, nodes: Sequence[int]) -> str:
        return "cuda" if self.nodes[nodes[0]].gpus else "cpu"

    def _time(self, task: str, where: Mapping[str, tuple[int, ...]]) -> ServiceTime:
        return self.times[task, self._device(where[task])]

    def _gib(self, task: str, nodes: Sequence[int]) -> float | None:
        return self.needs[task].gib if task in self.needs and self._device(nodes) == "cuda" else None

    def _card(self, nodes: Sequence[int]) -> float | None:
        """GiB of the smallest card that a pool may be given: Ray gives a pool's actors equal shares of any of them."""
        sizes = [self.config.card_gib or self.nodes[number].card_gib for number in nodes if self.nodes[number].gpus]
        known = [size for size in sizes if size]
        return min(known) if known and len(known) == len(sizes) else None

    def _shares(self, where: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
        """Of a card, for one actor of each: what its memory takes, or more where that fills the card."""
        least = {task: self._least(task, nodes) for task, nodes in where.items()}
        return {
            task: max(least[task], self._even(task, nodes, least.get(DECODER, 0.0)))
            if self._device(nodes) == "cuda"
            else 0.0
            for task, nodes in where.items()
        }

    def _least(self, task: str, nodes: Sequence[int]) -> float:
        """What the memory of one actor is of a card, an equal part of it where several need it together; 0 where either
        is not known."""
        card, gib = self._card(nodes), self._gib(task, nodes)
        if not gib or not card:
            return 0.0
        if gib > card * self.config.gpu_share:
            raise InterlaceError(self._too_large(task, card, gib))
        clients = self.needs[task].clients
        crowd = self._crowd(task, nodes) if clients > 1 else 1
        return math.ceil(1000 * gib / card * math.ceil(crowd / clients) / crowd) / 1000

    def _even(self, task: str, nodes: Sequence[int], decoder: float) -> float:
        """The share at which a place on a card is full: whole cards while they last, equal parts of them otherwise. A
        decoder whose memory was measured (``decoder``: that share) takes no more where cards are shared, because its
        caches have a fixed size; the others share what it leaves."""
        cards = self._cards(nodes)
        shared, tenants = self.tenants > cards, self.tenants
        left = min(self.config.gpu_share, cards)
        if shared and decoder and self.needs[DECODER].origin != "derived":
            if task == DECODER:
                return 0.0
            left, tenants = left - decoder, self.encoders
        place = left / math.ceil(tenants / max(cards, 1.0)) if shared else left
        if task == DECODER:
            return math.floor(1000 * min(place, cards / 4)) / 1000
        return max(1, math.floor(1000 * place / self._crowd(task, nodes))) / 1000  # never 0, which is a CPU

    def _cards(self, nodes: Sequence[int]) -> float:
        return max(sum(self.nodes[number].gpus for number in nodes), 1e-3)

    def _crowd(self, task: str, nodes: Sequence[int], share: float | None = None) -> int:
        """Actors of one place on a card: enough to keep it busy, no more than have their cores, or than fit."""
        time = self.times[task, self._device(nodes)]
        if self._device(nodes) == "cpu":
            return 1
        cards = self._cards(nodes)
        usable = sum(usable_cpus(self.nodes[number].cpus) for number in nodes)
        cores = int(usable / self._core(task, nodes) / max(cards, self.encoders))
        busy = math.ceil(time.seconds / time.gpu_seconds) if time.gpu_seconds else 1
        crowd = max(1, min(busy, cores))
        return crowd if share is None else max(1, min(crowd, int(self.config.gpu_share / share + 1e-6)))

    def _tenant(self, item: Work, nodes: tuple[int, ...], share: float, seconds: float) -> Tenant:
        fixed = self.config.actors.get(item.task)
        return Tenant(item.task, nodes, share, seconds, fixed or 1, fixed or item.parts, self._core(item.task, nodes))

    def _core(self, task: str, nodes: Sequence[int]) -> float:
        """Of a core, what one actor wants: all of it, unless a process on the card does most of its work."""
        shared = task in self.needs and self.needs[task].clients > 1
        return self.times[task, self._device(nodes)].core if shared and self._device(nodes) == "cuda" else 1.0

    def _most(self, tenant: Tenant) -> int:
        """Actors when nobody else is there."""
        alone = Room(self.nodes, self.config.gpu_share)
        alone.place([replace(tenant, seconds=1.0, least=1, most=10**6)])
        return alone.count(tenant.task)

    def _cpus(self, room: Room, task: str) -> float:
        """CPUs that Ray's books give one actor: at most one, and together a little less than there are, so that what
        answers, writes and decodes always fits beside them; with whole CPUs a machine of two cores waits for ever."""
        pools = [placed for name, placed in room.placed.items() if name != DECODER]  # it has its sliver: OVERHEAD_CPUS
        crowds = {number: sum(placed.get(number, 0) for placed in pools) for number in room.placed[task]}
        fair = (math.floor(100 * usable_cpus(self.nodes[n].cpus) / count) / 100 for n, count in crowds.items())
        return min(1.0, *fair)

    def _decoder(self, answers: int, nodes: tuple[int, ...], share: float) -> Pool:
        """The decoder books a sliver of CPU, so that encoders and decoder can never wait for each other."""
        time = self.times[DECODER, self._device(nodes)]
        return Pool(
            task=DECODER,
            device=self._device(nodes),
            actors=1,
            max_actors=1,
            num_cpus=0.1,
            num_gpus=share,
            batch_units=max(1.0, 16.0),
            seconds=answers * time.seconds,
            service=time,
            unit="answers",
            gib=self._gib(DECODER, nodes),
            labels=self._selector(DECODER),
        )

    def _too_large(self, task: str, card: float, gib: float) -> str:
        may = f" of which a run may fill {self.config.gpu_share:g}" if self.config.gpu_share < 1 else ""
        return (
            f"an actor of {task} needs {gib:.1f} GiB of one GPU, and the smallest card it may be given has {card:.1f} "
            f"GiB{may}: keep it to nodes with larger cards (cluster.labels.{task}), choose a smaller checkpoint or "
            f"declare what it needs (cluster.gpu_gib.{task}), or use no GPUs (cluster.num_gpus=0)"
        )

    def _refusal(self, left: Tenant, tenants: Sequence[Tenant]) -> str:
        """Why a plan does not fit."""
        fixed = [f"{task}: {count}" for task, count in self.config.actors.items() if task in {t.task for t in tenants}]
        if not left.share:
            cores = sum(int(self.nodes[number].cpus) for number in left.nodes)
            return (
                f"pools of {', '.join(fixed)} actors do not fit: each takes a core, and the nodes for {left.task} have "
                f"{cores:g}; lower cluster.actors"
            )
        needs = []
        for tenant in tenants:
            gib = self._gib(tenant.task, tenant.nodes)
            size = f"{gib:.1f} GiB" if gib else f"{tenant.share:g} of a card"
            needs.append(f"{tenant.least} of {tenant.task} at {size}")
        cards = self._cards(left.nodes)
        card = self._card(left.nodes)
        have = f"{cards:g} GPUs" + (f" of {card:.1f} GiB" if card else "")
        change = "lower cluster.actors" if fixed else "run fewer tasks at once (--tasks)"
        return (
            f"no room for pool {left.task}: needed are {', '.join(needs)}, with a core each; the nodes for it have "
            f"{have} and {sum(int(self.nodes[number].cpus) for number in left.nodes)} cores; {change}, or add a node"
        )
