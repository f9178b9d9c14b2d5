"""The gateway deployment, and the Serve application of the whole endpoint."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cluster.endpoint.admission import BODY, SETTINGS, Admission, App, Receive, Scope, Send, replay
from cluster.endpoint.answering import ChatService
from cluster.endpoint.api import build_api
from cluster.endpoint.config import EndpointConfig
from cluster.endpoint.decoding import DecoderAccess
from cluster.endpoint.encoder_app import encoder_application
from cluster.endpoint.fetch import Fetcher
from cluster.endpoint.figures import Figures
from cluster.endpoint.perceiving import Perceiver
from cluster.pools import DECODER

if TYPE_CHECKING:
    from ray.serve import Application

APPLICATION = "endpoint"
# Fewer hops between the gateway and its replicas, also on a cluster that was started without them. gRPC is for the
# gateway alone: runs on the same cluster send references, which it cannot carry.
_QUICK = {"RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0", "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1"}


class Gateway:
    """Speaks HTTP and asks the others. Keyword arguments are the handles of the encoders, by task."""

    def __init__(self, config: EndpointConfig, **encoders: Any) -> None:
        limits = config.serve.limits
        self._config = config
        self._fetcher = Fetcher(config.serve.allow_urls, limits.url_seconds)
        self._decoder = DecoderAccess(
            config.decoder,
            idle_seconds=config.serve.idle_seconds,
            warm=config.serve.warms("decoder"),
            gpu_share=config.gpu_share_of(DECODER),
        )
        self._figures = Figures(self._decoder.figures)
        self._service = ChatService(config, Perceiver(encoders, self._fetcher, limits, config.adapters), self._decoder)
        self._starting = asyncio.get_running_loop().create_task(self._decoder.start())

    def __serve_build_asgi_app__(self) -> App:
        api = build_api(self._config, self._service, self._figures, self._state, self._close)
        return _Guarded(api, self._config)

    def _state(self) -> str:
        return "awake" if self._decoder.awake else "asleep"

    async def _close(self) -> None:
        await self._fetcher.close()
        await self._decoder.close()


class _Guarded:
    """Admits requests here when the proxy in front has not: it was started without our middleware."""

    def __init__(self, api: App, config: EndpointConfig) -> None:
        import json
        import os

        settings = json.loads(os.environ.get(SETTINGS, "{}"))
        self._api = api
        self._admission = Admission(api, config.serve, settings.get("token"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._admission.passes(scope):
            await self._admission(scope, receive, send)
            return
        body = scope.pop(BODY, None)
        if body is not None:
            _leave_unfetched(receive)
            receive = replay(body, receive)
        await self._api(scope, receive, send)


def _leave_unfetched(receive: Any) -> None:
    """Keep Serve from asking the proxy for messages, an actor call before the request's own work: the body came along,
    and when the client goes Serve cancels the whole call."""

    async def nothing(_: Any) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    if hasattr(receive, "_receive_asgi_messages"):
        receive._receive_asgi_messages = nothing


def endpoint_application(config: EndpointConfig) -> Application:
    """The whole endpoint: bound, not yet deployed."""
    from ray import serve

    deployment = serve.deployment(
        serve.ingress()(Gateway),
        name="gateway",
        num_replicas=config.serve.replicas,
        ray_actor_options={"num_cpus": 0, "runtime_env": {"env_vars": _QUICK}},
        max_ongoing_requests=config.serve.limits.requests,
        max_surge_percent=100,  # a new version is up before the old one leaves
        health_check_period_s=5,
        health_check_timeout_s=30,
        graceful_shutdown_wait_loop_s=1,
        graceful_shutdown_timeout_s=120,
    )
    encoders = {task: encoder_application(task, config) for task in config.encoders}
    built: Application = deployment.bind(config, **encoders)
    return built
