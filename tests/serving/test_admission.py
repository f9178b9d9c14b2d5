"""The door: keys, rates, and bodies that are too long, too slow or too many. No server needed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from cluster.endpoint.admission import MARK, Admission
from cluster.endpoint.config import EndpointLimits, ServeConfig
from cluster.endpoint.keys import KeyRing
from decoder.protocol.errors import ChatError
from encoders.failures import InterlaceError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def ring(path: Path, clock: Clock, **limits: Any) -> KeyRing:
    return KeyRing(EndpointLimits(**limits), path, {}, clock)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_keys_of_file_and_environment(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    hashed = hashlib.sha256(b"key-of-carol").hexdigest()
    path.write_text(
        f"# people\nkey-of-alice alice\n\nkey-of-bob   # no name\nsha256:{hashed} carol\nkey#of#erin erin#1\n"
    )
    keys = KeyRing(EndpointLimits(), path, {"INTERLACE_API_KEYS": "key-of-dave,"}, Clock())
    assert not keys.open
    for key, name in (
        ("key-of-alice", "alice"),
        ("key-of-carol", "carol"),
        ("key-of-dave", "key-1"),
        ("key#of#erin", "erin#1"),
    ):
        assert keys.client(bearer(key)).name == name
    assert keys.client({"authorization": "key-of-alice"}).name == "alice"
    for headers in (
        {},
        bearer(""),
        bearer("key"),
        bearer("key-of-alic"),
        bearer("key-of-alicee"),
        bearer(f"sha256:{hashed}"),
        bearer("ü"),
    ):
        with pytest.raises(ChatError) as caught:
            keys.client(headers)
        assert caught.value.status == 401 and caught.value.code == "invalid_api_key"


def test_a_changed_file_is_read_again_and_a_broken_one_is_not_believed(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "keys"
    path.write_text("key-of-alice alice")
    keys = ring(path, clock)
    path.write_text("key-of-bob bobby")
    assert keys.client(bearer("key-of-alice")).name == "alice"  # looked at less than a second ago
    clock.now += 2
    assert keys.client(bearer("key-of-bob")).name == "bobby"
    with pytest.raises(ChatError):
        keys.client(bearer("key-of-alice"))
    path.unlink()
    clock.now += 2
    assert keys.client(bearer("key-of-bob")).name == "bobby"
    for broken in ("short x", "sha256:no-hex carol", b"\xff\xfe".decode("latin-1")):
        path.write_text(broken, "latin-1")
        clock.now += 2
        assert keys.client(bearer("key-of-bob")).name == "bobby", "an editor's slip must not shut everybody out"
    path.write_text("")
    clock.now += 2
    with pytest.raises(ChatError):  # a file without keys lets nobody in
        keys.client(bearer("key-of-bob"))


def test_keys_that_cannot_be_right_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(InterlaceError, match="cannot read the API keys"):
        ring(tmp_path / "none", Clock())
    (tmp_path / "short").write_text("abc alice")
    with pytest.raises(InterlaceError, match="alice has fewer than 8"):
        ring(tmp_path / "short", Clock())
    assert KeyRing(EndpointLimits(), None, {}, Clock()).client({}).name == "everybody"


def test_rates_and_concurrency_are_per_key(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "keys"
    path.write_text("key-of-alice alice\nkey-of-bob bob")
    keys = ring(path, clock, per_key_rate=2, per_key_burst=3, per_key_requests=2)
    alice, bob = keys.client(bearer("key-of-alice")), keys.client(bearer("key-of-bob"))
    with keys.admitted(alice), keys.admitted(alice):
        with pytest.raises(ChatError, match="2 requests of this key are under way"), keys.admitted(alice):
            pass
        with keys.admitted(bob):
            pass
    with keys.admitted(alice):
        pass
    with pytest.raises(ChatError, match="more than 2 requests a second") as caught, keys.admitted(alice):
        pass
    assert caught.value.status == 429 and int(caught.value.headers()["retry-after"]) >= 1
    clock.now += 0.5
    with keys.admitted(alice):
        pass


class Exchange:
    """One request through the door: what the client sends, and what comes back."""

    def __init__(self, chunks: list[bytes], *, stall: bool = False, **scope: Any) -> None:
        self.chunks, self.stall, self.sent = list(chunks), stall, list[Any]()
        self.scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], **scope}

    async def receive(self) -> Any:
        if not self.chunks:
            if self.stall:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        chunk = self.chunks.pop(0)
        more = bool(self.chunks) or self.stall
        return {"type": "http.request", "body": chunk, "more_body": more}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def error(self) -> Any:
        return json.loads(self.sent[1]["body"])["error"]


def door(app: Any, **limits: Any) -> Admission:
    return Admission(app, ServeConfig(limits=EndpointLimits(**limits)), "token")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    assert message["more_body"] is False
    await send({"type": "http.response.start", "status": 200, "headers": [(MARK, b"1")]})
    await send({"type": "http.response.body", "body": message["body"]})


def test_a_body_arrives_whole_and_its_room_is_given_back() -> None:
    admission = door(echo)
    exchange = Exchange([b"ab", b"cd"])
    asyncio.run(admission(exchange.scope, exchange.receive, exchange.send))
    assert exchange.status == 200 and exchange.sent[1]["body"] == b"abcd"
    assert (admission._requests, admission._bytes) == (0, 0)


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5000")]])
def test_a_body_that_is_too_long_is_413(headers: list[Any]) -> None:
    admission = door(echo, body_bytes=2000)
    exchange = Exchange([b"x" * 1000] * 5, headers=headers)
    asyncio.run(admission(exchange.scope, exchange.receive, exchange.send))
    assert exchange.status == 413 and exchange.error["param"] == "body"
    assert not exchange.chunks  # thrown away, so that the client reads its answer
    assert (b"connection", b"close") in exchange.sent[0]["headers"]
    assert (admission._requests, admission._bytes) == (0, 0)


def test_a_body_that_dawdles_is_408() -> None:
    exchange = Exchange([b"x"], stall=True)
    asyncio.run(door(echo, body_seconds=0.1)(exchange.scope, exchange.receive, exchange.send))
    assert exchange.status == 408


def test_a_client_that_goes_while_sending_is_forgotten() -> None:
    admission = door(echo)
    exchange = Exchange([])
    asyncio.run(admission(exchange.scope, exchange.receive, exchange.send))
    assert exchange.sent == [] and admission._requests == 0


def test_overload_is_429_before_memory_grows() -> None:
    async def run() -> tuple[list[int], int]:
        release, most = asyncio.Event(), 0
        admission = door(slow := _Slow(release), requests=3, bodies_bytes=2500)
        exchanges = [Exchange([b"x" * 1000]) for _ in range(5)]
        running = [asyncio.create_task(admission(e.scope, e.receive, e.send)) for e in exchanges]
        while slow.inside < 2 or sum(task.done() for task in running) < 3:
            most = max(most, admission._bytes)
            await asyncio.sleep(0)
        most = max(most, admission._bytes)
        release.set()
        await asyncio.gather(*running)
        assert admission._bytes == 0
        return sorted(e.status for e in exchanges), most

    statuses, most = asyncio.run(run())
    assert statuses == [200, 200, 429, 429, 429] and most <= 2500


class _Slow:
    def __init__(self, release: asyncio.Event) -> None:
        self.release, self.inside = release, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside += 1
        await self.release.wait()
        await echo(scope, receive, send)


@pytest.mark.parametrize("left", [0, 1, 2], ids=["nothing", "a beginning", "a bare 500"])
def test_what_a_dying_replica_left_is_asked_again(left: int) -> None:
    """Serve itself says nothing at all when a replica dies with a request; see `get_http_response_status` there."""
    calls: list[bytes] = []

    async def dying(scope: Any, receive: Any, send: Any) -> None:
        calls.append((await receive())["body"])
        if len(calls) > 2:
            await send({"type": "http.response.start", "status": 200, "headers": [(MARK, b"1")]})
            await send({"type": "http.response.body", "body": b"ok"})
        elif left:
            marks = [(MARK, b"1")] if left == 1 else []
            await send({"type": "http.response.start", "status": 200 if left == 1 else 500, "headers": marks})
        if len(calls) <= 2 and left == 2:
            await send({"type": "http.response.body", "body": b"Internal Server Error"})

    exchange = Exchange([b"question"])
    asyncio.run(door(dying)(exchange.scope, exchange.receive, exchange.send))
    assert exchange.status == 200 and calls == [b"question"] * 3
    assert [message.get("body") for message in exchange.sent] == [None, b"ok"]


def test_what_the_gateway_says_is_not_asked_again() -> None:
    calls: list[bytes] = []

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        calls.append(b"own")
        await send({"type": "http.response.start", "status": 503, "headers": [(MARK, b"1")]})
        await send({"type": "http.response.body", "body": b"{}"})

    exchange = Exchange([b"question"])
    asyncio.run(door(failing)(exchange.scope, exchange.receive, exchange.send))
    assert exchange.status == 503 and calls == [b"own"]


def test_a_client_that_went_is_not_asked_for_again() -> None:
    calls: list[bytes] = []

    async def cancelled(scope: Any, receive: Any, send: Any) -> None:
        calls.append((await receive())["body"])
        assert (await receive())["type"] == "http.disconnect"

    exchange = Exchange([b"question"])
    asyncio.run(door(cancelled)(exchange.scope, exchange.receive, exchange.send))
    assert exchange.sent == [] and calls == [b"question"]


def test_headers_that_would_switch_protection_off_are_dropped() -> None:
    seen: list[Any] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]))
        await echo(scope, receive, send)

    forged = [(b"x-request-disconnect-disabled", b"1"), (b"x-interlace-admitted", b"guess"), (b"x-own", b"kept")]
    exchange = Exchange([b"x"], headers=forged)
    admission = door(look)
    asyncio.run(admission(exchange.scope, exchange.receive, exchange.send))
    assert seen[0].keys() == {b"x-own", b"x-interlace-admitted", b"x-interlace-refused"}
    assert seen[0][b"x-interlace-admitted"] == b"token"
    assert admission.passes({"headers": list(seen[0].items())}) and not admission.passes(exchange.scope)


def test_only_the_page_and_health_are_open(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("key-of-alice")
    admission = Admission(echo, ServeConfig(keys=tmp_path / "keys"))
    statuses = {}
    opened = ["/", "/health", "/page/main.js", "/-/healthz"]
    for path in (*opened, "/metrics", "/v1/models", "/v1/pictures", "/pages", "/page", "/-/routes"):
        exchange = Exchange([b""], path=path)
        asyncio.run(admission(exchange.scope, exchange.receive, exchange.send))
        statuses[path] = exchange.status
    assert [path for path, status in statuses.items() if status == 200] == opened
    assert os.fspath(tmp_path) not in str(exchange.error)


def asked(config: ServeConfig, **headers: str) -> Exchange:
    exchange = Exchange([b"{}"], headers=[(name.encode(), value.encode()) for name, value in headers.items()])
    asyncio.run(Admission(echo, config)(exchange.scope, exchange.receive, exchange.send))
    return exchange


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "127.0.0.1:8000", "127.1.2.3", "[::1]:80", "box.lan"])
def test_without_keys_this_machine_asks_under_every_name(host: str) -> None:
    config = ServeConfig(allow_hosts=("box.lan",))
    assert asked(config, host=host).status == 200
    assert asked(config, host="localhost", origin=f"http://{host}").status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "box-lan", ""]
)
def test_without_keys_no_page_elsewhere_asks(host: str) -> None:
    """Neither under a name of its own that leads here (DNS rebinding) nor from its own place."""
    config = ServeConfig(allow_hosts=("box.lan",))
    for headers in ({"host": host}, {"host": "localhost", "origin": f"https://{host}"}):
        refused = asked(config, **headers)
        assert refused.status == 403 and refused.error["code"] == "forbidden"
        assert b"access-control-allow-origin" not in dict(refused.sent[0]["headers"])
    assert asked(config, host="localhost", origin="null").status == 403
    assert asked(config, host="localhost", origin="http://[::1").status == 403


def test_keys_that_did_not_come_along_do_not_open_the_door() -> None:
    """Those of INTERLACE_API_KEYS, where the endpoint joins a cluster whose processes have another environment."""
    for host in ("0.0.0.0", "10.1.2.3", "::"):
        assert asked(ServeConfig(host=host), host="localhost").status == 403
    for host in ("localhost", "127.0.0.3", "::1", "0:0:0:0:0:0:0:1"):
        assert asked(ServeConfig(host=host), host="localhost").status == 200


def test_refusals_may_be_read_where_answers_may(tmp_path: Path) -> None:
    """As the gateway's own: see CORSMiddleware."""
    (tmp_path / "keys").write_text("key-of-alice")
    keyed = ServeConfig(keys=tmp_path / "keys")
    refused = asked(keyed, host="evil.example", origin="https://evil.example")
    assert refused.status == 401 and dict(refused.sent[0]["headers"])[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-origin" not in dict(asked(keyed).sent[0]["headers"])
    full = ServeConfig(limits=EndpointLimits(body_bytes=1024))
    origin = "http://localhost:3000"
    refused = asked(full, origin=origin, **{"content-length": "5000"})
    assert refused.status == 413
    assert dict(refused.sent[0]["headers"])[b"access-control-allow-origin"] == origin.encode()
