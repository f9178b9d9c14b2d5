"""From a request of the chat API to what the decoder is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence

from decoder.chat import ChatMessage, ChatRequest, ResponseFormat, Tool, ToolCall, ToolChoice
from decoder.precontext import Precontext
from decoder.protocol.formats import schema_text
from decoder.protocol.request import CompletionRequest, Message, NamedTool
from decoder.sequence import Sampling

_NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}
"""What a function takes whose definition leaves its parameters out, as the API has it."""


def conversation(request: CompletionRequest, system: str, precontext: Sequence[Precontext]) -> ChatRequest:
    """What is asked of the decoder. ``system`` is all system turns without their directives."""
    messages = [ChatMessage("system", system)] if system else []
    messages += [_message(message) for message in request.messages if message.role not in ("system", "developer")]
    top = (request.top_logprobs or 0) if request.logprobs else None
    return ChatRequest(
        tuple(messages),
        tuple(precontext),
        response=_response(request),
        tools=tuple(
            Tool(
                tool.function.name,
                tool.function.description or "",
                json.dumps(_NO_ARGUMENTS if (given := tool.function.parameters) is None else given, ensure_ascii=False),
            )
            for tool in request.tools or ()
        ),
        tool_choice=_choice(request),
        max_tokens=request.limit,
        stop=request.stops,
        sampling=_sampling(request),
        top_logprobs=top,
    )


def _message(message: Message) -> ChatMessage:
    calls = tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ())
    role = "system" if message.role == "developer" else message.role
    return ChatMessage(role, message.text, calls, message.tool_call_id)


def _response(request: CompletionRequest) -> ResponseFormat:
    if request.response_format is not None and request.response_format.type == "json_object":
        return ResponseFormat.json_object()
    schema = schema_text(request.response_format)
    return ResponseFormat.text() if schema is None else ResponseFormat.json_schema(schema)


def _choice(request: CompletionRequest) -> ToolChoice:
    choice = request.tool_choice
    if isinstance(choice, NamedTool):
        return ToolChoice.named(choice.function.name)
    if choice == "none":
        return ToolChoice.none()
    return ToolChoice.required() if choice == "required" else ToolChoice.auto()


def _sampling(request: CompletionRequest) -> Sampling:
    """Greedy unless a temperature is asked for: a specialist's reading should be the same every time."""
    return Sampling(
        temperature=request.temperature or 0.0,
        top_p=1.0 if request.top_p is None else request.top_p,
        seed=request.seed,
        frequency_penalty=request.frequency_penalty or 0.0,
        presence_penalty=request.presence_penalty or 0.0,
    )
