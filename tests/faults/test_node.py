"""A node of a cluster that goes away in mid-run: the tables are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from encoders.fault_points import VARIABLE
from pipelines.tables import read_table
from tests.faults.arming import Faults, wait_until
from tests.faults.lakes import parts_redone, seconds_to_recover
from tests.faults.table import FaultRow, FaultTable

FILES = 48
ACTORS = 4  # two on each node


def drive(source: str, out: str, folder: str) -> None:
    """The driver's process: a cluster of two nodes, one of which ends while all actors have parts in hand."""
    import threading

    import ray
    from ray.cluster_utils import Cluster
    from rich.console import Console

    from pipelines.progress import Progress
    from pipelines.run import Run
    from pipelines.settings import load_settings
    from tests.faults.openings import PAGES
    from tests.faults.openings.config import OpeningsConfig

    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    faults = Faults(Path(folder))
    held = faults.arm("ocr.read", "wait", times=10**6)
    memory = 200 << 20
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": memory})
    lost = cluster.add_node(num_cpus=2, object_store_memory=memory)
    os.environ["RAY_ADDRESS"] = cluster.address
    ray.init(log_to_driver=False)

    def harm() -> None:
        wait_until(lambda: len({hit.pid for hit in faults.log("ocr.read")}) == ACTORS, "all actors at work")
        cluster.remove_node(lost, allow_graceful=False)
        held.disarm()

    threading.Thread(target=harm, daemon=True).start()
    settings = load_settings(None, {"cluster.actors.ocr": ACTORS}, {}).settings
    run = Run(settings, [source], out, Progress(Console(file=sys.stderr)), {"ocr": PAGES})
    run.configs = {"ocr": OpeningsConfig()}
    outcome = run.execute()
    told = {"balanced": outcome.ledger.balanced, "nodes": len(ray.nodes())}
    told["alive"] = sum(node["Alive"] for node in ray.nodes())
    print(json.dumps(told), file=results, flush=True)
    ray.shutdown()
    cluster.shutdown()
    os._exit(0)


@pytest.mark.full
def test_a_node_that_goes_away_costs_what_it_had_in_hand(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, fault_table: FaultTable
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number:02d}.txt").write_text(f"letter {number}\n")
    faults = Faults(tmp_path / "faults")
    # Ray notes the newest cluster in its folder, for whoever looks for one; ours is nobody else's.
    environment = {**os.environ, VARIABLE: str(faults.folder), "RAY_TMPDIR": str(tmp_path_factory.mktemp("r"))}
    environment.pop("RAY_ADDRESS", None)
    script = "import sys; from tests.faults.test_node import drive; drive(*sys.argv[1:])"
    command = [sys.executable, "-c", script, str(source), str(out), str(faults.folder)]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert ended.returncode == 0
    told = json.loads(ended.stdout)
    assert told["balanced"] and told["nodes"] == 2 and told["alive"] == 1
    table = read_table(str(out), "parts").to_table(columns=["text", "status"]).to_pylist()
    assert sorted(row["text"] for row in table) == sorted(f"letter {number}" for number in range(FILES))
    assert {row["status"] for row in table} == {"ok"}
    redone = parts_redone(faults)
    largest = max(len(hit.detail.split()) for hit in faults.log("ocr.read"))
    assert 0 < redone <= 2 * 2 * largest  # two batches of each of its two actors
    fault_table.add(FaultRow("node removed", 1, FILES, 0, 0, redone, seconds_to_recover(faults)))
