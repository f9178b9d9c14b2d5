"""Spans as tests look at them, and a collector that speaks OTLP over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """One span, wherever it was found."""

    trace: str
    span: str
    parent: str  # empty: a root
    name: str
    process: int
    start: int
    end: int


@contextmanager
def collector() -> Iterator[tuple[str, list[Seen]]]:
    """A server on a free port of loopback; yields its address, and the spans that have come."""
    spans: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            message = ExportTraceServiceRequest()
            message.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
            for resource in message.resource_spans:
                about = {item.key: item.value for item in resource.resource.attributes}
                process = about["process.pid"].int_value
                for scope in resource.scope_spans:
                    for s in scope.spans:
                        ids = (s.trace_id.hex(), s.span_id.hex(), s.parent_span_id.hex())
                        spans.append(Seen(*ids, s.name, process, s.start_time_unix_nano, s.end_time_unix_nano))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        server.server_close()


def from_file(path: Path) -> list[Seen]:
    """The spans of a file of JSON lines. Times are not looked at."""
    found = []
    for line in path.read_text().splitlines():
        value = json.loads(line)
        ids = (value["context"]["trace_id"][2:], value["context"]["span_id"][2:], (value["parent_id"] or "")[2:])
        found.append(Seen(*ids, value["name"], value["resource"]["attributes"]["process.pid"], 0, 0))
    return found


def tree(spans: Iterable[Seen], trace: str) -> dict[str, list[Seen]]:
    """The spans of a trace by name. Fails unless each one but one has its parent among them."""
    own = [span for span in spans if span.trace == trace]
    known = {span.span for span in own}
    assert len(known) == len(own)
    roots = [span for span in own if span.parent not in known]
    assert len(roots) == 1, [span.name for span in roots]
    named: dict[str, list[Seen]] = {}
    for span in own:
        named.setdefault(span.name, []).append(span)
    return named
