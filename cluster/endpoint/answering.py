"""Answers one chat request: directives, files, specialists, decoder; in one piece or as a stream of events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.endpoint.config import EndpointConfig
from cluster.endpoint.decoding import DecoderAccess
from cluster.endpoint.perceiving import PATIENCE, Perceived, Perceiver
from decoder.chat import ChatRequest, ChatResult, TextDelta
from decoder.protocol.attachments import attachments
from decoder.protocol.conversation import conversation
from decoder.protocol.directives import Directives, directives
from decoder.protocol.errors import ChatError
from decoder.protocol.outcome import describe, logprobs_json, refused
from decoder.protocol.queries import DETECTIONS, queries
from decoder.protocol.request import CompletionRequest, read_request
from decoder.protocol.response import DONE, Reply
from decoder.protocol.results import task_content
from decoder.protocol.routing import Route, route
from decoder.sequence import DecoderError, DecoderUnavailable

_LARGE_BODY = 256 << 10  # bytes; a longer body is parsed outside the event loop


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the headers ask for. ``bypass``: no specialists, so files are not read. ``show``: precontext in streams."""

    show: bool = False
    bypass: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Wanted:
        """From the request's headers; only a literal ``true`` counts."""
        bypass = ("x-interfaze-bypass-moa", "x-bypass-moe")
        return cls(
            show=headers.get("x-show-additional-info") == "true",
            bypass=any(headers.get(name) == "true" for name in bypass),
        )


@dataclass(slots=True)
class Turn:
    """One request on its way: what was asked and what has been read for it."""

    request: CompletionRequest
    wanted: Wanted
    directives: Directives
    perceived: Perceived
    reply: Reply
    started: float = field(default_factory=time.monotonic)
    first_token: float | None = None  # seconds after the start


class ChatService:
    """Answers requests with the encoders and the decoder that it is given."""

    def __init__(self, config: EndpointConfig, perceiver: Perceiver, decoder: DecoderAccess) -> None:
        self._config, self.perceiver, self._decoder = config, perceiver, decoder

    async def begin(self, body: bytes, headers: Mapping[str, str]) -> Turn:
        """Read and check the request, and have its files read. Raises `ChatError`."""
        started = time.monotonic()
        request = await asyncio.to_thread(read_request, body) if len(body) > _LARGE_BODY else read_request(body)
        models = self._config.serve.models
        if request.model not in models:
            message = f"no model {request.model!r}; there are: {', '.join(models)}"
            raise ChatError(404, message, field="model", code="model_not_found")
        found = directives(request, self._config.encoders)
        wanted = Wanted.of(headers)
        perceived = Perceived()
        if found.task is not None or not wanted.bypass:
            files = await asyncio.to_thread(attachments, request) if len(body) > _LARGE_BODY else attachments(request)
            if files or found.task is not None:
                perceived = await self.perceiver(files, found.task, _route(request, found.task))
        reply = Reply(
            request.model,
            precontext=perceived.items,
            active_parameters=perceived.active,
            loaded_parameters=perceived.loaded,
        )
        turn = Turn(request, wanted, found, perceived, reply, started)
        if found.called is not None:
            reply.content = task_content(found.called, perceived.results)
        return turn

    async def whole(self, turn: Turn) -> dict[str, Any]:
        """The completion in one piece. Raises `ChatError`; cancelling it stops the decoder."""
        if turn.directives.task is None:
            asked = conversation(turn.request, turn.directives.system, turn.perceived.entries)
            try:
                self._finish(turn, await self._chat(asked))
            except DecoderError as error:
                raise refused(error) from error
        return turn.reply.completion()

    async def _chat(self, asked: ChatRequest) -> ChatResult:
        """The decoder's answer; when its replica dies, the next one's. The same request has the same answer."""
        async with self._decoder.use() as decoder:
            for wait in PATIENCE:
                try:
                    return await decoder.chat(asked)
                except DecoderUnavailable:
                    await asyncio.sleep(wait)
            return await decoder.chat(asked)

    async def events(self, turn: Turn) -> AsyncIterator[bytes]:
        """The completion as server-sent events. What fails before the first event is raised as `ChatError`."""
        reply = turn.reply
        if turn.directives.task is not None:
            yield reply.role() + reply.delta(reply.content or "")
        else:
            async for event in self._decoded(turn):
                yield event
        usage = reply.usage_event() if turn.request.include_usage else b""
        yield reply.final(turn.wanted.show) + usage + DONE

    async def _decoded(self, turn: Turn) -> AsyncIterator[bytes]:
        reply, begun = turn.reply, False
        asked = conversation(turn.request, turn.directives.system, turn.perceived.entries)
        try:
            async with self._decoder.use() as decoder:
                async for event in decoder.chat_stream(asked):
                    before = b"" if begun else self._begin(turn)
                    begun = True
                    if isinstance(event, TextDelta):
                        # What goes before the first piece goes with it: each message is a trip through Serve.
                        yield before + reply.delta(event.text, logprobs_json(event.logprobs, turn.request))
                    else:
                        self._finish(turn, event)
                        if before:
                            yield before
        except DecoderError as error:
            raise refused(error) from error
        if reply.tool_calls:
            yield reply.calls()

    def _begin(self, turn: Turn) -> bytes:
        turn.first_token = time.monotonic() - turn.started
        shown = turn.wanted.show and turn.reply.precontext
        return turn.reply.role() + (turn.reply.inline_precontext() if shown else b"")

    def _finish(self, turn: Turn, result: ChatResult) -> None:
        if turn.first_token is None:
            turn.first_token = time.monotonic() - turn.started
        describe(turn.reply, turn.request, result)
        turn.reply.active_parameters = {**turn.perceived.active, **self._decoder.parameters}
        turn.reply.loaded_parameters = {**turn.perceived.loaded, **self._decoder.parameters}


def _route(request: CompletionRequest, task: str | None) -> Route:
    """Who looks for what: a detection task for the phrases of the last user turn, a chat for what its words ask."""
    if task is None:
        return route(request)
    looked_for = {task: queries(request)} if task in DETECTIONS else {}
    return Route(images=looked_for, documents=looked_for)
