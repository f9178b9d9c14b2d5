"""The official openai client, unchanged: every feature of the chat API that the endpoint has."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.serving.conftest import Endpoint
from tests.serving.site import TOTAL, file_part, image_part, pdf

HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[OpenAI]:
    with OpenAI(base_url=endpoint.v1, api_key=endpoint.key, max_retries=0, timeout=120) as client:
        yield client


def test_models(client: OpenAI) -> None:
    listed = client.models.list().data
    assert [model.id for model in listed] == ["interlace", "interfaze-beta", "interfaze-1-lite"]
    found = client.models.retrieve("interfaze-beta")
    assert (found.id, found.object, found.owned_by) == ("interfaze-beta", "model", "interlace")
    assert isinstance(found.created, int)
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-99")
    assert caught.value.code == "model_not_found" and caught.value.type == "invalid_request_error"


def test_an_answer_in_one_piece(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="interlace", messages=HI, max_tokens=12)
    [choice] = answer.choices
    assert answer.object == "chat.completion" and answer.id.startswith("req-") and isinstance(answer.created, int)
    assert choice.message.role == "assistant" and isinstance(choice.message.content, str) and choice.index == 0
    assert choice.finish_reason in ("stop", "length") and choice.logprobs is None
    assert answer.usage is not None and answer.usage.prompt_tokens > 0
    assert 0 < answer.usage.completion_tokens <= 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id
    assert answer.model_extra is not None and answer.model_extra["precontext"] == []
    assert sum(answer.model_extra["active_parameters"].values()) > 100_000


def test_the_same_request_has_the_same_answer_streamed_or_not(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="interlace", messages=HI, max_tokens=20)
    stream = client.chat.completions.create(
        model="interlace", messages=HI, max_tokens=20, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"} and len({chunk.id for chunk in chunks}) == 1
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    finish = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert finish[-1] == whole.choices[0].finish_reason and set(finish[:-1]) == {None}
    without = list(client.chat.completions.create(model="interlace", messages=HI, max_tokens=3, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in without)


def test_the_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="interlace", messages=HI, response_format=_form({"const": "x"})
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds and kinds[-1] == "content.done"
    assert isinstance(final.choices[0].message.content, str)


def test_max_tokens_cuts_and_says_so(client: OpenAI) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 12}
    answer = client.chat.completions.create(model="interlace", messages=HI, max_completion_tokens=2, max_tokens=50)
    assert answer.usage is not None and answer.usage.completion_tokens <= 2
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="interlace", messages=HI, max_tokens=3, response_format=_form(schema))
    assert "max_tokens" in caught.value.message


def test_stop_and_seed_and_logprobs(client: OpenAI) -> None:
    plain = client.chat.completions.create(model="interlace", messages=HI, max_tokens=24)
    text = plain.choices[0].message.content or ""
    assert len(text) > 4
    stop = text[3:5]
    cut = client.chat.completions.create(model="interlace", messages=HI, max_tokens=24, stop=[stop, "zzzz"], seed=7)
    assert cut.choices[0].message.content == text[: text.index(stop)] and cut.choices[0].finish_reason == "stop"
    streamed = client.chat.completions.create(model="interlace", messages=HI, max_tokens=24, stop=stop, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed) == text[: text.index(stop)]
    sure = client.chat.completions.create(model="interlace", messages=HI, max_tokens=5, logprobs=True, top_logprobs=2)
    assert sure.choices[0].logprobs is not None and sure.choices[0].logprobs.content is not None
    for token in sure.choices[0].logprobs.content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 2 and isinstance(token.bytes, list)
        assert math.isclose(token.top_logprobs[0].logprob, token.logprob, abs_tol=1e-5)  # greedy takes the likeliest
    assert sure.usage is not None and len(sure.choices[0].logprobs.content) == sure.usage.completion_tokens


class Item(BaseModel):
    name: Literal["Tea", "Cake"]
    price: float | None


class Receipt(BaseModel):
    total: Literal["144.02"]
    items: list[Item]


def _form(schema: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def test_parse_and_evidence(client: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "read it"}, image_part()]}]
    schema = Receipt.model_json_schema()
    schema["properties"]["items"] |= {"minItems": 1, "maxItems": 1}
    schema["$defs"]["Item"]["properties"]["price"] = {"anyOf": [{"const": 3.5}, {"type": "null"}]}
    raw = client.chat.completions.create(
        model="interlace", messages=messages, response_format=_form(schema), max_tokens=60
    )
    found = Receipt.model_validate_json(raw.choices[0].message.content or "")
    assert found.total == TOTAL and raw.model_extra is not None
    evidence = {item["path"]: item for item in raw.model_extra["evidence"]}
    [place] = evidence["/total"]["places"]
    assert place["page"] == 1 and place["text"] == TOTAL and 0 < evidence["/total"]["confidence"] <= 1
    left, right = place["bounds"]["top_left"]["x"], place["bounds"]["top_right"]["x"]
    assert 90 < left < right < 260 and 230 < place["bounds"]["top_left"]["y"] < 300
    [seen] = raw.model_extra["precontext"]
    assert seen["name"] == "ocr" and seen["part_id"] == place["part_id"]
    only = client.chat.completions.parse(model="interlace", messages=HI, response_format=Only, max_tokens=60)
    assert only.choices[0].message.parsed == Only(word="sea")


class Only(BaseModel):
    word: Literal["sea"]


def test_a_value_that_the_input_does_not_contain_is_marked(client: OpenAI) -> None:
    schema: Any = {"type": "object", "properties": {"ship": {"const": "Nautilus"}}, "required": ["ship"]}
    schema["additionalProperties"] = False
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "which ship"}, image_part()]}]
    answer = client.chat.completions.create(model="interlace", messages=messages, response_format=_form(schema))
    assert json.loads(answer.choices[0].message.content or "") == {"ship": "Nautilus"}
    assert answer.model_extra is not None
    [item] = answer.model_extra["evidence"]
    assert item["path"] == "/ship" and item["places"] is None and 0 <= item["confidence"] <= 1


def test_json_object(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="interlace", messages=HI, response_format={"type": "json_object"}, max_tokens=40
    )
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"enum": ["Oslo", "Rome"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "clock"}},
]


def test_tools(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="interlace", messages=HI, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "weather"}}
    )
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    [call] = choice.message.tool_calls or []
    assert call.type == "function" and call.function.name == "weather" and isinstance(call.function.arguments, str)
    assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
    chunks = list(
        client.chat.completions.create(
            model="interlace", messages=HI, tools=TOOLS, tool_choice="required", stream=True, max_tokens=60
        )
    )
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert deltas[0].index == 0 and deltas[0].id and deltas[0].function is not None
    assert not any(chunk.choices[0].delta.content for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    none = client.chat.completions.create(model="interlace", messages=HI, tools=TOOLS, tool_choice="none", max_tokens=4)
    assert none.choices[0].message.tool_calls is None and isinstance(none.choices[0].message.content, str)
    back: list[Any] = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    after = client.chat.completions.create(
        model="interlace", messages=back, tools=TOOLS, tool_choice="none", max_tokens=4
    )
    assert after.choices[0].finish_reason in ("stop", "length")


def test_several_files_and_earlier_turns(client: OpenAI) -> None:
    messages: list[Any] = [
        {"role": "user", "content": [image_part(), file_part(pdf(), "report.pdf")]},
        {"role": "assistant", "content": "a receipt and a report"},
        {"role": "user", "content": [{"type": "text", "text": "and this?"}, file_part(b"a,b\n1,2\n", "x.csv")]},
    ]
    answer = client.chat.completions.create(model="interlace", messages=messages, max_tokens=4)
    assert answer.model_extra is not None
    seen = answer.model_extra["precontext"]
    assert [item["name"] for item in seen] == ["ocr", "ocr", "ocr"] and [item["file"] for item in seen] == [0, 1, 2]
    assert seen[1]["result"]["total_pages"] == 2
    assert "sheet number 2" in seen[1]["result"]["sections"][1]["text"]
    assert seen[2]["result"] == {"extracted_text": "a,b\n1,2", "sections": [], "width": None, "height": None}


def test_errors_are_the_clients_exceptions(client: OpenAI, endpoint: Endpoint) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        OpenAI(base_url=endpoint.v1, api_key="wrong-key", max_retries=0).models.list()
    assert refused.value.code == "invalid_api_key" and refused.value.type == "authentication_error"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="interlace", messages=HI, temperature=3)
    assert bad.value.param == "temperature" and bad.value.body["message"].startswith("Field 'temperature': ")  # type: ignore[index]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-99", messages=HI)
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model="interlace", messages=[{"role": "user", "content": "long " * 3000}])
    assert long.value.param == "messages"


def test_async(endpoint: Endpoint) -> None:
    async def run() -> tuple[str, str]:
        async with AsyncOpenAI(base_url=endpoint.v1, api_key=endpoint.key, max_retries=0) as client:
            asked = [client.chat.completions.create(model="interlace", messages=HI, max_tokens=9) for _ in range(6)]
            answers = {(await answer).choices[0].message.content for answer in asyncio.as_completed(asked)}
            stream = await client.chat.completions.create(model="interlace", messages=HI, max_tokens=9, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            [same] = answers
            return same or "", text

    whole, streamed = asyncio.run(run())
    assert whole == streamed
