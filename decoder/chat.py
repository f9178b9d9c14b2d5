"""A chat request and what comes back: plain data that pickles, the same in this process and behind Ray Serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from decoder.evidence import Evidence
from decoder.grounding import Leaf
from decoder.precontext import Precontext
from decoder.sequence import GREEDY, Priority, Sampling

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the caller's functions; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. An assistant's turn may be calls of tools, a tool's turn answers the call ``tool_call_id``."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the decoder may call; ``parameters`` is the text of a JSON schema."""

    name: str
    description: str = ""
    parameters: str = "{}"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether a tool is called: as the decoder likes, never, one of them for certain, or the one that is named."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None

    @classmethod
    def auto(cls) -> ToolChoice:
        """The decoder decides."""
        return cls("auto")

    @classmethod
    def none(cls) -> ToolChoice:
        """No tool is called."""
        return cls("none")

    @classmethod
    def required(cls) -> ToolChoice:
        """Some tool is called."""
        return cls("required")

    @classmethod
    def named(cls, name: str) -> ToolChoice:
        """This tool is called."""
        return cls("named", name)


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What the answer looks like: any text, any JSON object, or JSON that follows a schema (as text)."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: str | None = None

    @classmethod
    def text(cls) -> ResponseFormat:
        """Any text."""
        return cls()

    @classmethod
    def json_object(cls) -> ResponseFormat:
        """Some JSON object."""
        return cls("json_object", '{"type": "object"}')

    @classmethod
    def json_schema(cls, schema: str) -> ResponseFormat:
        """JSON that follows the schema."""
        return cls("json_schema", schema)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked of the decoder in a chat.

    ``precontext`` goes before the last user turn. ``max_tokens`` None takes the config's, and what does not fit into
    the window is lowered to it. ``top_logprobs`` None asks for no log probabilities, 0 for those of the tokens alone.
    """

    messages: tuple[ChatMessage, ...]
    precontext: tuple[Precontext, ...] = ()
    response: ResponseFormat = ResponseFormat()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = GREEDY
    top_logprobs: int | None = None
    priority: Priority = Priority.ONLINE


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token with its natural-log probability among those that were allowed, and its likeliest alternatives."""

    token: str
    bytes: tuple[int, ...]
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text; ``logprobs`` of its tokens when they were asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of prompt and answer; ``cached_tokens`` of the prompt were known from an earlier one."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChatResult:
    """A whole answer. ``text`` is None when tools are called, else all deltas together.

    ``leaves`` and ``evidence`` are those of the answer's values (`decoder.grounding`); ``truncated``: the precontext
    was longer than the prompt, ``note`` says how much of it was read.
    """

    text: str | None
    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    usage: Usage
    logprobs: tuple[TokenLogprob, ...] | None
    confidence: float
    leaves: tuple[Leaf, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    truncated: bool = False
    note: str = ""


ChatEvent = TextDelta | ChatResult
