"""A run over several hosts whose links, power and number change: nothing lost, nothing twice."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from encoders.checkpoints.lock import load_lock
from encoders.checkpoints.mirror import push
from encoders.checkpoints.pull import pull, split_name
from encoders.ocr.config import OcrConfig
from encoders.ocr.encoder import OcrEncoder
from encoders.results import DocumentResult
from pipelines.figures import RunFigures
from pipelines.ledger import read_ledger
from pipelines.storage import Storage, s3_client
from pipelines.tables import read_table
from pipelines.view import LakeWatch
from tests.encoders.test_ocr_encoder import PRINTED, part, picture
from tests.faults.arming import wait_until
from tests.faults.lakes import Rows, assert_equal, lake_rows
from tests.faults.table import FaultTable
from tests.hosts.cluster import RayHosts

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

FILES = 80
SECONDS = 0.5  # a file
BUCKET = "archive"
PICTURES = 12
NOTICE = 15  # seconds that a provider gives before it takes a host away


@pytest.fixture(scope="module")
def source(hosts: RayHosts) -> str:
    """Text files in the S3 server, one line each."""
    s3_client.cache_clear()
    s3_client().create_bucket(Bucket=BUCKET)
    for number in range(FILES):
        s3_client().put_object(Bucket=BUCKET, Key=f"in/{number:02d}.txt", Body=f"letter {number}\n".encode())
    return f"s3://{BUCKET}/in"


class Running:
    """A run of the letters encoder on the head. It is the only one unless ``beside`` another."""

    def __init__(self, hosts: RayHosts, source: str, *, beside: bool = False, seconds: float = SECONDS) -> None:
        for host in hosts.network.hosts if not beside else ():
            hosts.faults(host).clear()
        self.hosts, self.out = hosts, f"s3://{BUCKET}/lake-{uuid.uuid4().hex[:8]}"
        self.started = time.time()
        driver = [sys.executable, "-m", "tests.hosts.drive", source, self.out, str(hosts.logs), str(seconds)]
        self.process, self.output = hosts.run(*driver, name=self.out.rpartition("/")[2])

    def wait_for_work(self, *names: str, batches: int = 2) -> None:
        """Until each of these hosts has begun so many batches."""
        wait_until(lambda: all(len(self.hosts.reads(name)) >= batches for name in names), f"work on {names}")

    def end(self, expected: Rows | None = None) -> float:
        """Wait for the end; the tables must be those of an undisturbed run. Returns how long it took in all."""
        assert self.process.wait(400) == 0, self.output.read_text()
        if expected is not None:
            assert_equal(expected, self.out)
        return time.time() - self.started


@pytest.fixture(scope="module")
def undisturbed(hosts: RayHosts, source: str, fault_table: FaultTable) -> Rows:
    """The tables of a run that nothing happened to."""
    run = Running(hosts, source)
    seconds = run.end()
    fault_table.notes.append(f"{FILES} files of {SECONDS:g} s over two hosts with a CPU each: {seconds:.1f} s")
    assert hosts.redone() == 0 and all(len(hosts.reads(name)) > 2 for name in ("w1", "w2"))
    rows = lake_rows(run.out)
    assert rows["parts"].total() == FILES
    return rows


def test_every_host_says_that_it_is_well_without_a_token(hosts: RayHosts) -> None:
    """What the probes of the manifests ask for. On loopback one agent has the port for all."""
    for host in list(hosts.network.hosts.values()) if hosts.network.real else [hosts.network.hosts["head"]]:
        with urllib.request.urlopen(f"http://{host.address}:52365/api/healthz", timeout=10) as answer:
            assert answer.status == 200 and b"success" in answer.read()


def test_plan_asks_the_cluster_what_it_has(hosts: RayHosts, source: str) -> None:
    process, output = hosts.run(sys.executable, "-m", "pipelines.cli", "plan", source, name="plan")
    assert process.wait(120) == 0, output.read_text()
    workers = sum(node["alive"] for node in hosts.listed()) - 1  # with a CPU each; the head has none
    assert f"on {workers} CPUs" in " ".join(output.read_text().split())


def test_a_link_that_is_down_for_some_seconds_costs_only_them(
    hosts: RayHosts, source: str, undisturbed: Rows, fault_table: FaultTable
) -> None:
    run = Running(hosts, source)
    run.wait_for_work("w1", "w2")
    hosts.network.cut(hosts.network.hosts["w2"])
    time.sleep(6)  # shorter than Ray waits for a node
    hosts.network.mend(hosts.network.hosts["w2"])
    seconds = run.end(undisturbed)
    assert hosts.alive("w2")
    fault_table.measure("link cut, 6 s", undisturbed, run.out, hosts.redone(), seconds)


def test_a_host_that_is_cut_off_is_given_up_and_can_come_back(
    hosts: RayHosts, source: str, undisturbed: Rows, fault_table: FaultTable
) -> None:
    run = Running(hosts, source)
    run.wait_for_work("w1", "w2")
    host, cut = hosts.network.hosts["w2"], time.time()
    hosts.network.cut(host)
    wait_until(lambda: not hosts.alive("w2"), "the host to be given up", 300)
    given_up = time.time() - cut
    seconds = run.end(undisturbed)
    hosts.network.mend(host)
    host.started[-1].wait(120)  # its Ray learns that it was given up, and ends
    hosts.rejoin(host)
    fault_table.measure("link cut for good", undisturbed, run.out, hosts.redone(), seconds)
    fault_table.notes.append(f"a host that is cut off is given up after {given_up:.1f} s")


def test_a_host_without_power_costs_what_it_had_in_hand(
    hosts: RayHosts, source: str, undisturbed: Rows, fault_table: FaultTable
) -> None:
    hosts.start_worker("w3")
    run = Running(hosts, source)
    run.wait_for_work("w1", "w2", "w3")
    off = time.time()
    hosts.network.power_off(hosts.network.hosts["w3"])
    wait_until(lambda: not hosts.alive("w3"), "the host to be given up", 300)
    given_up = time.time() - off
    seconds = run.end(undisturbed)
    assert "_map_task failed" not in run.output.read_text(), "the source was on the host that was lost"
    fault_table.measure("host without power", undisturbed, run.out, hosts.redone(), seconds)
    fault_table.notes.append(f"a host without power is given up after {given_up:.1f} s")


def test_a_host_that_is_drained_hands_its_work_on(
    hosts: RayHosts, source: str, undisturbed: Rows, fault_table: FaultTable
) -> None:
    hosts.start_worker("w4")
    run = Running(hosts, source)
    run.wait_for_work("w1", "w2", "w4")
    hosts.drain("w4", NOTICE)
    told = time.time()
    off = threading.Timer(NOTICE, hosts.network.hosts["w4"].end)  # as a provider does when the time is over
    off.start()
    seconds = run.end(undisturbed)
    off.join()
    late = [hit for hit in hosts.reads("w4") if hit.time > told + 1]
    fault_table.measure("host drained", undisturbed, run.out, hosts.redone(), seconds)
    fault_table.notes.append(f"a host with {NOTICE} s left began {len(late)} batches later than 1 s after it was told")


def test_two_runs_share_the_hosts(hosts: RayHosts, source: str, undisturbed: Rows, fault_table: FaultTable) -> None:
    first = Running(hosts, source)
    first.wait_for_work("w1", "w2")
    second = Running(hosts, source, beside=True)
    seconds = [run.end(undisturbed) for run in (first, second)]
    ended = second.started + seconds[1]
    fault_table.notes.append(
        f"two runs that share the hosts: the first took {seconds[0]:.1f} s, the second {seconds[1]:.1f} s, "
        f"both {ended - first.started:.1f} s"
    )


def test_a_host_that_is_added_takes_work(
    hosts: RayHosts, source: str, undisturbed: Rows, fault_table: FaultTable
) -> None:
    run = Running(hosts, source, seconds=3 * SECONDS)  # Ray Data looks for new nodes every 20 s
    run.wait_for_work("w1", "w2")
    joined = time.time()
    hosts.start_worker("w5")
    seconds = run.end(undisturbed)
    reads = hosts.reads("w5")
    assert reads, "the new host did nothing"
    fault_table.measure("host added", undisturbed, run.out, hosts.redone(), seconds)
    address = hosts.network.hosts["w5"].address
    [said] = [line for line in run.output.read_text().splitlines() if f"node {address} began to read" in line]
    assert "after it joined" in said
    after = figures_of(run.out).nodes[address]  # what `interlace metrics` tells
    assert f"{after:.1f} s after it joined" in said
    assert after <= reads[-1].time - joined
    fault_table.notes.append(said.strip("· "))
    hosts.network.hosts["w5"].end()


def test_real_ocr_over_hosts_reads_what_it_reads_alone(
    hosts: RayHosts, source: str, tmp_path: Path, fault_table: FaultTable
) -> None:
    """`interlace run` as it is typed, over pictures in S3. No host has weights: each pulls them from a mirror."""
    lock, weights = load_lock(), f"s3://{BUCKET}/weights"
    for role in ("ocr_detection", "ocr_recognition"):
        [folder] = pull([role])
        push(weights, folder, lock.checkpoints[role].variants[split_name(role, lock)[1]])
    pictures = {f"{n}.png": picture(lines=(*PRINTED, f"Crate number {n} of {PICTURES}")) for n in range(PICTURES)}
    for name, data in pictures.items():
        s3_client().put_object(Bucket=BUCKET, Key=f"pictures/{name}", Body=data)
    for host in hosts.network.hosts:
        hosts.faults(host).clear()
    started = time.time()
    command = ["-m", "pipelines.cli", "run", f"s3://{BUCKET}/pictures", "--out", f"s3://{BUCKET}/read"]
    told = {"name": "ocr", "INTERLACE_MIRROR": weights}
    process, output = hosts.run(sys.executable, *command, "--set", "cluster.batch_seconds=4", **told)
    assert process.wait(400) == 0, output.read_text()
    fault_table.notes.append(f"{PICTURES} pictures with the real OCR, start included: {time.time() - started:.1f} s")
    alone = OcrEncoder(OcrConfig())
    alone.load()
    perceptions = alone([part(data, name=name) for name, data in pictures.items()])
    alone.close()
    found = {row["uri"].rpartition("/")[2]: row["text"] for row in rows(f"s3://{BUCKET}/read")}
    for name, perception in zip(pictures, perceptions, strict=True):
        assert isinstance(perception.result, DocumentResult)
        assert found.pop(name) == perception.result.pages[0].text
    assert not found and all(hosts.reads(name) for name in ("w1", "w2"))
    begun = [line.strip("· ") for line in output.read_text().splitlines() if "began to read" in line]
    assert len(begun) >= 2
    fault_table.notes += [f"real OCR, weights from the mirror: {line}" for line in begun]


def figures_of(out: str) -> RunFigures:
    found = LakeWatch(Storage(out)).look().run
    assert found is not None
    return found


def rows(out: str) -> list[dict[str, Any]]:
    assert read_ledger(Storage(out)).balanced
    return read_table(out, "parts").to_table(columns=["uri", "text"]).to_pylist()
