"""Chats over a tiny engine: what is not answered, and with which error."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from decoder.chat import ChatMessage, ChatRequest, Tool, ToolChoice
from decoder.chat_answerer import ChatAnswerer
from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.sequence import DecoderError, DecoderUnavailable


@pytest.fixture
def engine(tiny_config: DecoderConfig) -> Iterator[Engine]:
    """One that may be closed or broken."""
    engine = Engine(tiny_config)
    engine.load()
    yield engine
    engine.close()


def asked(text: str = "What is the total?") -> ChatRequest:
    return ChatRequest((ChatMessage("user", text),), max_tokens=150)


def test_half_an_answer_of_an_engine_that_was_closed_is_none(engine: Engine) -> None:
    chats = ChatAnswerer(engine)
    prepared = chats.prepare(asked())
    handle = chats.submit(prepared, lambda _: handle.cancel())
    with pytest.raises(DecoderUnavailable):
        chats.finish(prepared, handle.result(60))


def test_a_step_that_fails_is_the_servers_fault(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = ChatAnswerer(engine)
    with monkeypatch.context() as patch:
        patch.setattr(engine._stepper, "_read", lambda pack: 1 / 0)
        with pytest.raises(DecoderUnavailable, match="ZeroDivisionError"):
            chats.answer(asked())
    assert chats.answer(asked()).text is not None


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokens(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = ChatAnswerer(engine)
    monkeypatch.setattr(chats._fusion, "_tokens", lambda text: pytest.fail("megabytes were made tokens"))
    with pytest.raises(DecoderError, match="characters do not fit the window") as caught:
        chats.answer(asked("word " * 1_000_000))
    assert caught.value.field == "messages" and type(caught.value) is DecoderError


def test_a_call_that_was_cut_is_not_given_as_whole(tiny_engine: Engine) -> None:
    chats = ChatAnswerer(tiny_engine)
    numbers = {"type": "array", "items": {"type": "integer"}}

    def call(properties: dict[str, object]) -> tuple[str, dict[str, object]]:
        parameters = {"properties": properties, "required": [*properties], "additionalProperties": False}
        result = chats.answer(
            ChatRequest(
                (ChatMessage("user", "count"),),
                tools=(Tool("count", "", json.dumps(parameters)),),
                tool_choice=ToolChoice.required(),
                max_tokens=80,
            )
        )
        [made] = result.tool_calls
        assert result.text is None
        return result.finish_reason, json.loads(made.arguments)

    assert call({"to": {"const": 3}}) == ("tool_calls", {"to": 3})
    reason, arguments = call({"numbers": numbers | {"minItems": 8}, "more": numbers, "rest": numbers})
    assert reason == "length" and arguments.keys() == {"numbers", "more", "rest"}
