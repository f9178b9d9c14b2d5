"""What counts as a schema, and what as none."""

from __future__ import annotations

import json
from typing import Any

from decoder.protocol.errors import bad_request
from decoder.protocol.request import ResponseFormat

_MEANINGLESS = {"$schema", "title", "description", "$id", "$comment"}


def is_empty_schema(schema: dict[str, Any] | None) -> bool:
    """Whether a schema says nothing: ``{}``, zod's and pydantic's spellings of any object, or none at all."""
    if not schema:
        return True
    said = {key: value for key, value in schema.items() if key not in _MEANINGLESS}
    if not said:
        return True
    object_of_anything = {"type", "properties", "additionalProperties", "required"}
    return (
        said.get("type") == "object"
        and said.keys() <= object_of_anything
        and not said.get("properties")
        and not said.get("required")
        and said.get("additionalProperties", True) in (True, {}, False)  # a schema of values says something
    )


def schema_text(form: ResponseFormat | None) -> str | None:
    """The JSON schema that an answer must follow, as text; None for a plain answer."""
    if form is None or form.type != "json_schema":
        return None
    if form.json_schema is None:
        raise bad_request("response_format.json_schema", "is required for type json_schema")
    schema = form.json_schema.schema_
    return None if is_empty_schema(schema) else json.dumps(schema, ensure_ascii=False)
