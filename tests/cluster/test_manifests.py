"""The manifests as Kubernetes and KubeRay would take them, and every command in them as the command line takes it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml
from ray.serve.schema import ServeDeploySchema

from pipelines.cli import app
from pipelines.service import endpoint
from pipelines.settings import known_keys, load_settings
from tests.cluster.crds.compact import POD_TEMPLATE

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "cluster" / "manifests"
KUBERAY = json.loads((ROOT / "tests" / "cluster" / "crds" / "kuberay.json").read_text())
KUBERNETES = "1.37"
OVERLAYS = ("cpu", "one-gpu", "many-gpus")
SECRETS = {"interlace-store", "interlace-keys", "interlace"}  # the last is KubeRay's


@cache
def rendered(folder: str) -> tuple[dict[str, Any], ...]:
    """What `kubectl apply -k` would send, by kubectl itself; and the job that is created by hand."""
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([kubectl, "kustomize", MANIFESTS / folder], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return (*yaml.load_all(done.stdout, yaml.CSafeLoader), yaml.safe_load((MANIFESTS / "bulk.yaml").read_text()))


def pod_templates(value: Any) -> list[dict[str, Any]]:
    """Every pod template within a resource."""
    if isinstance(value, list):
        return [found for item in value for found in pod_templates(item)]
    if not isinstance(value, dict):
        return []
    if "containers" in value.get("spec", {}):
        return [value]
    return [found for item in value.values() for found in pod_templates(item)]


def check(resource: dict[str, Any]) -> None:
    """Raises what the schema of the resource says against it."""
    kind = resource["kind"]
    if resource["apiVersion"] == "ray.io/v1":
        schema = KUBERAY[kind]
        jsonschema.Draft202012Validator(schema).validate(resource)
        for template in pod_templates(resource):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": template["spec"]}
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    else:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_follows_the_schemas(overlay: str) -> None:
    kinds = set()
    for resource in rendered(f"overlays/{overlay}"):
        check(resource)
        kinds.add(resource["kind"])
    assert kinds >= {"RayCluster", "RayService", "RayJob", "CronJob", "NetworkPolicy", "PodDisruptionBudget"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_have_no_root_nothing_to_write_and_bounds(overlay: str) -> None:
    resources = rendered(f"overlays/{overlay}")
    templates = [template for resource in resources for template in pod_templates(resource)]
    assert len(templates) == 7  # two heads, three groups, the nightly submission, metrics
    for template in templates:
        spec = template["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            context = container["securityContext"]
            owns = container["name"] == "own-checkpoints"
            assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
            assert context["capabilities"]["drop"] == ["ALL"] and context["runAsNonRoot"] is not owns
            assert context["capabilities"].get("add", []) == (["CHOWN", "FOWNER"] if owns else [])
            assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
            assert {m["name"] for m in container["volumeMounts"]} <= {v["name"] for v in spec["volumes"]}
            assert container["image"] == "registry.example.com/interlace:0.1.0"
            named = {r["secretRef"]["name"] for r in container.get("envFrom", ()) if "secretRef" in r}
            named |= {e["valueFrom"]["secretKeyRef"]["name"] for e in container.get("env", ()) if "valueFrom" in e}
            assert named <= SECRETS
    assert not [r for r in resources if r["kind"] == "Secret"]  # they are referred to, never written down


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ray_pods_bring_their_probes(overlay: str) -> None:
    """KubeRay puts in its own where there are none; they give the agent 2 s on a node whose cores are all at work."""
    from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT as AGENT

    pods = [t for r in rendered(f"overlays/{overlay}") if r["apiVersion"] == "ray.io/v1" for t in pod_templates(r)]
    assert len(pods) == 5
    for spec in (pod["spec"] for pod in pods):
        ray = next(container for container in spec["containers"] if container["name"] == "ray")
        for kind in ("startupProbe", "livenessProbe"):
            assert ray[kind]["httpGet"] == {"path": "/api/healthz", "port": AGENT}
        serving = any(port["name"] == "serve" for port in ray["ports"]) and not _is_head(ray)
        asked = {"path": "/-/healthz", "port": 8000} if serving else {"path": "/api/healthz", "port": AGENT}
        assert ray["readinessProbe"]["httpGet"] == asked
        patience = ray["livenessProbe"]["periodSeconds"] * ray["livenessProbe"]["failureThreshold"]
        assert patience > 65  # Ray itself gives a node up after that, and the pod ends by itself


def _is_head(container: dict[str, Any]) -> bool:
    return any(port["name"] == "gcs" for port in container["ports"])


def test_the_overlays_differ_in_cards() -> None:
    def numbers(overlay: str) -> dict[str, tuple[int, int]]:
        cluster = next(r for r in rendered(f"overlays/{overlay}") if r["kind"] == "RayCluster")
        return {g["groupName"]: (g["minReplicas"], g["maxReplicas"]) for g in cluster["spec"]["workerGroupSpecs"]}

    assert numbers("cpu") == {"cpu": (4, 8), "gpu": (0, 0)}
    assert numbers("one-gpu") == {"cpu": (0, 0), "gpu": (1, 1)}
    assert numbers("many-gpus") == {"cpu": (1, 8), "gpu": (8, 16)}
    spot = json.dumps(rendered("overlays/many-gpus"))
    assert "interlace/spot" in spot and "interlace/spot" not in json.dumps(rendered("overlays/cpu"))


def test_a_wrong_resource_is_found() -> None:
    cluster = next(r for r in rendered("overlays/cpu") if r["kind"] == "RayCluster")
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        check(json.loads(json.dumps(cluster).replace('"minReplicas"', '"minReplica"', 1)))
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePull"):
        check(json.loads(json.dumps(cluster).replace('"image":', '"imagePull":', 1)))
    assert POD_TEMPLATE in json.dumps(KUBERAY)


def test_jobs_that_join_a_cluster_do_not_ask_for_retries() -> None:
    for resource in rendered("overlays/cpu"):
        job = resource["spec"].get("jobTemplate", resource.get("spec")) if "spec" in resource else {}
        if job.get("clusterSelector"):  # KubeRay refuses the two together, and its schema does not say so
            assert "backoffLimit" not in job and "suspend" not in job


def test_serve_takes_the_config_of_the_endpoint_and_the_settings_in_it_exist() -> None:
    service = next(r for r in rendered("overlays/cpu") if r["kind"] == "RayService")
    config = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (application,) = config.applications
    assert application.import_path == f"{endpoint.__module__}:{endpoint.__name__}"
    assert endpoint(dict(application.args))
    settings = next(r for r in rendered("overlays/cpu") if r["kind"] == "ConfigMap")["data"]
    assert load_settings(None, {}, settings).settings.run.log == "json"


def test_config_maps_hold_the_rules_and_the_dashboard() -> None:
    alerts, dashboard = sorted(rendered("monitoring")[:2], key=lambda resource: str(resource["metadata"]["name"]))
    check(alerts)
    check(dashboard)
    assert yaml.safe_load(alerts["data"]["alerts.yaml"])["groups"] and json.loads(dashboard["data"]["dashboard.json"])


LIST = re.compile(r"\[(interlace, [^\]]*)\]")
COMMAND = re.compile(
    r"(?<![\w./-])(?<!-n )(?<!namespace )interlace (?=[a-z])[^\n\"'`|#;\]]*(?:'[^'\n]*'[^\n\"'`|#;]*)*"
)


def commands() -> list[tuple[str, str]]:
    """Every `interlace ...` in what starts it, by file; arguments in lists and {braces} as the shell would see them."""
    files = [p for p in (ROOT / "cluster").rglob("*") if p.suffix in {".yaml", ".service", ".timer"}]
    files += [ROOT / "cluster" / "Containerfile", ROOT / "cluster" / "schedules" / "airflow_dag.py"]
    files += [ROOT / "docs" / "cluster.md", ROOT / "docs" / "observability.md"]
    found = []
    for file in files:
        text = file.read_text()
        if file.suffix == ".md":  # sentences name commands without their arguments
            text = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        text = LIST.sub(lambda match: match[1].replace(", ", " ").replace('"', ""), text)
        text = text.replace("{OUT}", "s3://lake/archive").replace("/opt/interlace/bin/interlace", "interlace")
        found += [(file.name, match.strip()) for match in COMMAND.findall(text)]
    return sorted(set(found))


def parse(command: str) -> None:
    """As the command line does, without doing it."""
    tree = typer.main.get_command(app)
    names = shlex.split(command)[1:]
    while hasattr(tree, "commands"):
        tree, names = tree.commands[names[0]], names[1:]
    context = tree.make_context("interlace", names)
    for item in context.params.get("settings") or ():
        assert item.partition("=")[0] in known_keys(), item


def test_every_command_is_one_that_the_command_line_takes() -> None:
    found = commands()
    files = {name for name, _ in found}
    expected = {
        "cluster.yaml",
        "endpoint.yaml",
        "nightly.yaml",
        "bulk.yaml",
        "metrics.yaml",
        "ray-up.yaml",
        "cluster.md",
    }
    assert files >= {*expected, "interlace-nightly.service", "airflow_dag.py"}
    for name, command in found:
        try:
            parse(command)
        except Exception as error:
            raise AssertionError(f"{name}: {command}: {error}") from error
    with pytest.raises(Exception, match="No such option"):
        parse("interlace run s3://archive --out s3://lake --publish-evry 3")


def test_ray_up_and_systemd_take_their_files() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(yaml.safe_load((ROOT / "cluster" / "ray-up.yaml").read_text())))
    compile((ROOT / "cluster" / "schedules" / "airflow_dag.py").read_text(), "airflow_dag.py", "exec")
    timer = (ROOT / "cluster" / "schedules" / "interlace-nightly.timer").read_text()
    assert re.search(r"^OnCalendar=\*-\*-\* \d\d:\d\d:\d\d$", timer, re.MULTILINE)


def test_the_image_has_every_language_that_the_reader_names() -> None:
    from encoders.ocr.tesseract import DEBIAN_PACKAGES

    text = (ROOT / "cluster" / "Containerfile").read_text()
    assert {name for name in DEBIAN_PACKAGES if name not in text} == set()
    assert re.search(r"^ARG BASE=\S+:\d+\.\d+\.\d+", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}"] * 2
