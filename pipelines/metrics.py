"""`interlace metrics OUT`: what a lake tells, for Prometheus. docs/observability.md has the table of all names.

One process for each lake and not a port in every run: a nightly run may end between two scrapes, and its driver is
somewhere else each time; the lake stays. What a run tells is in its store, so this needs no agent on any node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from encoders.failures import FailureCategory
from pipelines.figures import PoolFigures, RunFigures, Spread
from pipelines.ledger import TERMS, Ledger
from pipelines.storage import Storage
from pipelines.view import LakeWatch, View

STATES = ("working", "stale", "abandoned", "idle", "unreachable")

_COUNTERS: dict[str, tuple[str, Callable[[PoolFigures], float]]] = {
    "interlace_pool_parts": ("parts that are done", lambda pool: pool.parts),
    "interlace_pool_parts_failed": ("parts of these that were not read, or not whole", lambda pool: pool.parts_failed),
    "interlace_pool_pages": ("pages that were read", lambda pool: pool.pages),
    "interlace_pool_audio_seconds": ("seconds of audio that were heard", lambda pool: pool.audio_seconds),
}
_GAUGES: dict[str, tuple[str, Callable[[PoolFigures], float | None]]] = {
    "interlace_pool_parts_expected": ("parts that this attempt has to do", lambda pool: pool.parts_expected),
    "interlace_pool_queue_batches": ("batches that wait before the pool", lambda pool: pool.waiting),
    "interlace_pool_batches_in_hand": ("batches that its actors have", lambda pool: pool.in_hand),
    "interlace_pool_actors": ("actors that work", lambda pool: pool.actors),
    "interlace_pool_actors_starting": ("actors that start, or start again", lambda pool: pool.actors_starting),
    "interlace_pool_gpu_busy_ratio": ("share of time that the GPU worked, last batch", lambda pool: pool.gpu_busy),
}


class LakeCollector(Collector):
    """Turns the last look at OUT into metrics."""

    def __init__(self) -> None:
        self.view: View | None = None

    def collect(self) -> Iterator[Metric]:
        """All of them; nothing before the first look."""
        view = self.view
        if view is None:
            return
        state = GaugeMetricFamily("interlace_lake_state", "1 for the state that the lake is in", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(view.state == name))
        yield state
        yield GaugeMetricFamily("interlace_run_working", "1 while a run reads or answers", float(view.working))
        yield GaugeMetricFamily("interlace_lake_looked_timestamp_seconds", "when the store was read last", view.at)
        if view.last_success is not None:
            text = "when a run finished last, with something new or not"
            yield GaugeMetricFamily("interlace_run_last_success_timestamp_seconds", text, view.last_success)
        if view.run is not None:
            yield from _run(view.run)
        if view.ledger is not None:
            yield from _ledger(view.ledger)


def _run(run: RunFigures) -> Iterator[Metric]:
    info = InfoMetricFamily("interlace_run", "the newest run that had something to do", labels=[])
    info.add_metric([], {"run_id": run.run_id, "verb": run.verb})
    yield info
    yield GaugeMetricFamily("interlace_run_started_timestamp_seconds", "when this attempt began", run.started)
    yield GaugeMetricFamily("interlace_run_updated_timestamp_seconds", "when it told of itself last", run.updated)
    yield CounterMetricFamily("interlace_run_answers", "questions that were answered", run.answers)
    first = GaugeMetricFamily("interlace_run_node_first_batch_seconds", "from a node's joining to its first batch",
                              labels=["node"])  # fmt: skip
    for node, seconds in run.nodes.items():
        first.add_metric([node], seconds)
    yield first
    failures = CounterMetricFamily("interlace_pool_failures", "failures, of which a part may have several",
                                   labels=["pool", "category"])  # fmt: skip
    for task, pool in run.pools.items():
        for category in FailureCategory:  # all from the start: an increase is only seen of what was there before
            failures.add_metric([task, category.value], pool.failures.get(category.value, 0))
    yield failures
    for name, (text, value) in _COUNTERS.items():
        counter = CounterMetricFamily(name, text, labels=["pool"])
        for task, pool in run.pools.items():
            counter.add_metric([task], value(pool) or 0.0)
        yield counter
    for name, (text, measure) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, text, labels=["pool"])
        for task, pool in run.pools.items():
            found = measure(pool)
            if found is not None:
                gauge.add_metric([task], found)
        yield gauge
    for name, text, number in (
        ("interlace_network_parameters", "parameters of a network that the run has loaded", lambda n: n.parameters),
        ("interlace_network_parameters_touched", "the same if it ran for anything, else 0", lambda n: n.active),
    ):
        gauge = GaugeMetricFamily(name, text, labels=["pool", "network"])
        for task, networks in run.networks.items():
            for network, figures in networks.items():
                gauge.add_metric([task, network], number(figures))
        yield gauge
    spent = {task: pool.batch_seconds for task, pool in run.pools.items()}
    yield _histogram("interlace_pool_batch_seconds", "time of an actor over one batch, fetching included", spent)
    fill = {task: pool.batch_fill for task, pool in run.pools.items()}
    yield _histogram("interlace_pool_batch_fill_ratio", "units in a batch over those of a full one", fill)


def _histogram(name: str, text: str, spreads: dict[str, Spread]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["pool"])
    for task, spread in spreads.items():
        buckets, below = [], 0
        for bound, count in zip([*map(str, spread.bounds), "+Inf"], spread.counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        family.add_metric([task], buckets, spread.total)
    return family


def _ledger(ledger: Ledger) -> Iterator[Metric]:
    for unit, account in ledger.accounts.items():
        family = GaugeMetricFamily(f"interlace_ledger_{unit}", f"{unit} by what became of them", labels=["term"])
        family.add_metric(["listed"], account.listed)
        for term in TERMS:
            family.add_metric([term], account.terms[term])
        yield family
    yield GaugeMetricFamily("interlace_ledger_balanced", "1 while the ledger balances", float(ledger.balanced))


def serve_metrics(out: str, host: str, port: int, every: float, stop: threading.Event) -> None:
    """Answer Prometheus until told to stop, with a look at OUT every few seconds. Raises OSError when the port is
    taken."""
    watch, collector = LakeWatch(Storage(out)), LakeCollector()
    registry = CollectorRegistry()
    registry.register(collector)
    server, thread = start_http_server(port, addr=host, registry=registry)
    try:
        while not stop.is_set():
            collector.view = watch.look()
            stop.wait(every)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
