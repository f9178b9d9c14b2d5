"""Chat completions and the chunks of a stream, as JSON. The models also describe them in the OpenAPI document."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from decoder.protocol.results import compact

FinishReason = Literal["stop", "length", "tool_calls"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="allow")


class FunctionText(_Model):
    """A call: ``arguments`` is JSON text."""

    name: str
    arguments: str


class CallOut(_Model):
    """A tool call of the answer."""

    id: str
    type: Literal["function"]
    function: FunctionText


class MessageOut(_Model):
    """The answer. ``content`` is null on a turn that calls tools."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[CallOut] | None = None


class ChoiceOut(_Model):
    """The one choice."""

    index: Literal[0]
    message: MessageOut
    finish_reason: FinishReason
    logprobs: dict[str, Any] | None


class PromptDetails(_Model):
    """Prompt tokens that were read before."""

    cached_tokens: int


class CompletionDetails(_Model):
    """Always zero here: the decoder writes nothing but its answer."""

    reasoning_tokens: int


class UsageOut(_Model):
    """Tokens of prompt and answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class PrecontextOut(_Model):
    """What one specialist found in one file."""

    name: str
    result: Any


class EvidenceOut(_Model):
    """Where one value of the answer was read. ``places`` is null when the input does not contain it."""

    path: str
    value: Any
    confidence: float
    places: list[dict[str, Any]] | None


class CompletionOut(_Model):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceOut]
    usage: UsageOut
    vcache: Literal[False]
    precontext: list[PrecontextOut]
    evidence: list[EvidenceOut] | None = None
    confidence: float | None = None
    active_parameters: dict[str, int]
    loaded_parameters: dict[str, int]


class ErrorBody(_Model):
    """What went wrong; ``param`` is the field of the request at fault."""

    message: str
    type: str
    code: str
    param: str | None = None


class ErrorOut(_Model):
    """The body of every answer that is not a success."""

    error: ErrorBody


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def json(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": 0, "cached_tokens": 0},
        }


@dataclass(slots=True)
class Reply:
    """Everything that answers one request; what is known only at the end is filled in there.

    ``content`` None with ``tool_calls`` is a turn that calls tools. ``evidence`` None: the answer has no values to
    show (plain text); ``extras`` go into the body as they are.
    """

    model: str
    id: str = field(default_factory=lambda: f"req-{uuid.uuid4()}")
    created: int = field(default_factory=lambda: int(time.time()))
    content: str | None = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    finish_reason: FinishReason = "stop"
    logprobs: Mapping[str, Any] | None = None
    usage: Usage = Usage()
    precontext: list[dict[str, Any]] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)
    active_parameters: dict[str, int] = field(default_factory=dict)  # of the networks that ran for it
    loaded_parameters: dict[str, int] = field(default_factory=dict)  # of all that the replicas asked for it hold

    def completion(self) -> dict[str, Any]:
        """The body of an answer in one piece."""
        message: dict[str, Any] = {"role": "assistant", "content": self.content, "refusal": None}
        if self.tool_calls:
            message["tool_calls"] = list(self.tool_calls)
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": self.logprobs}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            "usage": self.usage.json(),
            "vcache": False,
            "precontext": self.precontext,
            **self.extras,
            **self._parameters(),
        }

    def _parameters(self) -> dict[str, dict[str, int]]:
        return {"active_parameters": self.active_parameters, "loaded_parameters": self.loaded_parameters}

    def role(self) -> bytes:
        """The first event."""
        return self._event({"role": "assistant", "content": ""})

    def inline_precontext(self) -> bytes:
        """The precontext as text that the vendor's clients take out again. ``<`` is escaped: a file's own
        ``</precontext>`` would end the block."""
        block = compact(self.precontext).replace("<", "\\u003c")
        return self._event({"content": f"<precontext> {block} </precontext>"})

    def delta(self, text: str, logprobs: Mapping[str, Any] | None = None) -> bytes:
        """A piece of the answer."""
        return self._event({"content": text}, logprobs=logprobs)

    def calls(self) -> bytes:
        """The tool calls, in one event."""
        return self._event({"tool_calls": [{"index": i, **call} for i, call in enumerate(self.tool_calls)]})

    def final(self, show: bool = False) -> bytes:
        """The event that says why the answer ended. ``show``: with confidence, evidence and parameters beside it."""
        choice = {"index": 0, "delta": {}, "finish_reason": self.finish_reason, "logprobs": None}
        beside = {**self.extras, **self._parameters()} if show else {}
        return sse({**self._head(), "choices": [choice], **beside})

    def usage_event(self) -> bytes:
        """The event that `stream_options.include_usage` asks for, after the last choice."""
        return sse({**self._head(), "choices": [], "usage": self.usage.json()})

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}

    def _event(self, delta: dict[str, Any], logprobs: Mapping[str, Any] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": logprobs}
        return sse({**self._head(), "choices": [choice]})


_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
DONE = b"data: [DONE]\n\n"


def sse(data: Mapping[str, Any]) -> bytes:
    """One server-sent event. Some readers end lines at every character that Unicode calls a line's end."""
    line = compact(data).translate(_LINE_ENDS)
    return b"data: " + line.encode("utf-8", "replace") + b"\n\n"
