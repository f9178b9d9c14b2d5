"""The gateway's lease on the decoder. No Ray: what is shown is who holds a lease when clients come and go."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from cluster.endpoint import decoding
from cluster.endpoint.decoding import DecoderAccess
from decoder.config import DecoderConfig


class Lease:
    """A lease that counts itself."""

    held = 0

    def __init__(self) -> None:
        Lease.held += 1
        self.handle = self

    async def figures_async(self) -> dict[str, Any]:
        return {"parameters": {"tiny": 1}}

    def release(self) -> None:
        Lease.held -= 1


def test_a_client_that_goes_while_the_decoder_starts_leaves_no_lease_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def starting(config: DecoderConfig, **_: Any) -> Lease:
        begun.set()
        assert go_on.wait(10)
        return Lease()

    monkeypatch.setattr(decoding, "ensure_decoder", starting)

    async def clients() -> None:
        access = DecoderAccess(DecoderConfig(), idle_seconds=60, warm=False, gpu_share=0)

        async def client() -> None:
            async with access.use():
                pass

        first = asyncio.create_task(client())
        await asyncio.to_thread(begun.wait, 10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(client())
        go_on.set()
        await second
        assert access.awake and Lease.held == 1 and access.parameters == {"tiny": 1}
        await access.close()
        assert Lease.held == 0

    asyncio.run(clients())
