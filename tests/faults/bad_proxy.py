"""An S3 endpoint that misbehaves: a proxy in front of a real server that fails some of the requests on purpose."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

MODES = ("503", "slow", "reset", "lost reply")
"""What happens to a request that is chosen: refused with SlowDown, held for a moment, cut off before the server saw it,
or carried out and then cut off, so that the client does not learn that it succeeded."""
REFUSALS = {"503": (503, "SlowDown"), "revoked": (403, "AccessDenied"), "vanished": (404, "NoSuchBucket")}


class BadProxy(ThreadingHTTPServer):
    """Fails one request in ``every``; mode None lets everything through."""

    daemon_threads = True

    def __init__(self, endpoint: str, mode: str | None, every: int = 7) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(endpoint).netloc
        self.mode, self.every = mode, every
        self.requests = self.injected = 0
        self.asked: list[tuple[str, str, str]] = []  # method, path and range of every request
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def chosen(self) -> str | None:
        """The mode, when it is this request's turn."""
        with self._lock:
            self.requests += 1
            if self.mode is None or self.requests % self.every:
                return None
            self.injected += 1
            return self.mode

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go out apart: the second would wait 40 ms for the first's receipt
    server: BadProxy

    def _handle(self) -> None:
        body = self._body()
        self.server.asked.append((self.command, self.path.partition("?")[0], self.headers.get("Range", "")))
        mode = self.server.chosen()
        if mode in REFUSALS:
            self._refuse(*REFUSALS[mode])
            return
        if mode == "reset":
            self._cut()
            return
        if mode == "slow":
            time.sleep(0.3)
        status, headers, data = self._forward(body)
        if mode == "lost reply":
            self._cut()
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        of_the_object = lengths[0] if lengths and self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", of_the_object)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """The same request, Host included, because the client signed it."""
        connection = http.client.HTTPConnection(self.server.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("transfer-encoding", "expect", "content-length", "connection"):
                connection.putheader(name, value)
        if body or self.command in ("PUT", "POST"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data

    def _refuse(self, status: int, code: str) -> None:
        data = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
        data = b"" if self.command == "HEAD" else data
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _cut(self) -> None:
        """Reset, not a clean end: the client cannot take it for an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def bad_proxy(endpoint: str, mode: str | None, every: int = 7) -> Iterator[BadProxy]:
    """A proxy that listens for the length of the block."""
    proxy = BadProxy(endpoint, mode, every)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
