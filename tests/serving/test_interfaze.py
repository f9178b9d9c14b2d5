"""The vendor's Python client, unchanged but for its base URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from interfaze import AsyncInterfaze, Interfaze
from pydantic import BaseModel

from tests.serving.conftest import Endpoint
from tests.serving.site import TOTAL, data_uri, image_part, pdf, receipt
from tests.serving.sounds import tone

HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[Interfaze]:
    client = Interfaze(api_key=endpoint.key, base_url=endpoint.v1, max_retries=0, show_additional_info=True)
    yield client
    client.openai.close()


def test_ocr_task(client: Interfaze, site: str) -> None:
    for source in (data_uri(receipt(), "image/png"), f"{site}/receipt?w=1024"):
        result = client.tasks.ocr(source)
        assert result.keys() == {"extracted_text", "sections", "width", "height"}
        assert result["extracted_text"].splitlines()[-1] == f"TOTAL {TOTAL}"
        [section] = result["sections"]
        assert (section["page"], section["width"], section["height"]) == (1, 480, 360)
        word = section["lines"][-1]["words"][-1]
        assert word.keys() == {"text", "bounds", "confidence"} and word["text"] == TOTAL
        assert word["bounds"].keys() == {
            *("top_left", "top_right", "bottom_right", "bottom_left", "width", "height"),
        }
        assert 0 < section["lines"][-1]["average_confidence"] <= 1
    assert client.tasks.ocr(data_uri(pdf(), "application/pdf"))["total_pages"] == 2


def test_transcribe_task(client: Interfaze) -> None:
    result = client.tasks.transcribe(data_uri(tone(), "audio/wav"))
    assert result.keys() == {"text", "chunks"} and result["text"] == ""  # a tone says nothing
    assert result["chunks"] == []


def test_tasks_that_are_not_here_say_what_is(client: Interfaze) -> None:
    for call in (
        lambda: client.tasks.web_search("who"),
        lambda: client.tasks.scrape("https://example.com"),
        lambda: client.tasks.translate("hello", to="French"),
    ):
        with pytest.raises(openai.BadRequestError, match=r"it has: .*ocr, speech_to_text, stt"):
            call()


def test_a_task_turn(client: Interfaze) -> None:
    answer = client.chat.completions.create(messages=[{"role": "user", "content": [image_part()]}], task="ocr")
    assert answer.vcache is False and answer.reasoning is None
    assert [item.name for item in answer.precontext or ()] == ["ocr"]
    assert answer.choices[0].finish_reason == "stop" and answer.usage is not None
    extra = answer.model_extra or {}
    assert not any("decoder" in name or "tiny" in name for name in extra["active_parameters"])


def test_streams_carry_precontext_and_the_client_takes_it_out(client: Interfaze) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "what"}, image_part()]}]
    stream = client.chat.completions.stream(messages=messages, max_tokens=8)
    text = "".join(stream.text_deltas())
    final = stream.get_final_completion()
    assert "<precontext>" not in text and final.choices[0].message.content == text.strip()
    [seen] = final.precontext or []
    assert seen.name == "ocr" and TOTAL in seen.result["extracted_text"]
    events = list(client.chat.completions.stream(messages=HI, max_tokens=4))
    assert events[-1].type == "content.done"


class Word(BaseModel):
    word: bool


def test_parse_and_json_object(client: Interfaze) -> None:
    parsed = client.chat.completions.parse(messages=HI, response_format=Word, max_tokens=30)
    assert isinstance(parsed.choices[0].message.parsed, Word)
    answer = client.chat.completions.create(messages=HI, response_format={"type": "json_object"}, max_tokens=30)
    assert (answer.choices[0].message.content or "").startswith("{")


def test_forecast_without_a_forecaster_is_plain_chat(client: Interfaze, site: str) -> None:
    said = client.tasks.forecast(f"{site}/lines.csv", periods=5)
    assert isinstance(said, str)  # the decoder's words: no forecast is made up


def test_async(endpoint: Endpoint) -> None:
    async def run() -> tuple[Any, str]:
        client = AsyncInterfaze(api_key=endpoint.key, base_url=endpoint.v1, max_retries=0)
        result = await client.tasks.ocr(data_uri(receipt(), "image/png"))
        stream = client.chat.completions.stream(messages=HI, max_tokens=4)
        return result, "".join([piece async for piece in stream.text_deltas()])

    result, text = asyncio.run(run())
    assert TOTAL in result["extracted_text"] and text


def test_guard_is_refused_and_never_ignored(client: Interfaze) -> None:
    with pytest.raises(openai.BadRequestError, match="no guard classifiers"):
        client.chat.completions.create(messages=HI, guard=["S1", "S9"])
