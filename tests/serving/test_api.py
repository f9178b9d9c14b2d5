"""The gateway's HTTP side without a server: what it refuses by itself, and what it leaves behind when a client goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cluster.endpoint.api import _stream, build_api
from cluster.endpoint.config import EndpointConfig, ServeConfig
from cluster.endpoint.figures import Figures
from decoder.config import DecoderConfig
from encoders.tracing import OFF


async def asleep() -> None:
    return None


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=json", "application/x-www-form-urlencoded", None])
def test_what_a_page_elsewhere_may_post_unasked_is_no_chat(kind: str | None) -> None:
    config = EndpointConfig(serve=ServeConfig(), decoder=DecoderConfig(), encoders={})
    service: Any = None  # nobody may be asked
    api = build_api(config, service, Figures(asleep), lambda: "asleep", asleep)

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
            headers = {"content-type": kind} if kind else {}
            return await client.post("/v1/chat/completions", content=b"{}", headers=headers)

    answer = asyncio.run(post())
    assert answer.status_code == 400 and "must be application/json" in answer.json()["error"]["message"]


class Slow:
    """A service whose first event comes at once, or not at all."""

    def __init__(self, *, ready: bool) -> None:
        self.ready, self.ended = ready, False

    async def events(self, turn: Any) -> AsyncIterator[bytes]:
        try:
            if self.ready:
                yield b"data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            self.ended = True


def test_a_client_that_goes_before_the_first_chunk_stops_the_decoder() -> None:
    async def gone(message: Any) -> None:
        raise ConnectionResetError

    async def ask() -> None:
        service: Any = Slow(ready=True)
        turn: Any = None
        response = await _stream(service, turn, Figures(asleep), OFF.open("chat"))
        assert not service.ended
        with pytest.raises(ConnectionResetError):
            await response({"type": "http"}, receive, gone)
        assert service.ended

    asyncio.run(ask())


def test_a_client_that_goes_while_the_first_event_is_awaited_stops_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.endpoint.api._PATIENCE_SECONDS", 0.01)

    async def ask() -> None:
        service: Any = Slow(ready=False)
        turn: Any = None
        came = list[bytes]()
        alive = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                came.append(message["body"])
                alive.set()

        response = await _stream(service, turn, Figures(asleep), OFF.open("chat"))
        answering = asyncio.create_task(response({"type": "http"}, receive, send))  # type: ignore[arg-type]
        await alive.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        assert came[0].startswith(b":") and service.ended

    asyncio.run(ask())


async def receive() -> Any:
    await asyncio.Event().wait()
