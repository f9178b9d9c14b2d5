"""What a request must pass before it costs memory: keys, rates, room, and the size and pace of its body.

It runs as middleware of Serve's HTTP proxy, in front of everything, because the proxy itself would read a body of any
length into memory. A cluster whose proxies were started without it (`INSTALL`) has it in the gateway instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from cluster.endpoint.config import EndpointLimits, ServeConfig
from cluster.endpoint.keys import KeyRing
from cluster.endpoint.visitors import Visitors
from decoder.protocol.errors import ChatError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

INSTALL = "cluster.endpoint.admission.proxy_middleware"
"""What RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH must be when a cluster starts."""
SETTINGS = "INTERLACE_ENDPOINT_SETTINGS"
MARK = b"x-interlace-version"
"""On every answer of the gateway: an answer without it comes from Serve itself, because a replica died."""
_PASS = b"x-interlace-admitted"
_REFUSED = b"x-interlace-refused"
_OPEN_PATHS = ("/", "/health", "/page/", "/-/healthz")  # the last is Serve's own, which Kubernetes' probes ask for
BODY = "interlace.body"
"""Where a scope carries a short body."""
_SHORT = 64 << 10
_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between tries
_DRAINED, _DRAIN_SECONDS = 256 << 20, 10.0
# Headers by which a client could switch off what protects the server, or pretend to be admitted.
_DROPPED = frozenset({_PASS, _REFUSED, b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})


def environment(config: ServeConfig) -> dict[str, str]:
    """What must be in the environment of a cluster's processes so that its proxies admit requests."""
    settings = {"config": config.model_dump(mode="json"), "token": secrets.token_hex(16)}
    return {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": INSTALL, SETTINGS: json.dumps(settings)}


def proxy_middleware() -> list[Any]:
    """Called by Serve when a proxy starts."""
    from starlette.middleware import Middleware

    settings = os.environ.get(SETTINGS)
    if settings is None:
        return []
    found = json.loads(settings)
    return [Middleware(Admission, config=ServeConfig.model_validate(found["config"]), token=found["token"])]


class Admission:
    """ASGI middleware; see the module. ``token`` tells the gateway that a request has been admitted already."""

    def __init__(self, app: App, config: ServeConfig, token: str | None = None) -> None:
        self._app, self._limits = app, config.limits
        self._keys = KeyRing(config.limits, config.keys)
        self._visitors = Visitors(config, self._keys.open)
        self._token = token.encode() if token else None
        self._requests = 0
        self._bytes = 0
        self.refused: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the request, or answer it with the error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        read = False
        try:
            self._visitors.check(headers)
            if scope["method"] == "OPTIONS" or _is_open(scope["path"]):
                await self._forward(scope, b"", receive, send)
                return
            client = self._keys.client(headers)
            with self._keys.admitted(client), self._room(headers) as room:
                body = await self._body(headers, receive, room)
                read = True
                await self._forward(scope, body, receive, send)
        except ChatError as error:
            self.refused[str(error.status)] += 1
            if not read and error.status != 408:
                await _drain(receive)
            await self._refuse(scope, error, receive, send, close=error.status in (408, 413))

    async def _refuse(
        self, scope: Scope, error: ChatError, receive: Receive, send: Send, *, close: bool = False
    ) -> None:
        """Answer with an error that the same pages may read as the gateway's own answers."""

        async def refusal(scope: Scope, receive: Receive, send: Send) -> None:
            await respond(send, error, close=close)

        await CORSMiddleware(refusal, **self._visitors.cors())(scope, receive, send)

    def _room(self, headers: dict[str, str]) -> _Room:
        if self._requests >= self._limits.requests:
            raise ChatError(429, f"{self._requests} requests are under way; try again", retry_after=1)
        declared = headers.get("content-length", "")
        size = int(declared) if declared.isdecimal() else 0
        _check_size(size, self._limits)
        return _Room(self, size)

    async def _body(self, headers: dict[str, str], receive: Receive, room: _Room) -> bytes:
        """The whole body, with a limit on its size and its time. Its room is taken as it grows."""
        found = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    found += message.get("body", b"")
                    room.grow(len(found))
                    if not message.get("more_body", False):
                        return bytes(found)
        except TimeoutError:
            raise ChatError(408, f"the body did not arrive within {self._limits.body_seconds:g} s") from None

    async def _forward(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Pass on. A request whose replica died before it answered is passed on again: it was accepted."""
        kept = [(name, value) for name, value in scope["headers"] if name not in _DROPPED]
        if self._token:
            kept += [(_PASS, self._token), (_REFUSED, json.dumps(self.refused).encode())]
        client = _Client(receive)
        for wait in (*_WAITS, None):
            answer = _Answer(send)
            # A short body goes along with the scope: the replica would come back to the proxy for it.
            short = {BODY: body} if len(body) <= _SHORT else {}
            await self._app({**scope, "headers": kept, **short}, replay(body, client), answer)
            if answer.begun or client.gone:
                return
            if wait is not None:
                await asyncio.sleep(wait)  # the replacement is on its way
        lost = ChatError(503, "no replica could answer; try again", retry_after=2)
        await self._refuse(scope, lost, receive, send)

    def passes(self, scope: Scope) -> bool:
        """Whether this request was admitted by a proxy with the same token."""
        if self._token is None:
            return False
        return any(name == _PASS and secrets.compare_digest(value, self._token) for name, value in scope["headers"])


class _Gone(Exception):
    """The client went away while it was still sending."""


class _Room:
    """A request's place and the bytes of its body among all that are under way."""

    def __init__(self, admission: Admission, size: int) -> None:
        self._of, self._size = admission, 0
        self._declared = size

    def grow(self, size: int) -> None:
        limits = self._of._limits
        _check_size(size, limits)
        size = max(size, self._declared)
        if self._of._bytes + size - self._size > limits.bodies_bytes:
            raise ChatError(429, "too much is being sent at once; try again", retry_after=2)
        self._of._bytes += size - self._size
        self._size = size

    def __enter__(self) -> _Room:
        self._of._requests += 1
        try:
            self.grow(self._declared)
        except ChatError:
            self._of._requests -= 1
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        self._of._requests -= 1
        self._of._bytes -= self._size
        return kind is _Gone


class _Client:
    """What the client sends, and whether it has gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.gone |= message["type"] == "http.disconnect"
        return message


class _Answer:
    """Lets through what the gateway answers, from its first piece of a body on. What Serve says or leaves unsaid when
    a replica died is none: of most deaths it tells nothing at all, and a bare 500 comes from the HTTP server."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            marked = any(name.lower() == MARK for name, _ in message["headers"])
            self._start = message if marked or message["status"] < 500 else None
            return
        if not self.begun:
            if self._start is None:
                return
            self.begun = True
            await self._send(self._start)
        await self._send(message)


async def respond(send: Send, error: ChatError, *, close: bool = False) -> None:
    """Answer with an error. ``close``: the rest of the body is not wanted, nor read."""
    body = json.dumps(error.body()).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": f"req-{uuid.uuid4()}",
        MARK.decode(): "1",
        **error.headers(),
    }
    if close:
        headers["connection"] = "close"
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _drain(receive: Receive) -> None:
    """Throw away what the client is still sending: clients read an answer only when they have sent everything."""
    left = _DRAINED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b"")) + 1
                if not message.get("more_body", False):  # the end of the body, or of the connection
                    return


def replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, then whatever the client does next: going away, at most."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        while (message := await receive())["type"] != "http.disconnect":
            pass
        return message

    return replayed


def _check_size(size: int, limits: EndpointLimits) -> None:
    if size > limits.body_bytes:
        raise ChatError(413, f"the body is longer than {limits.body_bytes} bytes", field="body")


def _is_open(path: str) -> bool:
    """What needs no key: the page, its files and the health check."""
    return path in _OPEN_PATHS or path.startswith("/page/")
