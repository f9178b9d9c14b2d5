"""Chats over a tiny engine: what is not answered, and with which error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from decoder.chat import ChatMessage, ChatRequest
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
        patch.setattr(engine, "_forward", lambda pack: 1 / 0)
        with pytest.raises(DecoderUnavailable, match="ZeroDivisionError"):
            chats.answer(asked())
    assert chats.answer(asked()).text is not None


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokens(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = ChatAnswerer(engine)
    monkeypatch.setattr(chats._fusion, "_tokens", lambda text: pytest.fail("megabytes were made tokens"))
    with pytest.raises(DecoderError, match="characters do not fit the window") as caught:
        chats.answer(asked("word " * 1_000_000))
    assert caught.value.field == "messages" and type(caught.value) is DecoderError
