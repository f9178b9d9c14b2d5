"""The gateway's way to the shared decoder: a lease taken on first use and given back after idle time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cluster.decoder_app import DecoderHandle, DecoderResources
from cluster.decoder_lease import DecoderLease, ensure_decoder
from decoder.config import DecoderConfig

_FIGURES_SECONDS = 2.0  # who scrapes figures waits for 10


class DecoderAccess:
    """Hands out the decoder while it is used. A warm one is started at once and kept."""

    def __init__(self, config: DecoderConfig, *, idle_seconds: float, warm: bool, gpu_share: float) -> None:
        self._config, self._idle, self._warm = config, idle_seconds, warm
        self._resources = DecoderResources(num_gpus=gpu_share)
        self._lease: DecoderLease | None = None
        self._parameters: dict[str, int] = {}
        self._changing = asyncio.Lock()
        self._users = 0
        self._used = time.monotonic()
        self._watch: asyncio.Task[None] | None = None
        self._taking: asyncio.Task[DecoderLease] | None = None

    @property
    def awake(self) -> bool:
        """Whether this gateway holds a lease."""
        return self._lease is not None

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters of the decoder by checkpoint; empty until it was used."""
        return self._parameters

    async def start(self) -> None:
        """Start the decoder when it is to be kept warm."""
        if self._warm:
            async with self.use():
                pass

    @asynccontextmanager
    async def use(self) -> AsyncIterator[DecoderHandle]:
        """The decoder, for as long as the block runs; it is started when it sleeps."""
        self._users += 1
        try:
            lease = self._lease or await self._take()
            yield lease.handle
        finally:
            self._users -= 1
            self._used = time.monotonic()

    async def figures(self) -> dict[str, object] | None:
        """What runs and waits in the decoder; None while it sleeps, nothing while it does not answer."""
        from ray.exceptions import RayError

        lease = self._lease
        if lease is None:
            return None
        try:
            async with asyncio.timeout(_FIGURES_SECONDS):
                return await lease.handle.figures_async()
        except (TimeoutError, RayError):  # it is being replaced, say, which the gateway's figures should outlive
            return {}

    async def close(self) -> None:
        """Give the lease back."""
        if self._watch is not None:
            self._watch.cancel()
        await self._release()

    async def _take(self) -> DecoderLease:
        """The lease. A client that goes while the decoder starts does not stop it: a thread would take the lease all
        the same, and nobody would ever give it back."""
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._wake())
        return await asyncio.shield(self._taking)

    async def _wake(self) -> DecoderLease:
        async with self._changing:
            if self._lease is None:
                self._lease = await asyncio.to_thread(ensure_decoder, self._config, resources=self._resources)
                if self._watch is None and not self._warm:
                    self._watch = asyncio.create_task(self._sleep_when_idle())
                figures = await self._lease.handle.figures_async()
                self._parameters = dict(figures["parameters"])
            return self._lease

    async def _sleep_when_idle(self) -> None:
        while True:
            await asyncio.sleep(min(self._idle / 4, 15.0))
            if self._lease is not None and not self._users and time.monotonic() - self._used > self._idle:
                with contextlib.suppress(Exception):  # a keeper that is gone has no lease to give back to
                    await self._release()

    async def _release(self) -> None:
        async with self._changing:
            lease, self._lease = self._lease, None
            if lease is not None:
                await asyncio.to_thread(lease.release)
