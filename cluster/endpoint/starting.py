"""Starting the endpoint: Ray, Serve with its HTTP proxy, and the application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.endpoint.config import EndpointConfig, ServeConfig
from cluster.endpoint.gateway import APPLICATION, endpoint_application
from cluster.gpu_memory import gpu_needs, gpu_shares
from cluster.pools import DECODER, ClusterConfig, Resources
from cluster.session import ray_session
from decoder.config import DecoderConfig
from encoders.failures import InterlaceError
from encoders.registry import ENCODERS
from encoders.tracing import Tracing


@dataclass(slots=True)
class RunningEndpoint:
    """An endpoint that answers. ``address``: what RAY_ADDRESS is for runs that share its decoder."""

    address: str
    config: EndpointConfig

    def restart(self) -> None:
        """Replace the gateways without losing a request: new ones come up, then the old ones finish and leave."""
        self.config = self.config.model_copy(update={"generation": self.config.generation + 1})
        _deploy(self.config)


@contextmanager
def endpoint_running(
    cluster: ClusterConfig,
    config: ServeConfig,
    decoder: DecoderConfig,
    encoders: Mapping[str, Any],
    adapters: Mapping[str, str],
    tracing: Tracing = Tracing(),  # noqa: B008  immutable
) -> Iterator[RunningEndpoint]:
    """The endpoint answers while the block runs. ``adapters`` are those whose soft tokens the decoder reads, by task.

    Joins the cluster of RAY_ADDRESS, else starts a local one. Raises `InterlaceError` when Serve runs there without
    an HTTP proxy, which it cannot get later.
    """
    with ray_session(cluster) as resources:
        import ray
        from ray import serve

        _start_serve(config)
        whole = endpoint_config(cluster, config, decoder, encoders, adapters, resources, tracing)
        _deploy(whole)
        try:
            yield RunningEndpoint(str(ray.get_runtime_context().gcs_address), whole)
        finally:
            serve.delete(APPLICATION)


def endpoint_config(
    cluster: ClusterConfig,
    config: ServeConfig,
    decoder: DecoderConfig,
    encoders: Mapping[str, Any],
    adapters: Mapping[str, str],
    resources: Resources,
    tracing: Tracing = Tracing(),  # noqa: B008  immutable
) -> EndpointConfig:
    """All that the gateway needs to know, the shares of a GPU included. Raises InterlaceError when what is kept loaded
    does not fit the cards."""
    entries = {task: ENCODERS[task] for task in encoders}
    needs = gpu_needs(entries, encoders, decoder, cluster.gpu_gib) if resources.gpus else {}
    cards = [cluster.card_gib or node.card_gib for node in resources.machines() if node.gpus]
    shares = gpu_shares(needs, cards) if needs else {}
    names = {task: config.warms("decoder" if task == DECODER else task) for task in (*encoders, DECODER)}
    kept = {task: shares.get(task, config.gpu_share) for task, warm in names.items() if warm}
    if resources.gpus and sum(kept.values()) > resources.gpus:
        told = ", ".join(f"{task} {share:g}" for task, share in kept.items())
        raise InterlaceError(
            f"{resources.gpus:g} GPUs do not hold all that --warm names: {told} of a card; keep less loaded"
        )
    return EndpointConfig(
        serve=config,
        decoder=decoder,
        encoders=dict(encoders),
        adapters=dict(adapters),
        tracing=tracing,
        gpus=resources.gpus,
        gpu_shares=shares,
    )


def _deploy(config: EndpointConfig) -> None:
    from ray import serve

    serve.run(endpoint_application(config), name=APPLICATION, route_prefix="/")


def _start_serve(config: ServeConfig) -> None:
    """Serve with a proxy at our address; one that runs already must have just that."""
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions
    from ray.serve.context import _get_global_client

    running = _get_global_client(raise_if_no_controller_running=False)
    if running is None:
        serve.start(http_options=HTTPOptions(host=config.host, port=config.port, keep_alive_timeout_s=75))
        return
    options = running.http_config
    proxies = ray.get(running._controller.get_proxies.remote())
    if (options.host, options.port) == (config.host, config.port) and proxies:
        return
    if not serve.status().applications:
        serve.shutdown()
        serve.start(http_options=HTTPOptions(host=config.host, port=config.port, keep_alive_timeout_s=75))
        return
    where = f"at {options.host}:{options.port}" if proxies else "without an HTTP server, for a run"
    raise InterlaceError(
        f"Ray Serve runs on this cluster already, {where}; wait for what uses it to end, or start the endpoint first"
    )
