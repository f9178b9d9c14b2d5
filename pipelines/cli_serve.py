"""`interlace serve`: the endpoint in the foreground."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from cluster.endpoint.config import ServeConfig
from cluster.endpoint.keys import ENVIRONMENT, KeyRing
from encoders.registry import ENCODERS
from pipelines.adapting import check_read, encoder_configs, read_adapters
from pipelines.consoles import stderr
from pipelines.settings import SettingsTree, UsageError

# For all replicas and proxies of the cluster: replicas share a loop with Serve (what computes does so in a thread of
# its own), proxies speak gRPC with them and send from the loop that listens. See `cluster.endpoint.gateway` for what
# concerns the gateway alone.
_FAST = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_PROXY_USE_GRPC": "1",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
    "RAY_SERVE_LOG_TO_STDERR": "0",
}


def serve_endpoint(settings: SettingsTree) -> None:
    """Serve until interrupted. Raises UsageError for what cannot be served."""
    from cluster.endpoint.admission import environment

    config = settings.serve
    ring = KeyRing(config.limits, config.keys)
    _check(config, ring)
    os.environ.update({name: value for name, value in _FAST.items() if name not in os.environ})
    os.environ.update(environment(config))
    from cluster.endpoint.starting import endpoint_running

    console = stderr()
    adapters = read_adapters(settings)
    check_read(settings, adapters)
    encoders = encoder_configs(settings, ENCODERS, adapters)
    # Ray takes the signals when it starts; ours come after it.
    running = endpoint_running(settings.cluster, config, settings.decoder, encoders, adapters, settings.trace.tracing())
    with running as endpoint, _signals() as signals:
        where = f"http://{config.host if ':' not in config.host else f'[{config.host}]'}:{config.port}"
        console.print(f"serving at {where}", soft_wrap=True, markup=False)
        if ring.open:
            console.print("no API keys: everybody on this machine may ask, nobody else can", soft_wrap=True)
        join = f"RAY_ADDRESS={endpoint.address} interlace run ..."
        console.print(f"a run beside it shares its decoder: {join}", soft_wrap=True, markup=False)
        console.print("Ctrl-C ends it", soft_wrap=True)
        while signals.get() == signal.SIGHUP:
            console.print("replacing the gateway", soft_wrap=True)
            endpoint.restart()
        console.print("ending what is under way", soft_wrap=True)


def _check(config: ServeConfig, ring: KeyRing) -> None:
    if ring.open and not _loopback(config.host):
        raise UsageError(
            f"without API keys only this machine may ask: give --keys FILE or {ENVIRONMENT}, or --host 127.0.0.1 "
            f"instead of {config.host}"
        )
    unknown = set(config.warm) - {*ENCODERS, "decoder", "all"}
    if unknown:
        raise UsageError(
            f"--warm {','.join(sorted(unknown))} is not known; there are: {', '.join(ENCODERS)}, decoder, all"
        )
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on {config.host}:{config.port} ({error.strerror}); choose --port"
            ) from error


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _signals() -> Iterator[SimpleQueue[int]]:
    """The signals that come: SIGINT and SIGTERM to end, SIGHUP to restart. A second one to end is as usual."""
    came: SimpleQueue[int] = SimpleQueue()

    def note(number: int, frame: Any) -> None:
        came.put(number)
        if number != signal.SIGHUP:
            signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
