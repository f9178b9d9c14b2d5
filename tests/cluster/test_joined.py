"""A cluster that runs already: joined through RAY_ADDRESS, code sent along, shared by two runs, left running. That a
run without an address joins none is in tests/pipelines/test_cli.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cluster.session import code_to_send
from pipelines.ledger import read_ledger
from pipelines.storage import Storage
from pipelines.tables import read_table
from tests.conftest import free_ports
from tests.decoder.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")
FILES = 6

_LOOK = """
import json, ray
from cluster.pools import ClusterConfig
from cluster.session import ray_session

@ray.remote(num_cpus=0)
def where():
    import pipelines
    return pipelines.__file__

with ray_session(ClusterConfig()) as resources:
    from ray import serve
    decoders = [name for name in serve.status().applications if name.startswith("decoder-")]
    print(json.dumps({"cpus": resources.cpus, "code": ray.get(where.remote()), "decoders": decoders}))
"""


@pytest.fixture
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A head node with two CPUs that nobody but this test knows; yields the environment that leads to it."""
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("ray")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(folder)}
    command = [RAY, "start", "--head", "--block", f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    command += ["--object-store-memory=300000000", f"--temp-dir={folder}"]
    with (folder / "log").open("wb") as log:
        head = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        while "Ray runtime started" not in (folder / "log").read_text():
            assert head.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield environment | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:  # at once: asked kindly, it takes half a minute
        everything = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        head.wait()


def start(source: Path, out: Path, decoder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """`interlace run` with a question for this decoder, as a user types it."""
    command = [sys.executable, "-m", "pipelines.cli", "run", str(source), "--out", str(out), "--prompt", "What?"]
    for setting in (f"decoder.checkpoint={decoder}", "decoder.max_new_tokens=8", "decoder.prompt_tokens=200"):
        command += ["--set", setting]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.full
def test_two_runs_with_different_decoders_share_two_cpus_of_a_joined_cluster(
    tmp_path: Path, running_cluster: dict[str, str]
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number}.txt").write_text(f"letter number {number}\n")
    decoders = [save_tiny(tmp_path / kind, kind) for kind in ("llama", "qwen3")]
    outs = [tmp_path / f"lake-{decoder.name}" for decoder in decoders]
    runs = [start(source, out, decoder, running_cluster) for out, decoder in zip(outs, decoders, strict=True)]
    for process in runs:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
    fingerprints = set()
    for out in outs:
        assert read_ledger(Storage(str(out))).balanced
        answers = read_table(str(out), "answers").to_table().to_pylist()
        assert len(answers) == FILES
        fingerprints |= {row["answer_fingerprint"] for row in answers}
    assert len(fingerprints) == 2

    looked = subprocess.run(
        [sys.executable, "-c", _LOOK], cwd=ROOT, env=running_cluster, text=True, capture_output=True, timeout=120
    )
    assert looked.returncode == 0, looked.stderr
    seen = json.loads(looked.stdout.splitlines()[-1])
    assert seen["cpus"] == 2
    assert seen["decoders"] == []  # each run gave its decoder back; the cluster itself is still there
    assert "runtime_resources" in seen["code"], "workers import the code that was sent, not what the node has installed"


def test_an_installation_sends_its_packages_and_not_what_lies_around_them(tmp_path: Path) -> None:
    assert code_to_send(ROOT)["working_dir"] == str(ROOT)
    sent = code_to_send(tmp_path)
    assert "working_dir" not in sent
    packages = {path.parent for path in ROOT.glob("*/__init__.py")} - {ROOT / "tests", ROOT / "benchmarks"}
    assert {Path(path).name for path in sent["py_modules"]} == {path.name for path in packages}
