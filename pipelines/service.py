"""The endpoint as an application that Serve imports: `serve run pipelines.service:endpoint`, or a RayService's config.

`interlace serve` starts Serve itself and puts admission into its proxy. Here whoever started Serve has made the proxy,
and the gateway admits requests on its own, after their bodies were read.
"""

from __future__ import annotations

from typing import Any

from ray.serve import Application

from cluster.endpoint.gateway import endpoint_application
from cluster.endpoint.starting import endpoint_config
from cluster.pools import Resources
from cluster.session import cluster_resources
from encoders.registry import ENCODERS
from pipelines.adapting import check_read, encoder_configs, read_adapters
from pipelines.settings import load_settings


def endpoint(args: dict[str, Any]) -> Application:
    """``args`` are settings as in --set, such as ``{"serve.warm": ["decoder"]}``; the environment counts as ever.

    Raises UsageError for settings that do not exist.
    """
    import ray

    settings = load_settings(None, args).settings
    adapters = read_adapters(settings)
    check_read(settings, adapters)
    encoders = encoder_configs(settings, ENCODERS, adapters)
    resources = cluster_resources() if ray.is_initialized() else Resources(1)
    return endpoint_application(
        endpoint_config(
            settings.cluster,
            settings.serve,
            settings.decoder,
            encoders,
            adapters,
            resources,
            settings.trace.tracing(),
        )
    )
