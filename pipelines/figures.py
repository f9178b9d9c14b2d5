"""What a run has done so far, by pool: the one source of its progress, its log lines, `status --watch` and metrics."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any

from cluster.pools import PoolPlan, Work

SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 600.0)
MEASURED = 3  # batches without which a service time is not believed
FILL = (0.125, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(slots=True)
class Spread:
    """How values are spread: how many up to each bound, those over the last one, and their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.bounds = tuple(self.bounds)  # JSON has lists alone
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def mean(self) -> float | None:
        """None of nothing."""
        number = sum(self.counts)
        return self.total / number if number else None


@dataclass(slots=True)
class NetworkFigures:
    """A network that some process of the run has loaded, and for how many parts (or answers) it ran."""

    parameters: int
    parts: int = 0

    @property
    def active(self) -> int:
        """Parameters that were touched."""
        return self.parameters if self.parts else 0


@dataclass(slots=True)
class PoolFigures:
    """One pool. Units are pages, or seconds of audio; ``pages`` and ``audio_seconds`` are what was really read."""

    unit: str
    parts_expected: int
    units_expected: float
    batch_units: float  # how much a full batch holds
    actors_planned: str
    parts: int = 0
    parts_failed: int = 0  # not read, or not whole
    units: float = 0.0  # of the manifest, of the parts that are done
    pages: int = 0
    audio_seconds: float = 0.0
    batch_seconds: Spread = field(default_factory=lambda: Spread(SECONDS))  # of an actor, fetching included
    batch_fill: Spread = field(default_factory=lambda: Spread(FILL))
    gpu_busy: float | None = None  # share of the last batch's time; None without a GPU
    waiting: int = 0  # batches before the pool
    in_hand: int = 0  # batches that its actors have
    actors: int = 0
    actors_starting: int = 0
    failures: dict[str, int] = field(default_factory=dict)  # by category
    device: str = ""  # cpu | cuda; empty where an older version told
    timed_batches: int = 0  # those that were not the first of their actor, which loads networks with it
    timed_seconds: float = 0.0
    timed_units: float = 0.0
    encoder: str = ""  # its fingerprint; empty where an older version told

    @property
    def batches(self) -> int:
        """How many are done."""
        return sum(self.batch_seconds.counts)

    @property
    def service_seconds(self) -> float | None:
        """Seconds of one actor per unit, fetching included; None until enough batches are done."""
        return self.timed_seconds / self.timed_units if self.timed_batches >= MEASURED and self.timed_units else None


