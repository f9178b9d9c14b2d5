"""A Ray cluster that adds and drops its own nodes, by Ray's provider of make-believe machines, on one host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

from tests.hosts.cluster import PORT, STORE, RayHosts
from tests.hosts.network import network
from tests.s3_server import s3_server

MOST = 3  # workers
IDLE_MINUTES = 0.2

_CONFIG: dict[str, Any] = {
    "cluster_name": "autoscaled",
    "provider": {  # named by its class: as "fake_multinode" it looks for a file of defaults that no wheel has
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "head_node_id": FAKE_HEAD_NODE_ID,
        "launch_multiple": True,
        "disable_node_updaters": True,
    },
    "max_workers": MOST,
    "idle_timeout_minutes": IDLE_MINUTES,
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {
            "resources": {"CPU": 1, "object_store_memory": STORE},
            "node_config": {},
            "min_workers": 0,
            "max_workers": MOST,
        },
    },
    "upscaling_speed": 1.0,
    "auth": {},
    "docker": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
} | {
    name: []
    for name in (
        "initialization_commands",
        "setup_commands",
        "head_setup_commands",
        "worker_setup_commands",
        "head_start_ray_commands",
        "worker_start_ray_commands",
    )
}


class Autoscaled(RayHosts):
    """A head without CPUs, and no worker yet."""

    def environment(self, host: str) -> dict[str, str]:
        fake = {"RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
        ids = {"RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID}
        return super().environment(host) | fake | ids

    def start_autoscaled(self) -> None:
        """The head with its autoscaler."""
        host = self.network.add("head")
        config = self.logs / "autoscaler.json"
        provider = {**_CONFIG["provider"], "gcs_address": self.address}
        config.write_text(json.dumps({**_CONFIG, "provider": provider}))
        options = ["--num-cpus=0", "--include-dashboard=false", f"--temp-dir={host.folder}/ray"]
        self._start(host, "--head", f"--port={PORT}", f"--autoscaling-config={config}", *options)

    def workers(self) -> int:
        """How many there are now."""
        return sum(node["alive"] for node in self.listed()) - 1


@contextmanager
def autoscaled(logs: Path) -> Iterator[Autoscaled]:
    """The cluster, and an S3 server that it reaches."""
    with network() as net:
        folder = logs / "seaweedfs"
        folder.mkdir()
        with s3_server(folder, net.address) as endpoint:
            found = Autoscaled(net, logs, endpoint)
            found.start_autoscaled()
            yield found
