"""The host of the driver, without power: the same command on another cluster finishes the run."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from pipelines.ledger import read_ledger
from pipelines.storage import Storage, s3_client
from pipelines.tables import read_table
from tests.faults.arming import wait_until
from tests.faults.table import FaultRow, FaultTable
from tests.hosts.cluster import RayHosts
from tests.hosts.network import network
from tests.s3_server import s3_server

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

FILES = 40


def test_a_run_whose_head_lost_power_is_finished_on_another_cluster(tmp_path: Path, fault_table: FaultTable) -> None:
    folder = tmp_path / "seaweedfs"
    folder.mkdir()
    with network() as net, s3_server(folder, net.address) as endpoint:
        s3_client.cache_clear()
        s3_client().create_bucket(Bucket="archive")
        for number in range(FILES):
            s3_client().put_object(Bucket="archive", Key=f"in/{number:02d}.txt", Body=f"letter {number}\n".encode())
        command = [sys.executable, "-m", "tests.hosts.drive", "s3://archive/in", "s3://archive/lake"]
        lost = RayHosts(net, tmp_path, endpoint)
        lost.start_head()
        lost.start_worker("w1")
        lost.run(*command, str(tmp_path), "0.5")
        wait_until(lambda: len(lost.reads("w1")) > 6, "batches that were read")
        off = time.time()
        net.power_off(net.hosts["head"])

        other = RayHosts(net, tmp_path, endpoint, head="head2")
        other.start_head()
        other.start_worker("w2")
        resumed = time.time()
        process, output = other.run(*command, str(tmp_path), "0.5", name="again")
        assert process.wait(400) == 0, output.read_text()
        assert "resuming run" in output.read_text()
        fault_table.notes.append(f"from the head's loss to the end of the run elsewhere: {time.time() - off:.1f} s")
        ledger = read_ledger(Storage("s3://archive/lake"))
        assert ledger.balanced and ledger.accounts["parts"].terms["pending"] == 0
        texts = read_table("s3://archive/lake", "parts").to_table(columns=["text"])["text"].to_pylist()
        assert sorted(texts) == sorted(f"letter {number}" for number in range(FILES))
        late = [hit for hit in other.reads("w1") if hit.time > resumed]
        redone = other.redone() - len(late)  # what the orphaned worker still read is nobody's
        fault_table.add(FaultRow("head without power", 1, FILES, 0, 0, redone, time.time() - off))
