from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray import serve

from cluster.decoder_app import DecoderHandle, DecoderResources, application, application_name
from cluster.decoder_lease import ensure_decoder
from decoder.chat import (
    ChatEvent,
    ChatMessage,
    ChatRequest,
    ChatResult,
    ResponseFormat,
    TextDelta,
    Tool,
    ToolChoice,
)
from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.precontext import Precontext
from decoder.sequence import DecoderError, Finish, SequenceRequest, SoftSegment, TextSegment
from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.soft import SoftTokens
from encoders.base import FeatureSpan
from tests.decoder.pages import document
from tests.decoder.tiny import save_tiny

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DecoderConfig:
    folder = save_tiny(tmp_path_factory.mktemp("served"), "llama")
    return DecoderConfig(
        checkpoint=str(folder), dtype="float32", mode="both", prompt_tokens=400, max_new_tokens=100, prefill_chunk=32
    )


@pytest.fixture(scope="module")
def standing(ray_cluster: None, config: DecoderConfig) -> Iterator[DecoderConfig]:
    """A decoder that somebody else deployed before any of us came."""
    serve.start(proxy_location="Disabled")
    serve.run(application(config, DecoderResources()), name=application_name(config), route_prefix=None)
    yield config
    serve.delete(application_name(config))


def soft_requests(config: DecoderConfig, tokens: int) -> list[SequenceRequest]:
    """Two prompts around real soft tokens of a randomly initialised adapter."""
    torch.manual_seed(1)
    adapter = Adapter(AdapterConfig(task="ocr", d_encoder=120, d_model=64, embedding_scale=0.3)).eval()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(tokens * 8, 120)).astype(np.float16)
    half = tokens * 4
    spans = [FeatureSpan(0, 0, half), FeatureSpan(1, half, tokens * 8)]
    soft = adapter.adapt(features, spans, rng.random((2, 6)).astype(np.float32))
    assert soft.vectors.dtype == np.float16 and soft.vectors.shape == (tokens, 64)
    np.testing.assert_allclose(np.sqrt(np.mean(soft.vectors.astype(np.float32) ** 2)), 0.3, rtol=0.01)
    return [
        SequenceRequest(
            (TextSegment.of([3, 4, 5]), SoftSegment(vectors), TextSegment.of([6, 7])),
            max_new_tokens=8,
            first_logits=True,
        )
        for vectors in (soft.of(1, [0]), soft.of(1, [1]), soft.vectors)
    ]


def test_soft_tokens_give_the_same_logits_through_serve(standing: DecoderConfig) -> None:
    small, large = soft_requests(standing, 20), soft_requests(standing, 390)
    assert sum(s.vectors.nbytes for r in large for s in r.segments if isinstance(s, SoftSegment)) > 90_000
    engine = Engine(standing)
    engine.load()
    local = engine.generate([*small, *large])
    engine.close()
    with ensure_decoder(standing) as decoder:
        served = decoder.generate(small) + decoder.generate(large)
        again = asyncio.run(decoder.generate_async(small))
    assert served == local and again == local[:3]
    for ours, theirs in zip(local, served, strict=True):
        assert ours.first_logits is not None and theirs.first_logits is not None
        np.testing.assert_array_equal(ours.first_logits, theirs.first_logits)


def test_leases_share_one_application_and_the_last_ends_it(config: DecoderConfig) -> None:
    other = config.model_copy(update={"max_new_tokens": 90})
    name = application_name(other)
    assert name != application_name(config)
    assert name == application_name(other.model_copy(update={"threads": 2, "kv_cache_bytes": 1 << 28}))
    with ThreadPoolExecutor(2) as two_runs:
        first, second = two_runs.map(ensure_decoder, [other, other])
    assert first.handle == second.handle == pickle.loads(pickle.dumps(first.handle)) == DecoderHandle(name)
    first.release()
    first.release()
    request = SequenceRequest((TextSegment.of([5, 6, 7]),), max_new_tokens=4)
    assert second.handle.generate([request])[0].finish in (Finish.STOP, Finish.LENGTH)
    second.release()
    assert name not in serve.status().applications


def test_what_was_there_before_is_joined_and_left_alone(standing: DecoderConfig) -> None:
    with ensure_decoder(standing) as decoder:
        assert decoder.figures()["parameters"]
    assert serve.status().applications[application_name(standing)].status == "RUNNING"