@dataclass(slots=True)
class RunFigures:
    """One attempt at a run. Written by the driver's main thread; `snapshot` may be called from any."""

    run_id: str
    verb: str
    started: float  # seconds since 1970
    pools: dict[str, PoolFigures] = field(default_factory=dict)
    networks: dict[str, dict[str, NetworkFigures]] = field(default_factory=dict)  # by task (or decoder) and name
    answers: int = 0
    answers_expected: int = 0
    updated: float = 0.0  # when this was told last
    ended: str = ""  # finished | interrupted | failed; empty while it works
    nodes: dict[str, float] = field(default_factory=dict)  # seconds to the first batch, see `advance`
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def begin(cls, run_id: str, verb: str) -> RunFigures:
        """Nothing was done yet."""
        return cls(run_id, verb, time.time())

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> RunFigures:
        """The inverse of `snapshot`."""
        pools = {task: PoolFigures(**pool) for task, pool in value["pools"].items()}
        for pool in pools.values():
            for name in ("batch_seconds", "batch_fill"):
                setattr(pool, name, Spread(**getattr(pool, name)))
        networks = {
            task: {name: NetworkFigures(**network) for name, network in found.items()}
            for task, found in value.get("networks", {}).items()
        }
        return cls(**{**value, "pools": pools, "networks": networks})

    def plan(self, work: Sequence[Work], plan: PoolPlan, encoders: Mapping[str, str]) -> None:
        """What is to be read, by which pools, and with which encoders, by their fingerprints."""
        with self._lock:
            for item in work:
                if item.parts:
                    pool = plan.pool(item.task)
                    actors = f"{pool.actors}-{pool.max_actors}" if pool.actors != pool.max_actors else f"{pool.actors}"
                    expected = (item.unit, item.parts, item.units)
                    self.pools[item.task] = PoolFigures(
                        *expected, pool.batch_units, actors, device=pool.device, encoder=encoders[item.task]
                    )

    def resized(self, sizes: Mapping[str, int]) -> None:
        """Pools that work have other sizes from now on."""
        with self._lock:
            for task, actors in sizes.items():
                self.pools[task].actors_planned = str(actors)

    def advance(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """One batch was committed: what `WritingStage` tells of its parts. Returns a sentence for each node that began
        to work with it: so long after it joined, or after this attempt began when it was there before."""
        if not rows:
            return []
        begun = []
        with self._lock:
            calls = rows[0]["calls"] or ()
            units = sum(row["units"] for row in rows)
            self._answered(sum(row["answered"] for row in rows))
            for call in calls:
                self._ran(call["task"], call["networks"] or ())
                pool = self.pools[call["task"]]
                pool.parts += len(rows)
                pool.units += units
                pool.parts_failed += sum(row["status"] != "ok" for row in rows)
                pool.pages += sum(row["pages"] for row in rows)
                pool.audio_seconds += sum(row["audio_seconds"] for row in rows)
                pool.batch_seconds.add(call["seconds"])
                pool.batch_fill.add(units / pool.batch_units)
                if call.get("loading") is None:
                    pool.timed_batches += 1
                    pool.timed_seconds += call["seconds"]
                    pool.timed_units += units
                pool.gpu_busy = call["gpu_busy"]
                if call.get("node") is not None and call["node"] not in self.nodes:
                    begun.append(self._begun(call))
            for failure in (failure for row in rows for failure in row["failures"]):
                task = failure["task"] if failure["task"] in self.pools else calls[0]["task"] if calls else ""
                if task:
                    failures = self.pools[task].failures
                    failures[failure["category"]] = failures.get(failure["category"], 0) + 1
        return begun

    def _begun(self, call: Mapping[str, Any]) -> str:
        """Note a node's first batch, which has just ended."""
        here = self.elapsed() - call["seconds"]
        joined = call["since_join"] < here
        self.nodes[call["node"]] = seconds = max(0.0, call["since_join"] if joined else here)
        after, loading = "it joined" if joined else "the run began", f"{call['loading']:.1f} s to load {call['task']}"
        return f"node {call['node']} began to read {seconds:.1f} s after {after}, {loading} included"

    def answered(self, count: int) -> None:
        """So many more answers were committed, of assets that had been read before."""
        with self._lock:
            self._answered(count)

    def decoder_loaded(self, parameters: Mapping[str, int]) -> None:
        """What a replica of the decoder says it has loaded, by checkpoint."""
        with self._lock:
            self._ran("decoder", [{"name": name, "parameters": n, "parts": 0} for name, n in parameters.items()])

    def _answered(self, count: int) -> None:
        self.answers += count
        for network in self.networks.get("decoder", {}).values():
            network.parts += count

    def _ran(self, task: str, networks: Iterable[Mapping[str, Any]]) -> None:
        for told in networks:
            network = self.networks.setdefault(task, {}).setdefault(told["name"], NetworkFigures(told["parameters"]))
            network.parts += told["parts"]

    def queues(self, seen: Mapping[str, Mapping[str, int]]) -> None:
        """What waits before the pools and what they have in hand, as `pipelines.queues` sees it."""
        with self._lock:
            for task, numbers in seen.items():
                if task in self.pools:
                    for name, value in numbers.items():
                        setattr(self.pools[task], name, value)

    def snapshot(self) -> dict[str, Any]:
        """All of it as JSON, as of now."""
        with self._lock:
            pools = {task: asdict(pool) for task, pool in self.pools.items()}
            networks = {task: {n: asdict(f) for n, f in found.items()} for task, found in self.networks.items()}
            names = ("run_id", "verb", "started", "answers", "answers_expected", "ended")
            told = {name: getattr(self, name) for name in names} | {"nodes": dict(self.nodes)}
            return told | {"pools": pools, "networks": networks, "updated": time.time()}

    @property
    def categories(self) -> dict[str, int]:
        """Failures by category over all pools."""
        with self._lock:
            found: dict[str, int] = {}
            for pool in self.pools.values():
                for category, number in pool.failures.items():
                    found[category] = found.get(category, 0) + number
            return found

    def elapsed(self, now: float | None = None) -> float:
        """Seconds since the attempt began."""
        return max(0.0, (time.time() if now is None else now) - self.started)
