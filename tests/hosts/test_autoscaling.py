"""A cluster whose autoscaler adds nodes for a growing queue and drops them, and the decoder, when nothing is left."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.ledger import read_ledger
from pipelines.storage import Storage, s3_client
from pipelines.tables import read_table
from tests.decoder.tiny import save_tiny
from tests.faults.arming import wait_until
from tests.faults.table import FaultTable
from tests.hosts.autoscaled import MOST, Autoscaled, autoscaled

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

FILES = 160
SECONDS = 0.7  # a file


def workers_over(cluster: Autoscaled, process: subprocess.Popen[str], started: float) -> list[tuple[float, int]]:
    """When the number of workers changed, until a process ends."""
    seen = [(0.0, cluster.workers())]
    while process.poll() is None:
        if (now := cluster.workers()) != seen[-1][1]:
            seen.append((time.time() - started, now))
        time.sleep(0.2)
    return seen


def test_a_queue_adds_nodes_and_an_idle_cluster_has_neither_nodes_nor_decoder(
    tmp_path: Path, fault_table: FaultTable
) -> None:
    tell = fault_table.notes.append
    with autoscaled(tmp_path) as cluster:
        s3_client.cache_clear()
        s3_client().create_bucket(Bucket="archive")
        for number in range(FILES):
            s3_client().put_object(Bucket="archive", Key=f"in/{number:03d}.txt", Body=f"letter {number}\n".encode())
        started = time.time()
        assert cluster.workers() == 0
        driver = [sys.executable, "-m", "tests.hosts.drive", "s3://archive/in", "s3://archive/lake"]
        process, output = cluster.run(*driver, str(tmp_path), str(SECONDS))
        seen = workers_over(cluster, process, started)
        assert process.returncode == 0, output.read_text()
        assert "waiting up to" in output.read_text()  # for the first worker
        assert 2 <= max(workers for _, workers in seen) <= MOST
        tell("autoscaled: " + ", ".join(f"{workers} workers after {at:.0f} s" for at, workers in seen[1:]))
        assert read_ledger(Storage("s3://archive/lake")).balanced
        texts = read_table("s3://archive/lake", "parts").to_table(columns=["text"])["text"].to_pylist()
        assert sorted(texts) == sorted(f"letter {number}" for number in range(FILES))

        ended = time.time()
        wait_until(lambda: cluster.workers() == 0, "an idle cluster without workers", 180)
        tell(f"autoscaled: no worker {time.time() - ended:.0f} s after the run")

        started = time.time()
        decoder = save_tiny(tmp_path / "decoder", "llama")
        settings = [f"decoder.checkpoint={decoder}", "decoder.max_new_tokens=8", "decoder.prompt_tokens=200"]
        command = [sys.executable, "-m", "pipelines.cli", "ask", "s3://archive/lake", "--prompt", "What?"]
        process, output = cluster.run(*command, *(part for s in settings for part in ("--set", s)), name="ask")
        seen = workers_over(cluster, process, started)
        assert process.returncode == 0, output.read_text()
        assert max(workers for _, workers in seen) >= 1  # the decoder's node
        assert read_table("s3://archive/lake", "answers").count_rows() == FILES
        tell(f"autoscaled: {FILES} answers {time.time() - started:.0f} s after ask began without a worker")
        ended = time.time()
        wait_until(lambda: cluster.workers() == 0, "a cluster without the decoder's node", 180)
        tell(f"autoscaled: no worker {time.time() - ended:.0f} s after ask")
