"""A real Prometheus scrapes a run as it works and evaluates the rules; promtool runs every rule on made cases."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import yaml
from deltalake import DeltaTable, write_deltalake
from rich.console import Console

from cluster.endpoint.figures import Figures
from pipelines.log_lines import LogLines
from pipelines.run import Run
from pipelines.settings import load_settings
from pipelines.tables import read_table
from tests.conftest import free_ports
from tests.faults.arming import wait_until
from tests.pipelines.letters import LETTERS
from tests.pipelines.letters.config import LettersConfig

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "cluster" / "manifests" / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
CASES = yaml.safe_load((ROOT / "tests" / "cluster" / "alert_cases.yaml").read_text())
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
EXPRESSIONS = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
EXPRESSIONS += [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
ONLY_ON_GPUS = {"interlace_pool_gpu_busy_ratio"}
DOCUMENTED = set(re.findall(r"^\| `(interlace_\w+)`", (ROOT / "docs" / "observability.md").read_text(), re.MULTILINE))


def named(text: str) -> set[str]:
    """Our metrics that an expression names."""
    return set(re.findall(r"\binterlace_\w+", text))


class Prometheus:
    """A server of its own that scrapes one address five times a second."""

    def __init__(self, base: str) -> None:
        self._base = base

    def get(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self._base}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as reply:
            return json.load(reply)["data"]

    def value(self, expression: str) -> float | None:
        found = self.get("query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None

    def alerts(self) -> set[tuple[str, str]]:
        return {(alert["labels"]["alertname"], alert["state"]) for alert in self.get("alerts")["alerts"]}


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[Prometheus]:
    (port,) = free_ports(1)
    config = {
        "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
        "rule_files": [str(MONITORING / "alerts.yaml")],
        "scrape_configs": [{"job_name": "interlace", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    base = f"http://127.0.0.1:{port}"
    command = ["prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=log, stdout=log)
        try:
            server = Prometheus(base)
            wait_until(lambda: _answers(f"{base}/-/ready"), "Prometheus started", 30)
            yield server
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


@contextmanager
def exporter(out: Path) -> Iterator[int]:
    """The command in a process of its own; yields its port."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "pipelines.cli", "metrics", str(out), "--port", str(port), "--every", "0.5"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/metrics"), "the metrics were served", 60)
        yield port
    finally:
        process.terminate()
        assert process.wait(30) == 0


def endpoint_names() -> set[str]:
    """What the endpoint tells once it has answered."""

    async def decoder() -> dict[str, int]:
        return {"running": 0}

    figures = Figures(decoder)
    figures.failed(500)
    text, _ = asyncio.run(figures.text(json.dumps({"429": 1})))
    told = {line.split("{")[0].split(" ")[0] for line in text.decode().splitlines() if not line.startswith("#")}
    labelled = {"interlace_requests_total", "interlace_tokens_total"}  # without a child until a request was answered
    labelled |= {"interlace_network_requests_total", "interlace_loaded_parameters"}
    assert all(f"# TYPE {name.removesuffix('_total')}" in text.decode() for name in labelled)
    declared = re.findall(r"# TYPE (interlace_\w+) histogram", text.decode())
    return told | labelled | {f"{name}_{part}" for name in declared for part in ("bucket", "sum", "count")}


