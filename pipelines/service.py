"""The endpoint as an application that Serve imports: `serve run pipelines.service:endpoint`, or a RayService's config.

`interlace serve` starts Serve itself and puts admission into its proxy. Here whoever started Serve has made the proxy,
and the gateway admits requests on its own, after their bodies were read.
"""

from __future__ import annotations

from typing import Any

from ray.serve import Application

from cluster.endpoint.config import EndpointConfig
from cluster.endpoint.gateway import endpoint_application
from encoders.registry import ENCODERS
from pipelines.adapting import encoder_configs, read_adapters
from pipelines.settings import load_settings


def endpoint(args: dict[str, Any]) -> Application:
    """``args`` are settings as in --set, such as ``{"serve.warm": ["decoder"]}``; the environment counts as ever.

    Raises UsageError for settings that do not exist.
    """
    import ray

    settings = load_settings(None, args).settings
    adapters = read_adapters(settings)
    encoders = encoder_configs(settings, ENCODERS, adapters)
    gpus = ray.cluster_resources().get("GPU", 0.0) if ray.is_initialized() else 0.0
    return endpoint_application(
        EndpointConfig(serve=settings.serve, decoder=settings.decoder, encoders=encoders, adapters=adapters, gpus=gpus)
    )
