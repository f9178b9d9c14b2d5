"""From a chat request to a sequence for the engine, and from what it wrote to the answer of the chat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decoder.calibration import calibration_of
from decoder.chat import ChatRequest, ChatResult, FinishReason, TextDelta, TokenLogprob, Tool, ToolCall, Usage
from decoder.confidence import answer_confidence
from decoder.fusion import Fusion, Prompt
from decoder.grounding import Grounding, ground
from decoder.sequence import DecoderError, DecoderUnavailable, Delta, Finish, Generation, SequenceRequest
from decoder.tools import call_or_text, call_schema, call_text, instructions, offered, read_call, spoken_of

if TYPE_CHECKING:
    from decoder.engine import Engine
    from decoder.handle import Handle


@dataclass(frozen=True, slots=True)
class PreparedChat:
    """A chat request as the engine takes it. ``calls``: whether the answer may be, or is, the call of a tool."""

    request: ChatRequest
    sequence: SequenceRequest
    prompt: Prompt
    calls: bool


class ChatAnswerer:
    """Chats over one engine, which is loaded. Its methods may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fusion = Fusion(engine.config)
        self._fusion.load()

    def answer(self, request: ChatRequest) -> ChatResult:
        """Ask and wait. Raises `DecoderError` for what cannot be asked or failed, `Overloaded` when too many wait."""
        prepared = self.prepare(request)
        return self.finish(prepared, self.submit(prepared).result())

    def prepare(self, request: ChatRequest) -> PreparedChat:
        """Build the prompt and the constraint. Raises `DecoderError` with the request's field at fault."""
        tools = offered(request)
        forced = request.tool_choice.mode in ("required", "named")
        if tools and not forced and request.response.kind != "text":
            tools = ()  # an answer that must follow a schema is no call
        elif tools and not forced and not self._fusion.knows_tools:
            last = request.messages[-1] if request.messages else None
            forced = last is not None and last.role == "user" and spoken_of(tools, last.content)
            tools = tools if forced else ()
        schema = request.response.schema if request.response.kind == "json_schema" and not tools else None
        written = sum(len(message.content) for message in request.messages)
        if written > self._engine.window * self._fusion.longest_token:  # megabytes; tokens take a hundred times as much
            raise DecoderError(f"{written} characters do not fit the window of {self._engine.window}", "messages")
        prompt = self._fusion.chat(_turns(request, tools), schema, request.precontext, self._engine.window)
        room = self._engine.window - len(prompt)
        if room < 1:
            raise DecoderError(
                f"the messages take {len(prompt)} tokens, the window has {self._engine.window}", "messages"
            )
        schema, grammar = request.response.schema, None
        if tools:
            schema, grammar = (call_schema(tools), None) if forced else (None, call_or_text(tools))
        sequence = SequenceRequest(
            segments=prompt.segments,
            schema=schema,
            grammar=grammar,
            max_new_tokens=min(request.max_tokens or self._engine.config.max_new_tokens, room),
            priority=request.priority,
            stop=request.stop if schema is None else (),  # JSON that is cut is none
            sampling=request.sampling,
            shared=prompt.shared,
            top_logprobs=request.top_logprobs or 0,
        )
        prepared = PreparedChat(request, sequence, prompt, bool(tools))
        with _field_named(prepared):
            self._engine.constraint(sequence)  # compiled here, so that `submit` takes no time of an event loop
        return prepared

    def submit(self, prepared: PreparedChat, on_delta: Callable[[Delta], None] | None = None) -> Handle:
        """Queue it; ``on_delta`` is called in the engine's thread. Raises like `Engine.submit`."""
        with _field_named(prepared):
            return self._engine.submit(prepared.sequence, on_delta)

    def delta(self, prepared: PreparedChat, deltas: Sequence[Delta]) -> TextDelta | None:
        """Pieces that came since the last time as one. None when there is nothing to show yet."""
        text = "".join(delta.text for delta in deltas)
        logprobs: tuple[TokenLogprob, ...] = ()
        if prepared.request.top_logprobs is not None:
            logprobs = tuple(logprob for delta in deltas for logprob in self._logprobs(delta))
        return TextDelta(text, logprobs) if text or logprobs else None

    def finish(self, prepared: PreparedChat, generation: Generation) -> ChatResult:
        """The answer that a generation is. Raises `DecoderError` when it failed, `DecoderUnavailable` when another
        attempt may not: a step of the engine failed, for whatever ran in it, or the engine was closed."""
        if generation.finish is Finish.CANCELLED:  # the engine was closed; half an answer is none
            raise DecoderUnavailable("the decoder ended before the answer was whole")
        if generation.failure is not None:
            kind = DecoderUnavailable if generation.failure.category.transient else DecoderError
            raise kind(generation.failure.message)
        request, text = prepared.request, generation.text
        calls: tuple[ToolCall, ...] = ()
        reason: FinishReason = "length" if generation.finish is Finish.LENGTH else "stop"
        if prepared.calls and text.startswith("{"):
            calls = (read_call(text),)
            if reason == "stop":  # else the limit closed its arguments before they were whole
                reason = "tool_calls"
        grounding = Grounding((), (), answer_confidence(generation))
        if not calls and (request.precontext or prepared.sequence.schema is not None):
            grounding = self._ground(prepared, generation)
        return ChatResult(
            text=None if calls else text,
            tool_calls=calls,
            finish_reason=reason,
            usage=Usage(generation.prompt_tokens, len(generation.tokens), generation.cached_tokens),
            logprobs=tuple(self._logprobs(generation)) if request.top_logprobs is not None else None,
            confidence=grounding.confidence,
            leaves=grounding.leaves,
            evidence=grounding.evidence,
            truncated=prepared.prompt.truncated,
            note=prepared.prompt.note,
        )

    def _ground(self, prepared: PreparedChat, generation: Generation) -> Grounding:
        request = prepared.request
        question = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
        is_json = prepared.sequence.schema is not None
        return ground(
            generation,
            self._fusion.tokenizer,
            request.precontext,
            question,
            is_json=is_json,
            calibration=calibration_of(self._engine.config.checkpoint),
        )

    def _logprobs(self, written: Delta | Generation) -> list[TokenLogprob]:
        alternatives = written.alternatives or ((),) * len(written.tokens)
        return [
            self._logprob(token, logprob, tuple(self._logprob(*other) for other in others))
            for token, logprob, others in zip(written.tokens, written.logprobs, alternatives, strict=True)
        ]

    def _logprob(self, token: int, logprob: float, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        spelled = self._engine.token_bytes(token)
        return TokenLogprob(spelled.decode("utf-8", "replace"), tuple(spelled), logprob, top)


@contextmanager
def _field_named(prepared: PreparedChat) -> Iterator[None]:
    """Errors about the schema name the field of the chat request that it came from."""
    try:
        yield
    except DecoderError as error:
        if error.field == "schema":
            error.field = "tools" if prepared.calls else "response_format"
        raise


def _turns(request: ChatRequest, tools: Sequence[Tool]) -> list[dict[str, str]]:
    """The messages as the chat template takes them: one system turn, calls as their JSON, nothing that ends a turn."""
    system = [message.content for message in request.messages if message.role == "system" and message.content]
    if tools:
        system.append(instructions(tools))
    turns = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    for message in request.messages:
        if message.role != "system":
            calls = [call_text(call) for call in message.tool_calls]
            turns.append({"role": message.role, "content": "\n".join(filter(None, [message.content, *calls]))})
    return [{**turn, "content": turn["content"].replace("<|", "< |")} for turn in turns]