def test_prometheus_follows_a_run_and_its_rules_tell_a_healthy_lake_from_a_broken_one(
    ray_cluster: None, tmp_path: Path
) -> None:
    archive, out, log = tmp_path / "in", tmp_path / "out", tmp_path / "log"
    archive.mkdir()
    for number in range(40):
        (archive / f"{number}.txt").write_text("fail" if number == 7 else f"letter {number}\n")
    settings = load_settings(None, {"cluster.num_cpus": 2, "cluster.batch_seconds": 4}, {}).settings
    with exporter(out) as port, prometheus(tmp_path, port) as server, log.open("w") as lines:
        assert server.value("interlace_lake_state{state='idle'}") in (None, 1)  # a lake that is not there yet
        job = Run(settings, [str(archive)], str(out), LogLines(Console(file=lines)), {"ocr": LETTERS})
        job.configs = {"ocr": LettersConfig(calls=tmp_path / "calls", seconds=0.1)}
        outcome = job.execute()
        wait_until(lambda: server.value("interlace_ledger_parts{term='done'}") == 39, "the end was scraped", 30)
        assert server.value("max_over_time(interlace_run_working[5m])") == 1  # it was seen while it worked
        assert server.value("max_over_time(interlace_pool_actors[5m])") in (1, 2)
        wait_until(lambda: server.value("interlace_pool_parts_total{pool='ocr'}") == 40, "the pool's end, too", 30)
        assert server.value("interlace_pool_pages_total{pool='ocr'}") == 39
        assert server.value("interlace_pool_failures_total{category='corrupt'}") == 1
        assert server.value("interlace_pool_failures_total{category='crashed'}") == 0
        assert server.value("interlace_pool_batch_seconds_sum") > 39 * 0.1
        assert server.value("interlace_ledger_balanced") == 1
        assert server.value("interlace_network_parameters_touched{pool='ocr',network='letters'}") == 26
        assert server.get("rules")["groups"] and server.alerts() == set()
        scraped = {name for name in server.get("label/__name__/values") if name.startswith("interlace_")}
        missing = {name for text in EXPRESSIONS for name in named(text)} - scraped - endpoint_names() - ONLY_ON_GPUS
        assert missing == set()
        assert _wholes(scraped) - DOCUMENTED == set()
        assert DOCUMENTED - ONLY_ON_GPUS - _wholes(scraped | endpoint_names()) == set()
        rows = read_table(str(out), "parts").to_table(filter=pc.field("text") != "letter 3")
        write_deltalake(str(out / "parts"), rows, mode="overwrite")
        wait_until(lambda: ("InterlaceLedgerUnbalanced", "pending") in server.alerts(), "a lost row was noticed", 30)
        table = DeltaTable(str(out / "parts"))
        table.restore(table.version() - 1)  # as docs/operations.md says
        wait_until(lambda: server.alerts() == set(), "the restored table was noticed", 30)
    _check_log(log, outcome.run_id)


def _wholes(names: set[str]) -> set[str]:
    """Histograms under their own names."""
    histograms = {name.removesuffix("_bucket") for name in names if name.endswith("_bucket")}
    return {name for name in names if not name.startswith(tuple(histograms))} | histograms


def _check_log(path: Path, run_id: str) -> None:
    """Every line is JSON; each part has its own with run and part, and the end has the ledger."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    parts = [event for event in events if event["event"] == "part"]
    assert len({part["part_id"] for part in parts}) == 40 and {part["run_id"] for part in parts} == {run_id}
    assert [p["failures"] for p in parts if p["status"] == "failed"] == [[{"task": None, "category": "corrupt"}]]
    assert events[-1]["networks"] == {"ocr": {"letters": {"parameters": 26, "parts": 39}}}
    assert events[-1]["event"] == "ended" and events[-1]["ledger"]["parts"]["failed"] == 1


def test_every_rule_fires_on_its_case_and_none_on_a_healthy_one() -> None:
    for command in (["check", "rules", str(MONITORING / "alerts.yaml")], ["test", "rules", "alert_cases.yaml"]):
        done = subprocess.run(["promtool", *command], cwd=ROOT / "tests" / "cluster", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    asked = [(case["alertname"], bool(case.get("exp_alerts"))) for t in CASES["tests"] for case in t["alert_rule_test"]]
    assert {name for name, fires in asked if fires} == ALERTS
    assert {name for name, fires in asked if not fires} == ALERTS
    documented = (ROOT / "docs" / "observability.md").read_text()
    assert {name for name in ALERTS if f"`{name}`" not in documented} == set()


def test_every_rule_names_its_section_of_the_runbook() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.+?)(?=\n#|\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(sections) == ALERTS
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
            assert len(sections[rule["alert"]].split()) > 20  # what it means, and what to do


def test_the_check_of_names_finds_one_that_nobody_tells() -> None:
    assert named("rate(interlace_pool_part_total[5m]) > 0") == {"interlace_pool_part_total"}
    assert "interlace_pool_part_total" not in endpoint_names() | DOCUMENTED
    assert _wholes({"interlace_a_bucket", "interlace_a_sum", "interlace_b"}) == {"interlace_a", "interlace_b"}
