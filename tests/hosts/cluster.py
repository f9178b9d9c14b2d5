"""A Ray cluster over the hosts of a network, an S3 server beside them, and a run on its head."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.session import show_the_token
from encoders.fault_points import VARIABLE
from tests.faults.arming import Faults, Hit, wait_until
from tests.hosts.network import Host, Network, network, wait_for
from tests.s3_server import s3_server

ROOT = Path(__file__).resolve().parents[2]
RAY = str(Path(sys.executable).with_name("ray"))
PORT = 6379
STORE = 100_000_000  # bytes of each host's object store


@dataclass
class RayHosts:
    """The head runs drivers and no encoders; workers have one CPU each."""

    network: Network
    logs: Path
    endpoint: str
    head: str = "head"  # the name of its host
    nodes: dict[str, str] = field(default_factory=dict)  # host to Ray's id of its newest node

    @property
    def address(self) -> str:
        """Where the head's GCS listens."""
        return f"{self.network.hosts[self.head].address}:{PORT}"

    def environment(self, host: str) -> dict[str, str]:
        """Of everything that is started on a host: its own weights, of which it has none yet, and its own notes of who
        came by the fault points."""
        kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        own = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT), VARIABLE: str(self.faults(host).folder)}
        return kept | own | {"INTERLACE_HOME": f"{self.network.hosts[host].folder}/interlace", "PIP_NO_INDEX": "1"}

    def faults(self, host: str) -> Faults:
        """The fault points of one host."""
        return Faults(self.logs / f"faults-{host}")

    def start_head(self) -> None:
        """The first node: GCS, drivers, no CPUs for actors."""
        host = self.network.add(self.head)
        self._start(
            host,
            "--head",
            f"--port={PORT}",
            "--num-cpus=0",
            "--include-dashboard=false",
            f"--temp-dir={host.folder}/ray",
        )

    def start_worker(self, name: str) -> None:
        """A new host that joins with one CPU."""
        self.rejoin(self.network.hosts.get(name) or self.network.add(name))

    def rejoin(self, host: Host) -> None:
        """Start Ray on a host that has none, as its service manager would."""
        self._start(host, f"--address={self.address}", "--num-cpus=1")

    def _start(self, host: Host, *options: str) -> None:
        output = self.logs / f"{host.name}-{len(host.started)}.log"
        common = ["--block", f"--object-store-memory={STORE}"]
        command = [RAY, "start", f"--node-ip-address={host.address}", *common, *options]
        process = host.start(*command, environment=self.environment(host.name), output=output)
        wait_for(output, "Ray runtime started", process)
        wait_until(lambda: self._newest(host) not in (None, self.nodes.get(host.name)), f"{host.name} in the cluster")
        self.nodes[host.name] = str(self._newest(host))

    def _newest(self, host: Host) -> str | None:
        alive = [node for node in self.listed() if node["address"] == host.address and node["alive"]]
        return alive[0]["id"] if alive else None

    def listed(self) -> list[dict[str, Any]]:
        """Every node that the GCS knows."""
        from ray._raylet import GcsClient

        show_the_token()
        found = GcsClient(address=self.address).get_all_node_info(timeout=10).values()
        return [{"id": n.node_id.hex(), "address": n.node_manager_address, "alive": n.state == 0} for n in found]

    def alive(self, name: str) -> bool:
        """Whether the GCS takes the newest node of this host for alive."""
        return any(node["id"] == self.nodes[name] and node["alive"] for node in self.listed())

    def drain(self, name: str, seconds: int) -> None:
        """Tell Ray that this node will be taken away in so many seconds, as a spot provider's agent does."""
        told = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=spot"]
        deadline = f"--deadline-remaining-seconds={seconds}"
        command = [RAY, "drain-node", f"--address={self.address}", f"--node-id={self.nodes[name]}", *told, deadline]
        self.network.hosts[self.head].call(*command, environment=self.environment(self.head))

    def run(self, *command: str, name: str = "run", **variables: str) -> tuple[subprocess.Popen[str], Path]:
        """Start a driver on the head, joined to the cluster; returns it and what it prints."""
        output = self.logs / f"{name}.log"
        environment = self.environment(self.head) | {"RAY_ADDRESS": self.address} | variables
        return self.network.hosts[self.head].start(*command, environment=environment, output=output), output

    def reads(self, host: str | None = None) -> list[Hit]:
        """Batches that encoders were called with, on one host or on all, in order."""
        hosts = [host] if host else list(self.network.hosts)
        return sorted((hit for name in hosts for hit in self.faults(name).log("*.read")), key=lambda hit: hit.time)

    def redone(self) -> int:
        """How many times a part was read again."""
        read = Counter(part for hit in self.reads() for part in hit.detail.split())
        return read.total() - len(read)


@contextmanager
def ray_hosts(logs: Path, workers: int, notes: list[str]) -> Iterator[RayHosts]:
    """A head, so many workers (``w1``, ``w2``, ...), and an S3 server that all of them reach."""
    with network() as net:
        folder = logs / "seaweedfs"
        folder.mkdir()
        with s3_server(folder, net.address) as endpoint:
            found = RayHosts(net, logs, endpoint)
            started = time.monotonic()
            found.start_head()
            for number in range(workers):
                found.start_worker(f"w{number + 1}")
            notes.append(f"a head and {workers} workers were up after {time.monotonic() - started:.1f} s")
            yield found
