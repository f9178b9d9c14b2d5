"""Write the schemas of KubeRay's resources, small enough to keep: without descriptions, pod templates left out.

    git clone --branch v1.7.0 https://github.com/ray-project/kuberay
    python tests/cluster/crds/compact.py kuberay/ray-operator/config/crd/bases > tests/cluster/crds/kuberay.json

A pod template is marked instead, and checked with Kubernetes' own schema (`kubernetes-validate`). Objects take no other
keys than those named, as the API server prunes them. KubeRay is under the Apache License 2.0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

KINDS = ("rayclusters", "rayjobs", "rayservices")
POD_TEMPLATE = "x-pod-template"


def compact(schema: Any) -> Any:
    if isinstance(schema, list):
        return [compact(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties")
    if isinstance(properties, dict) and "containers" in properties.get("spec", {}).get("properties", {}):
        return {"type": "object", POD_TEMPLATE: True}
    kept = {name: value for name, value in schema.items() if name not in ("description", "default", "status")}
    if isinstance(properties, dict):
        kept["properties"] = {name: compact(value) for name, value in properties.items() if name != "status"}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
        for name in kept:
            if name != "properties":
                kept[name] = compact(kept[name])
        return kept
    return {name: compact(value) for name, value in kept.items()}


def whole(path: Path) -> dict[str, Any]:
    definition = yaml.load(path.read_text(), yaml.CSafeLoader)
    version = next(item for item in definition["spec"]["versions"] if item["name"] == "v1")
    schema: dict[str, Any] = compact(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return {definition["spec"]["names"]["kind"]: schema}


if __name__ == "__main__":
    found: dict[str, Any] = {"source": "ray-project/kuberay v1.7.0, ray-operator/config/crd/bases, Apache-2.0"}
    for kind in KINDS:
        found |= whole(Path(sys.argv[1]) / f"ray.io_{kind}.yaml")
    json.dump(found, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()
