"""A JSON schema as a prompt shows it: the shape of an answer, with a hint where each value goes."""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 4
_LONGEST = 1200  # characters


def skeleton(schema: str) -> str:
    """One line such as ``{"company": "...", "total": "...", "items": [{"name": "..."}]}``.

    Descriptions and enums stand in for the dots. Measured on receipts with the default decoder: the total as a string
    is right for 4 of 8 with the shape in the prompt, and for at most 1 with the fields' names only, which leave it to
    write an empty string. Anything that cannot be shown is left out: the constraint knows it anyway.
    """
    try:
        root = json.loads(schema)
    except json.JSONDecodeError:
        return ""
    if not isinstance(root, dict):
        return ""
    text = json.dumps(_shape(root, root, 0), ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


def _shape(node: Any, root: dict[str, Any], depth: int) -> Any:
    node = _resolved(node, root)
    if not isinstance(node, dict) or depth > _DEEPEST:
        return "..."
    if "const" in node:
        return node["const"]
    if isinstance(node.get("enum"), list):
        return " or ".join(str(value) for value in node["enum"][:12])
    for union in ("anyOf", "oneOf", "allOf"):
        if isinstance(options := node.get(union), list) and options:
            return _shape(options[0], root, depth)
    kind = node.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" or "properties" in node:
        properties = node.get("properties")
        if not isinstance(properties, dict):
            return {}
        return {name: _shape(child, root, depth + 1) for name, child in properties.items()}
    if kind == "array":
        return [_shape(node.get("items", {}), root, depth + 1)]
    if about := node.get("description"):
        return f"... ({about})"
    return "..."  # for numbers too: a model that is shown 0 writes 0


def _resolved(node: Any, root: dict[str, Any]) -> Any:
    """The node, or what its local ``$ref`` points at."""
    for _ in range(8):
        if not isinstance(node, dict) or not str(node.get("$ref", "")).startswith("#"):
            return node
        target: Any = root
        for piece in node["$ref"][1:].split("/")[1:]:
            key = piece.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
        node = target
    return None
