"""Shared by all tests: one S3 server and one Ray for everything that does not break them on purpose."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator

import pytest

from tests.s3_server import free_ports as free_ports
from tests.s3_server import s3_server as run_s3_server

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRITON_INTERPRET", "1")  # triton looks at it as it is imported, which torch does somewhere
gc.disable()  # while 800,000 objects are imported that all stay


def pytest_collection_finish() -> None:
    """What was imported is not looked at again by every full collection: half a second each."""
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # native modules that are never freed complain of it


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server (SeaweedFS) on loopback; yields its endpoint. Credentials and endpoint are in os.environ."""
    with run_s3_server(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_server: str) -> str:
    """An empty bucket on the S3 server, as s3://NAME."""
    import uuid

    from pipelines.storage import s3_client

    s3_client.cache_clear()
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_client().create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def ray_cluster(s3_server: str) -> Iterator[None]:
    """A local Ray of two CPUs, shared by all tests. Starts after S3, so that workers know its endpoint."""
    import ray

    from cluster.pools import ClusterConfig
    from cluster.session import ray_session

    with ray_session(ClusterConfig(num_cpus=2, object_store_gib=0.5)):
        assert ray.is_initialized()
        yield
