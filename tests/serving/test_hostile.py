"""What a hostile or hapless client does; afterwards the endpoint answers as before."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.serving.conftest import Endpoint, until
from tests.serving.site import image_part


@pytest.fixture(autouse=True)
def answers_as_before(endpoint: Endpoint) -> Iterator[None]:
    before = endpoint.chat(max_tokens=6)
    assert before[0] == 200
    yield
    after = endpoint.chat(max_tokens=6)
    assert after[0] == 200 and after[1]["choices"] == before[1]["choices"]


def connect(endpoint: Endpoint) -> socket.socket:
    parts = urlsplit(endpoint.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def head(endpoint: Endpoint, *lines: str) -> bytes:
    fixed = ["POST /v1/chat/completions HTTP/1.1", "host: localhost", f"authorization: Bearer {endpoint.key}"]
    return "\r\n".join([*fixed, "content-type: application/json", *lines, "", ""]).encode()


def status_of(connection: socket.socket) -> int:
    return int(connection.makefile("rb").readline().split()[1])


def test_fuzzed_bodies_are_400(endpoint: Endpoint) -> None:
    valid = json.dumps({"model": "interlace", "messages": [{"role": "user", "content": [image_part()]}]}).encode()
    chance = random.Random(4)
    bodies = [b"", b"null", b"[]", b'"x"', b"{" * 10_000, b"\xff\xfe", b'{"model":1}', valid[:-1], valid + b"x"]
    for _ in range(60):
        mangled = bytearray(valid[:300])
        for _ in range(chance.randrange(1, 6)):
            mangled[chance.randrange(len(mangled))] = chance.randrange(256)
        bodies.append(bytes(mangled))
    for body in bodies:
        status, answer, _ = endpoint.call("/v1/chat/completions", body)
        assert status == 400 and answer["error"]["type"] == "invalid_request_error", (body[:80], answer)


def test_50_mb_of_base64_is_413_and_leaves_no_memory_behind(endpoint: Endpoint) -> None:
    def resident() -> int:
        return sum(
            p.memory_info().rss for p in endpoint.processes("ProxyActor") + endpoint.processes("endpoint:gateway")
        )

    before = resident()
    body = b'{"model":"interlace","messages":[{"role":"user","content":"' + b"A" * 50_000_000 + b'"}]}'
    for _ in range(3):
        status, answer, _ = endpoint.call("/v1/chat/completions", body)
        assert status == 413 and answer["error"]["param"] == "body"
    assert before > 1e8 and resident() - before < 60e6
    file = {"type": "file", "file": {"file_data": "A" * 29_000_000}}
    status, answer, _ = endpoint.chat([file])
    assert status == 413 and answer["error"]["param"] == "messages[0].content[0].file.file_data"


def test_a_slow_body_is_given_up(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, "content-length: 1000") + b"{")
        assert status_of(connection) == 408


def test_a_chunked_body_without_end_is_stopped(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, "transfer-encoding: chunked"))
        sent = 0
        try:
            while sent < 400_000_000:
                connection.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
                sent += 0x100000
        except OSError:
            pass
        assert sent < 350_000_000


def test_clients_that_go_away_mid_stream_leave_the_decoder(endpoint: Endpoint) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 100}
    body = {
        "model": "interlace",
        "messages": [{"role": "user", "content": "count"}],
        "stream": True,
        "max_tokens": 400,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    }
    data = json.dumps(body).encode()

    def running() -> float:
        text = endpoint.call("/metrics")[1]
        return sum(
            float(line.split()[1])
            for line in text.splitlines()
            if line.startswith(('interlace_decoder{figure="running"', 'interlace_decoder{figure="waiting"'))
        )

    for _ in range(4):
        with connect(endpoint) as connection:
            connection.sendall(head(endpoint, f"content-length: {len(data)}") + data)
            assert b"200" in connection.recv(200)
    until(15, lambda: running() == 0)
    until(15, lambda: "interlace_requests_running 0.0" in endpoint.call("/metrics")[1])


def test_keys_are_not_guessed_by_time_or_message(endpoint: Endpoint) -> None:
    guesses = ["", "x", endpoint.key[:-1], endpoint.key + "x", endpoint.key.upper(), "Bearer", "a" * 5000, "sha256:00"]
    answers = [endpoint.call("/v1/models", headers={"authorization": f"Bearer {guess}"}) for guess in guesses]
    assert {status for status, _, _ in answers} == {401}
    assert len({answer["error"]["message"] for _, answer, _ in answers}) == 1
    assert not any(endpoint.key in json.dumps(answer) for _, answer, _ in answers)


def test_malformed_http_and_forged_headers(endpoint: Endpoint) -> None:
    for raw in (
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"\x16\x03\x01" + bytes(200),
    ):
        with connect(endpoint) as connection:
            connection.sendall(raw)
            connection.settimeout(10)
            assert connection.recv(20)[:12] in (b"", b"HTTP/1.1 400")
    forged = {
        "authorization": "Bearer nobody-at-all",
        "x-interlace-admitted": "token",
        "x-interlace-refused": '{"x":1}',
    }
    assert endpoint.call("/v1/models", headers=forged)[0] == 401
    forged["authorization"] = f"Bearer {endpoint.key}"
    assert 'status="x"' not in endpoint.call("/metrics", headers=forged)[1]


def test_many_idle_connections_do_not_keep_others_out(endpoint: Endpoint) -> None:
    idle = [connect(endpoint) for _ in range(100)]
    try:
        started = time.monotonic()
        assert endpoint.call("/health")[0] == 200
        assert endpoint.chat(max_tokens=2)[0] == 200 and time.monotonic() - started < 60
    finally:
        for connection in idle:
            connection.close()
