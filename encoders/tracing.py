"""Traces by OpenTelemetry: what a part or a request went through, over all processes, as one tree of spans.

Off unless somebody says where spans go, and then nothing of OpenTelemetry is imported. A `Trace` is a place in a tree:
small, pickled along with the work, and enough for another process to add spans below it. The place is also kept in the
context of tasks and threads, so that code in between need not hand it on.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

Attributes = Mapping[str, str | int | float | bool]
_HEADER = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")
FLUSH_SECONDS = 2.0  # that spans may hold up work on their way out; those that take longer may be lost


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans go, and of which share of the parts and requests. Falsy: nowhere."""

    file: str = ""  # JSON lines, appended; of processes on this machine
    endpoint: str = ""  # of a collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318
    sample: float = 1.0

    @classmethod
    def of(cls, file: str | None, sample: float = 1.0) -> Tracing:
        """As a setting and the standard's environment say."""
        return cls(file or "", os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""), sample)

    def __bool__(self) -> bool:
        return bool(self.file or self.endpoint)

    def named(self, *names: str) -> Trace:
        """The tree with that name: every process that knows the name finds the same one, and its root."""
        digest = hashlib.sha256("\0".join(names).encode()).digest()
        trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
        sampled = bool(self) and int.from_bytes(digest[24:], "big") < self.sample * 2**64
        return Trace(self, trace_id, span_id) if sampled else OFF

    def request(self, header: str | None) -> Trace:
        """Below what a request's W3C `traceparent` says, or a tree of its own. The caller's choice to sample counts."""
        if not self:
            return OFF
        if header and (found := _HEADER.match(header.strip())):
            sampled = int(found[3], 16) & 1
            return Trace(self, int(found[1], 16), int(found[2], 16)) if sampled else OFF
        return replace(own, span_id=0) if (own := self.named(os.urandom(16).hex())) else OFF


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a tree: spans that are added have it as their parent. Falsy: nothing is traced."""

    tracing: Tracing = field(default_factory=Tracing)
    trace_id: int = 0
    span_id: int = 0  # 0: the next span is the root

    def __bool__(self) -> bool:
        return self.trace_id != 0

    @property
    def name(self) -> str:
        """The trace's id in hex, as tools print it."""
        return f"{self.trace_id:032x}" if self else ""

    def add(self, name: str, start: int, end: int, **attributes: Any) -> Trace:
        """A span that is over: nanoseconds since 1970. Returns its place."""
        if not self:
            return self
        span_id = int.from_bytes(os.urandom(8), "big") or 1
        _write(self, name, start, end, attributes, span_id, parent=self.span_id)
        return replace(self, span_id=span_id)

    def open(self, name: str, **attributes: Any) -> Span:
        """A span that begins now."""
        if not self:
            return Span(self)
        below = replace(self, span_id=int.from_bytes(os.urandom(8), "big") or 1)
        return Span(below, self.span_id, name, time.time_ns(), attributes)

    def add_root(self, name: str, start: int, end: int, linked: Trace | None = None, **attributes: Any) -> None:
        """The span that this place is: of a tree that was found by its name, written by whoever knows its end."""
        if self:
            _write(self, name, start, end, attributes, self.span_id, parent=0, linked=linked)

    def add_stages(self, seconds: Mapping[str, float], end: int) -> None:
        """A span for each stage that an encoder timed, laid end to end up to ``end``. Their lengths are what was
        measured; where they lie is not, because pages and windows of several parts take turns."""
        if not self:
            return
        start = end - int(sum(seconds.values()) * 1e9)
        for stage, spent in seconds.items():
            self.add(stage, start, start := start + int(spent * 1e9), laid_out=True)

    @contextmanager
    def active(self) -> Iterator[Trace]:
        """The place for `span` and `current` in this task or thread."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)


@dataclass(slots=True)
class Span:
    """A span that is open until `end`. ``trace`` is the place below it."""

    trace: Trace
    parent: int = 0
    name: str = ""
    start: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)

    def end(self, **attributes: Any) -> None:
        """It is over; a second end does nothing."""
        if self.trace and self.start:
            told = self.attributes | attributes
            _write(self.trace, self.name, self.start, time.time_ns(), told, self.trace.span_id, parent=self.parent)
        self.start = 0


OFF = Trace()
_AWAY: dict[Tracing, float] = {}  # until when a collector is not waited for
_CURRENT: ContextVar[Trace] = ContextVar("trace", default=OFF)


def current() -> Trace:
    """The place in this task or thread."""
    return _CURRENT.get()


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Span]:
    """A span around the block, below the current place; within the block the place is below it. Not for generators,
    whose pieces run in the contexts of whoever asks for them: those `open` and `end`."""
    opened = _CURRENT.get().open(name, **attributes)
    try:
        with opened.trace.active():
            yield opened
    except BaseException as error:
        opened.end(error=type(error).__name__)
        raise
    opened.end()


def flush(tracing: Tracing) -> None:
    """Send what waits, for `FLUSH_SECONDS` at most: a process may be ended without a word after its work. When that is
    not enough the collector is away, and nobody waits for it for a minute."""
    if tracing.endpoint and time.monotonic() >= _AWAY.get(tracing, 0.0):
        sending = threading.Thread(target=_provider(tracing).force_flush, name="traces", daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)
        if sending.is_alive():
            _AWAY[tracing] = time.monotonic() + 60


def _write(
    place: Trace,
    name: str,
    start: int,
    end: int,
    attributes: Attributes,
    span_id: int,
    *,
    parent: int,
    linked: Trace | None = None,
) -> None:
    from opentelemetry import trace as api
    from opentelemetry.context import Context

    def context(span_id: int, trace_id: int = place.trace_id) -> api.SpanContext:
        return api.SpanContext(trace_id, span_id, is_remote=True, trace_flags=api.TraceFlags(1))

    provider = _provider(place.tracing)
    links = [api.Link(context(linked.span_id, linked.trace_id))] if linked else None
    above = api.set_span_in_context(api.NonRecordingSpan(context(parent))) if parent else Context()
    with provider.id_generator.next(place.trace_id, span_id):
        written = provider.get_tracer("interlace").start_span(name, above, start_time=start, links=links)
    written.set_attributes({key: value for key, value in attributes.items() if value is not None})
    written.end(end)


@cache
def _provider(tracing: Tracing) -> Any:
    """This process's way out for spans."""
    import logging

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    told: dict[str, Any] = {"service.name": "interlace", "host.name": socket.gethostname(), "process.pid": os.getpid()}
    provider = TracerProvider(resource=Resource(told), id_generator=_ids())
    if tracing.file:
        with suppress(OSError):  # a path of another machine's: what cannot be traced is worked on all the same
            lines = Path(tracing.file).open("a", encoding="utf-8")  # noqa: SIM115  for the life of the process
            exporter = ConsoleSpanExporter(out=lines, formatter=lambda span: span.to_json(indent=None) + "\n")
            provider.add_span_processor(SimpleSpanProcessor(exporter))
    if tracing.endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it would tell every second of one that is away
        sender = OTLPSpanExporter(endpoint=f"{tracing.endpoint.rstrip('/')}/v1/traces", timeout=5)
        provider.add_span_processor(BatchSpanProcessor(sender, schedule_delay_millis=1000))
    return provider


def _ids() -> Any:
    """A generator of the ids that were said, so that a tree's root may have the one that all processes know."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class SaidIds(RandomIdGenerator):
        def __init__(self) -> None:
            self._said = threading.local()

        @contextmanager
        def next(self, trace_id: int, span_id: int) -> Iterator[None]:
            self._said.ids = trace_id, span_id
            yield

        def generate_trace_id(self) -> int:
            return int(self._said.ids[0])

        def generate_span_id(self) -> int:
            return int(self._said.ids[1])

    return SaidIds()