def test_a_call_that_takes_too_long_is_given_up_and_leaves_the_engine(standing: DecoderConfig) -> None:
    schema = '{"type": "array", "items": {"type": "integer"}, "minItems": 40}'
    endless = SequenceRequest((TextSegment.of([5]),), schema=schema, max_new_tokens=450)
    with ensure_decoder(standing) as decoder:
        hurried = DecoderHandle(decoder.application, timeout=0.2)
        with pytest.raises(TimeoutError, match="no answer within"):
            hurried.generate([endless] * 12)
        deadline = time.monotonic() + 30
        while decoder.figures()["running"] + decoder.figures()["waiting"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert decoder.figures()["running"] == decoder.figures()["waiting"] == 0


def test_a_chat_streams_what_it_answers_whole(standing: DecoderConfig) -> None:
    request = ChatRequest((ChatMessage("user", "What is the total amount?"),), max_tokens=60, top_logprobs=1)

    async def ask(decoder: DecoderHandle) -> tuple[ChatResult, list[ChatEvent]]:
        return await decoder.chat(request), [event async for event in decoder.chat_stream(request)]

    with ensure_decoder(standing) as decoder:
        whole, events = asyncio.run(ask(decoder))
    *deltas, result = events
    assert isinstance(result, ChatResult) and all(isinstance(delta, TextDelta) for delta in deltas)
    assert "".join(delta.text for delta in deltas) == result.text == whole.text  # type: ignore[union-attr]
    assert [p for d in deltas for p in d.logprobs] == list(whole.logprobs or ()) == list(result.logprobs or ())  # type: ignore[union-attr]
    assert whole.usage.completion_tokens == len(whole.logprobs or ()) and whole.usage.prompt_tokens > 5


def test_a_chat_reads_soft_tokens_inline_and_by_reference(standing: DecoderConfig) -> None:
    vectors = np.random.default_rng(0).normal(0, 0.3, (800, 64)).astype(np.float16)
    few = SoftTokens(vectors[:5], (FeatureSpan(0, 0, 3), FeatureSpan(1, 3, 5)))
    many = SoftTokens(vectors, few.spans)  # no line has the rest, but it travels
    assert few.vectors.nbytes < 90_000 < many.vectors.nbytes

    def request(soft: SoftTokens | None) -> ChatRequest:
        seen = Precontext("ocr", document(["Sea Ltd", "TOTAL 12.50"]), soft=soft)
        return ChatRequest((ChatMessage("user", "Total?"),), (seen,), max_tokens=20)

    async def ask(decoder: DecoderHandle, soft: SoftTokens | None) -> tuple[ChatResult, ChatEvent]:
        return await decoder.chat(request(soft)), [event async for event in decoder.chat_stream(request(soft))][-1]

    with ensure_decoder(standing) as decoder:
        inline, streamed = asyncio.run(ask(decoder, few))
        referred, streamed_too = asyncio.run(ask(decoder, many))
        text, _ = asyncio.run(ask(decoder, None))
    assert inline.text == referred.text == streamed.text == streamed_too.text  # type: ignore[union-attr]
    assert inline.text != text.text
    assert inline.usage.prompt_tokens == referred.usage.prompt_tokens == text.usage.prompt_tokens + 5


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_work(standing: DecoderConfig, stream: bool) -> None:
    endless = ChatRequest(
        (ChatMessage("user", "Count."),),
        response=ResponseFormat.json_schema('{"type": "array", "items": {"type": "integer"}, "minItems": 60}'),
        max_tokens=400,
    )

    async def leave(decoder: DecoderHandle) -> dict[str, Any]:
        before = await decoder.figures_async()
        if stream:
            events = decoder.chat_stream(endless)
            await anext(events)
            await events.aclose()  # type: ignore[attr-defined]
        else:
            task = asyncio.ensure_future(decoder.chat(endless))
            while not (await decoder.figures_async())["running"]:
                await asyncio.sleep(0.01)
            task.cancel()
        figures = before
        while figures["cancelled"] == before["cancelled"] or figures["running"]:
            figures = await asyncio.wait_for(decoder.figures_async(), 30)
        written = figures["generated_tokens"]
        assert (await decoder.figures_async())["generated_tokens"] == written  # nobody works for it any more
        return figures

    with ensure_decoder(standing) as decoder:
        assert asyncio.run(leave(decoder))["kv_bytes_used"] == 0


def test_what_cannot_be_asked_says_which_field(standing: DecoderConfig) -> None:
    user = ChatMessage("user", "Count.")
    long = ResponseFormat.json_schema('{"type": "string", "minLength": 300}')
    cases = [
        ("messages", ChatRequest((ChatMessage("user", "many words " * 600),))),
        ("max_tokens", ChatRequest((user,), response=long, max_tokens=10)),
        ("response_format", ChatRequest((user,), response=ResponseFormat.json_schema('{"type": 5}'))),
        ("tool_choice", ChatRequest((user,), tool_choice=ToolChoice.named("f"))),
        ("tools", ChatRequest((user,), tools=(Tool("f", "", "["),), tool_choice=ToolChoice.required())),
    ]

    async def errors(decoder: DecoderHandle) -> list[tuple[str, str | None]]:
        found = []
        for field, request in cases:
            with pytest.raises(DecoderError) as whole:
                await decoder.chat(request)
            with pytest.raises(DecoderError) as streamed:
                await anext(decoder.chat_stream(request))
            assert str(whole.value) == str(streamed.value) and type(whole.value) is DecoderError
            found.append((field, whole.value.field))
        return found

    with ensure_decoder(standing) as decoder:
        for field, said in asyncio.run(errors(decoder)):
            assert said == field


@pytest.mark.full  # through the endpoint a decoder dies in tests/serving/test_replicas.py
def test_a_replica_that_dies_is_asked_again(standing: DecoderConfig) -> None:
    request = SequenceRequest((TextSegment.of([5, 6, 7]),), max_new_tokens=6)
    with ensure_decoder(standing) as decoder:
        before = decoder.generate([request])
        for actor in ray.util.list_named_actors(all_namespaces=True):
            if actor["namespace"] == "serve" and decoder.application in actor["name"]:
                ray.kill(ray.get_actor(actor["name"], namespace="serve"), no_restart=True)
        assert decoder.generate([request]) == before


def test_folders_are_not_part_of_the_name(config: DecoderConfig, tmp_path: Path) -> None:
    same = config.model_copy(update={"checkpoint": str(save_tiny(tmp_path, "llama"))})
    assert application_name(same) == application_name(config)
