"""Tools: how a prompt shows them, the JSON that calls one, and the call read back from it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from decoder.chat import ChatRequest, Tool, ToolCall
from decoder.relevance import terms
from decoder.sequence import DecoderError


def offered(request: ChatRequest) -> tuple[Tool, ...]:
    """The tools that this request may call. Raises `DecoderError` for a choice that cannot be made."""
    choice = request.tool_choice
    if choice.mode == "named":
        named = tuple(tool for tool in request.tools if tool.name == choice.name)
        if not named:
            raise DecoderError(f"tool_choice names {choice.name!r}, which is not among the tools", "tool_choice")
        return named
    if choice.mode == "required" and not request.tools:
        raise DecoderError("tool_choice is required, and there are no tools", "tool_choice")
    return () if choice.mode == "none" else request.tools


def spoken_of(tools: Sequence[Tool], message: str) -> bool:
    """Whether a message shares a word with a tool's name or description.

    Decides instead of a decoder that was not trained to: SmolLM2-135M, asked for the weather, never calls of its own
    accord, and fills in the right call when it must.
    """
    said = set(terms(message))
    return any(said & set(terms(f"{tool.name} {tool.description}")) for tool in tools)


def instructions(tools: Sequence[Tool]) -> str:
    """What the system prompt says of them."""
    lines = ["You can call these functions:"]
    for tool in tools:
        described = {"name": tool.name, "description": tool.description, "parameters": _schema(tool)}
        lines.append(json.dumps(described, ensure_ascii=False))
    lines.append('To call one, answer only with JSON: {"name": "...", "arguments": {...}}')
    return "\n".join(lines)


def call_schema(tools: Sequence[Tool]) -> str:
    """The JSON schema of a call of one of them."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": _arguments(tool, f"{index}")},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for index, tool in enumerate(tools)
    ]
    return json.dumps(calls[0] if len(calls) == 1 else {"anyOf": calls}, ensure_ascii=False)


def call_or_text(tools: Sequence[Tool]) -> str:
    """A grammar of llguidance: a call, or text that does not begin as one."""
    return f"start: call | TEXT\ncall: %json {call_schema(tools)}\nTEXT: /[^{{](.|\\n)*/\n"


def read_call(text: str) -> ToolCall:
    """The call that a text of `call_schema` makes. Its id is new, but the same for the same text."""
    call = json.loads(text)
    identity = uuid.uuid5(uuid.NAMESPACE_OID, text).hex[:24]
    return ToolCall(f"call_{identity}", call["name"], json.dumps(call["arguments"], ensure_ascii=False))


def call_text(call: ToolCall) -> str:
    """An earlier call as the prompt shows it."""
    return f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {call.arguments}}}'


def _schema(tool: Tool) -> dict[str, Any]:
    try:
        schema = json.loads(tool.parameters)
    except json.JSONDecodeError as error:
        raise DecoderError(f"the parameters of the tool {tool.name!r} are not JSON: {error}", "tools") from error
    if not isinstance(schema, dict):
        raise DecoderError(f"the parameters of the tool {tool.name!r} are no JSON schema object", "tools")
    return schema


def _arguments(tool: Tool, scope: str) -> dict[str, Any]:
    """The tool's schema inside another one: its local references go on to mean its own definitions."""
    schema = {"type": "object", **_schema(tool)}
    return {**schema, "$id": f"tool:{scope}"} if "$ref" in tool.parameters else schema
