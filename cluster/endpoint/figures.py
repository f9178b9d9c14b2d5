"""What the endpoint has done, as Prometheus reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from cluster.endpoint.answering import Turn

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)


@dataclass(slots=True)
class Seen:
    """One request as it goes by."""

    figures: Figures
    kind: str = "chat"
    streaming: bool = False

    def begun(self, turn: Turn) -> None:
        """It was understood."""
        self.kind = turn.directives.task or "chat"
        self.streaming = bool(turn.request.stream)

    def finished(self, turn: Turn) -> None:
        """It was answered."""
        self.figures.answered(turn)


class Figures:
    """Counters and histograms of one gateway. ``decoder`` gives the decoder's own figures, None while it sleeps."""

    def __init__(self, decoder: Callable[[], Awaitable[Mapping[str, Any] | None]]) -> None:
        self._decoder = decoder
        self._registry = registry = CollectorRegistry()
        self._answered = Counter("interlace_requests", "answered requests by task", ["task"], registry=registry)
        self._failed = Counter("interlace_errors", "requests answered with an error", ["status"], registry=registry)
        self._running = Gauge("interlace_requests_running", "requests under way", registry=registry)
        self._seconds = Histogram(
            "interlace_request_seconds", "time to the whole answer", ["task"], buckets=_SECONDS, registry=registry
        )
        self._first = Histogram(
            "interlace_first_token_seconds", "time to the first token", buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter("interlace_tokens", "tokens read and written", ["kind"], registry=registry)
        self._networks = Counter(
            "interlace_network_requests", "answered requests that a network ran for", ["network"], registry=registry
        )
        self._parameters = Gauge(
            "interlace_loaded_parameters", "parameters of a network that was loaded", ["network"], registry=registry
        )
        self._refused = Gauge(
            "interlace_refused", "requests turned away at the door, by status", ["status"], registry=registry
        )
        self._engine = Gauge("interlace_decoder", "the decoder's own figures", ["figure"], registry=registry)
        self._awake = Gauge("interlace_decoder_awake", "1 while the decoder is loaded", registry=registry)

    @contextmanager
    def request(self) -> Iterator[Seen]:
        """A request is under way until the block ends; a stream goes on after it, see `stream`."""
        self._running.inc()
        try:
            yield Seen(self)
        finally:
            self._running.dec()

    @contextmanager
    def stream(self, turn: Turn) -> Iterator[None]:
        """A stream is under way until the block ends."""
        self._running.inc()
        try:
            yield
            self.answered(turn)
        finally:
            self._running.dec()

    def answered(self, turn: Turn) -> None:
        """A request has its whole answer."""
        task = turn.directives.task or "chat"
        self._answered.labels(task).inc()
        self._seconds.labels(task).observe(time.monotonic() - turn.started)
        if turn.first_token is not None:
            self._first.observe(turn.first_token)
        for network in turn.reply.active_parameters:
            self._networks.labels(network).inc()
        for network, count in turn.reply.loaded_parameters.items():
            self._parameters.labels(network).set(count)
        usage = turn.reply.usage
        for kind in ("prompt", "completion", "cached"):
            self._tokens.labels(kind).inc(getattr(usage, f"{kind}_tokens"))

    def failed(self, status: int) -> None:
        """A request was answered with an error."""
        self._failed.labels(str(status)).inc()

    async def text(self, refused: str | None) -> tuple[bytes, str]:
        """All figures and their content type. ``refused``: what the proxy in front turned away, as it tells."""
        for status, count in json.loads(refused or "{}").items():
            self._refused.labels(status).set(count)
        found = await self._decoder()
        self._awake.set(found is not None)
        self._engine.clear()
        for name, value in (found or {}).items():
            if isinstance(value, int | float):
                self._engine.labels(name).set(value)
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
