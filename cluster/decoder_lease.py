"""Leases on shared decoders: whoever needs one holds a lease, and the last to leave has it deleted.

A detached actor, the keeper, deploys applications one at a time (two runs that start together get one decoder),
counts leases, and lets those expire whose holder was killed. It never deletes what it did not deploy.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from cluster.decoder_app import DecoderHandle, DecoderResources, application, application_name
from decoder.config import DecoderConfig

_KEEPER, _NAMESPACE = "decoder-keeper", "interlace"
LEASE_SECONDS = 60.0
# The keeper lives on the head, where Serve's controller is: it books no CPU, so Ray would put it anywhere, and a worker
# that has any actor is never idle to the autoscaler.
_ON_THE_HEAD = {"node:__internal_head__": 0.001}


@dataclass
class _Application:
    leases: dict[str, float] = field(default_factory=dict)  # lease -> when it expires
    ours: bool = True
    warm: bool = False


class DecoderKeeper:
    """The actor behind `ensure_decoder`; one per cluster. Methods may be called at the same time.

    ``_serving`` is held while Serve deploys or deletes, which takes seconds; leases must be renewed meanwhile, so they
    have a lock of their own.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._seconds = lease_seconds
        self._applications: dict[str, _Application] = {}
        self._leasing = threading.Lock()
        self._serving = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def ensure(self, lease: str, config: DecoderConfig, resources: DecoderResources, warm: bool) -> str:
        """Deploy the decoder unless it is there, and note the lease. Returns the application's name."""
        from ray import serve

        name = application_name(config)
        with self._serving:
            running = serve.status().applications.get(name)
            there = running is not None and running.status not in ("DEPLOY_FAILED", "DELETING", "NOT_STARTED")
            if not there:
                serve.start(proxy_location="Disabled")  # without effect when Serve runs; batch work needs no proxy
                serve.run(application(config, resources), name=name, route_prefix=None)
            with self._leasing:
                known = self._applications.setdefault(name, _Application(ours=not there))
                known.ours |= not there
                known.warm |= warm
                known.leases[lease] = time.monotonic() + self._seconds
        return name

    def renew(self, lease: str, name: str) -> None:
        """The holder is alive. A keeper that was restarted learns its leases so."""
        with self._leasing:
            known = self._applications.setdefault(name, _Application())
            known.leases[lease] = time.monotonic() + self._seconds

    def release(self, lease: str, name: str) -> None:
        """The holder is done. Deletes the application when this was the last lease, and waits for it."""
        with self._leasing:
            if name in self._applications:
                self._applications[name].leases.pop(lease, None)
        self._sweep()

    def holders(self, name: str) -> int:
        """Leases that are held on an application."""
        with self._leasing:
            return len(self._applications[name].leases) if name in self._applications else 0

    def _watch(self) -> None:
        while True:
            time.sleep(self._seconds / 4)
            with self._leasing:
                now = time.monotonic()
                for known in self._applications.values():
                    known.leases = {lease: until for lease, until in known.leases.items() if until > now}
            self._sweep()

    def _sweep(self) -> None:
        """Delete what nobody holds. Under the lock of deploying, so that nobody joins what is about to go."""
        from ray import serve

        with self._serving:
            with self._leasing:
                unheld = [name for name, known in self._applications.items() if not known.leases and not known.warm]
                deleted = [name for name in unheld if self._applications.pop(name).ours]
            for name in deleted:
                serve.delete(name)


class DecoderLease:
    """Held by whoever needs the decoder; renewed in the background until `release`. A context manager."""

    def __init__(self, lease: str, handle: DecoderHandle, keeper: Any, seconds: float) -> None:
        self.handle = handle
        self._lease, self._keeper, self._seconds = lease, keeper, seconds
        self._done = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="decoder-lease", daemon=True)
        self._renewer.start()

    def release(self) -> None:
        """Give the lease back; the last one ends the application, unless it is kept warm."""
        import ray

        if self._done.is_set():
            return
        self._done.set()
        self._renewer.join()
        ray.get(self._keeper.release.remote(self._lease, self.handle.application))

    def __enter__(self) -> DecoderHandle:
        return self.handle

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _renew(self) -> None:
        while not self._done.wait(self._seconds / 4):
            self._keeper.renew.remote(self._lease, self.handle.application)


def ensure_decoder(
    config: DecoderConfig,
    *,
    resources: DecoderResources | None = None,
    timeout: float = 900.0,
    keep_warm: bool = False,
    lease_seconds: float = LEASE_SECONDS,
) -> DecoderLease:
    """A lease on the decoder of this config: joins its application, or deploys it when it is not there.

    ``resources`` only matter to whoever deploys, ``lease_seconds`` to whoever starts the cluster's first keeper.
    ``timeout`` is for one batch. Ray must be initialised. Raises `RuntimeError` when the deployment fails.
    """
    import ray

    lease = uuid.uuid4().hex
    keeper = (
        ray.remote(DecoderKeeper)
        .options(
            name=_KEEPER,
            namespace=_NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            num_cpus=0,
            resources=_ON_THE_HEAD,
            max_concurrency=16,
            max_restarts=-1,
        )
        .remote(lease_seconds)
    )
    name = ray.get(keeper.ensure.remote(lease, config, resources or DecoderResources(), keep_warm))
    return DecoderLease(lease, DecoderHandle(name, timeout), keeper, lease_seconds)
