"""What the endpoint asks of the engine: text as it comes, stops, seeds, prefixes, places, and no more than that."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.loops import doubtful, repeats
from decoder.prefixes import block_names
from decoder.rows import Lay, PackedLinear, alike_rows, as_stored, inputs_first
from decoder.sequence import (
    DecoderError,
    Delta,
    Finish,
    Overloaded,
    Priority,
    Sampling,
    SequenceRequest,
    SoftSegment,
    TextSegment,
)
from decoder.text_stream import TextStream
from tests.decoder.test_engine import some_requests

HOT = Sampling(temperature=1.5, seed=7)
LONG = '{"type": "array", "items": {"type": "integer"}, "minItems": 60}'


def streamed(engine: Engine, request: SequenceRequest) -> tuple[list[Delta], str]:
    deltas: list[Delta] = []
    generation = engine.submit(request, deltas.append).result(60)
    assert tuple(token for delta in deltas for token in delta.tokens) == generation.tokens
    return deltas, generation.text


def test_deltas_are_the_text_in_whole_characters(tiny_engine: Engine) -> None:
    for request in some_requests(6, seed=4):
        deltas, text = streamed(tiny_engine, replace(request, sampling=HOT, max_new_tokens=40))
        assert len(deltas) > 3 and "".join(delta.text for delta in deltas) == text


@pytest.mark.parametrize("length", [1, 3])
def test_text_ends_before_a_stop_sequence_and_none_of_it_is_shown(tiny_engine: Engine, length: int) -> None:
    request = replace(some_requests(1, seed=9)[0], sampling=HOT, max_new_tokens=60)
    whole = tiny_engine.generate([request])[0].text
    stop = whole[20 : 20 + length]
    deltas, text = streamed(tiny_engine, replace(request, stop=(stop, "never written")))
    assert text == whole[: whole.index(stop)] == "".join(delta.text for delta in deltas)
    stopped = tiny_engine.generate([replace(request, stop=(stop,))])[0]
    assert stopped.finish is Finish.STOP and len(stopped.tokens) < 60


def test_draws_depend_on_the_seed_and_on_nothing_else(tiny_engine: Engine) -> None:
    requests = [replace(request, sampling=HOT) for request in some_requests(8, seed=2)]
    alone = [tiny_engine.generate([request])[0] for request in requests]
    assert alone == tiny_engine.generate(requests)
    reseeded = tiny_engine.generate([replace(request, sampling=replace(HOT, seed=8)) for request in requests])
    assert all(one.tokens != other.tokens for one, other in zip(alone, reseeded, strict=True))
    sure = tiny_engine.generate([replace(request, sampling=replace(HOT, top_p=0.0)) for request in requests])
    assert [g.tokens[:1] for g in sure] == [g.tokens[:1] for g in tiny_engine.generate(some_requests(8, seed=2))]


def test_a_penalty_keeps_tokens_from_coming_again(tiny_engine: Engine) -> None:
    request = replace(some_requests(1, seed=3)[0], sampling=Sampling(presence_penalty=100.0), max_new_tokens=40)
    tokens = tiny_engine.generate([request])[0].tokens
    assert len(set(tokens)) == len(tokens) > 10


def test_alternatives_are_the_likeliest_tokens(tiny_engine: Engine) -> None:
    generation = tiny_engine.generate([replace(some_requests(1)[0], top_logprobs=3)])[0]
    for token, logprob, others in zip(generation.tokens, generation.logprobs, generation.alternatives, strict=True):
        assert len(others) == 3 and others[0] == (token, logprob)
        assert [p for _, p in others] == sorted((p for _, p in others), reverse=True)


@pytest.mark.parametrize("priority", [Priority.BATCH, Priority.ONLINE])
def test_a_beginning_that_comes_again_is_not_read_again(tiny_config: DecoderConfig, priority: Priority) -> None:
    rng = np.random.default_rng(1)
    system = rng.integers(3, 500, 45).tolist()
    ends = [rng.integers(3, 500, n).tolist() for n in (1, 20, 70)]
    requests = [
        SequenceRequest((TextSegment.of([*system, *end]),), shared=45, max_new_tokens=12, priority=priority)
        for end in ends
    ]
    engine = Engine(tiny_config)
    engine.load()
    first = [engine.generate([request])[0] for request in requests]
    again = engine.generate(requests)
    fresh = Engine(tiny_config.model_copy(update={"prefix_cache_bytes": 0}))
    fresh.load()
    assert first == again == fresh.generate(requests)  # to the last bit: logprobs are compared too
    assert [g.cached_tokens for g in first] == [0, 45, 45]
    assert [g.cached_tokens for g in again] == ([45, 45, 45] if priority == Priority.BATCH else [45, 45, 45 + 64])
    figures = engine.load_figures
    assert figures["cached_prompt_tokens"] == sum(g.cached_tokens for g in [*first, *again])
    assert 0 < figures["prefix_bytes"] <= tiny_config.prefix_cache_bytes
    engine.close()
    fresh.close()


def test_soft_tokens_that_come_again_are_not_read_again(tiny_config: DecoderConfig) -> None:
    rng = np.random.default_rng(2)
    soft = rng.normal(0, 0.3, (2, 60, 64)).astype(np.float16)
    begin, ends = rng.integers(3, 500, 20).tolist(), rng.integers(3, 500, (2, 25)).tolist()
    requests = [
        SequenceRequest(
            (TextSegment.of(begin), SoftSegment(vectors), TextSegment.of(end), *more),
            shared=20,
            max_new_tokens=12,
            priority=Priority.ONLINE,
        )
        for vectors in soft
        for end, more in zip(ends, [(), (SoftSegment(soft[0]), TextSegment.of(begin))], strict=True)
    ]
    engine = Engine(tiny_config)
    engine.load()
    known = [engine.generate([request])[0] for request in requests]
    fresh = Engine(tiny_config.model_copy(update={"prefix_cache_bytes": 0}))
    fresh.load()
    assert known == fresh.generate(requests)
    assert [g.cached_tokens for g in known] == [0, 52, 20, 52]  # 32 of 60 soft tokens are a whole chunk
    engine.close()
    fresh.close()


def test_blocks_end_at_the_shared_beginning_and_name_all_before_them() -> None:
    def request(*tokens: int) -> SequenceRequest:
        return SequenceRequest((TextSegment.of(tokens),), shared=5)

    one, other = block_names(request(*range(20)), 8), block_names(request(0, *range(2, 21)), 8)
    assert [(start, stop) for start, stop, _ in one] == [(0, 5), (5, 13)]  # the last token is read anew
    assert not {name for *_, name in one} & {name for *_, name in other}


def test_too_many_online_requests_are_turned_away_and_batch_work_waits(tiny_config: DecoderConfig) -> None:
    engine = Engine(tiny_config.model_copy(update={"max_sequences": 1, "max_waiting": 2}))
    engine.load()
    running = threading.Event()
    endless = SequenceRequest((TextSegment.of([9]),), schema=LONG, max_new_tokens=300, priority=Priority.ONLINE)
    handles = [engine.submit(endless, lambda _: running.set())]
    assert running.wait(30)
    handles += [engine.submit(endless) for _ in range(2)]
    with pytest.raises(Overloaded, match="2 requests wait"):
        engine.submit(endless)
    handles += [engine.submit(replace(endless, priority=Priority.BATCH)) for _ in range(5)]
    assert engine.load_figures["waiting"] == 7 and engine.load_figures["waiting_online"] == 2
    for handle in handles:
        handle.cancel()
    assert {handle.result(30).finish for handle in handles} == {Finish.CANCELLED}
    figures = engine.load_figures
    assert figures["cancelled"] == 8 and figures["overloaded"] == 1 and figures["kv_bytes_used"] == 0
    engine.close()


def test_what_never_fits_is_refused_before_it_waits(tiny_engine: Engine) -> None:
    before = tiny_engine.load_figures["refused"]
    with pytest.raises(DecoderError, match="do not fit the window") as refusal:
        tiny_engine.submit(SequenceRequest((TextSegment.of([5] * 600),)))
    assert refusal.value.field == "messages" and tiny_engine.load_figures["refused"] == before + 1


def test_what_may_be_cut_as_a_loop_is_held_back() -> None:
    sentence = list(range(10))
    text = [99, *sentence, *sentence]
    for length in range(1, len(text)):
        assert len(text[:length]) - doubtful(text[:length]) <= 11  # nothing of the second saying
    assert repeats(text) == 10 and doubtful([1, 2, 3, 4]) == 0


class Bytes:
    """A tokenizer whose tokens are bytes."""

    def decode(self, tokens: list[int], **_: bool) -> str:
        return bytes(tokens).decode("utf-8", "replace")


def test_a_character_waits_for_its_bytes_and_a_stop_for_its_end() -> None:
    stream, shown = TextStream(Bytes(), ("END",)), []
    tokens = list("né E日ENDx".encode())
    for count in range(1, len(tokens) + 1):
        shown.append(stream.push(tokens[:count]))
    assert "".join(shown) == stream.text == "né E日" and stream.stopped
    assert shown[:5] == ["n", "", "é", " ", ""]


@pytest.mark.parametrize("lay", [PackedLinear, inputs_first, as_stored])
def test_rows_that_are_alike_are_counted_as_products_say(lay: Lay) -> None:
    linear = torch.nn.Linear(32, 48).requires_grad_(False)
    rows, random = alike_rows([(linear.weight, 64)], lay), torch.randn(64, 32)
    truth = linear(random)
    laid = lay(linear)
    assert torch.allclose(laid(random), truth, atol=1e-5)
    for count in range(2, rows + 1):
        assert torch.equal(laid(random[:count])[:2], laid(random[:2]))


@pytest.mark.parametrize("sampling", [Sampling(1.0, seed=-1), Sampling(1.0, seed=1 << 80), Sampling(5e-324, top_p=0.9)])
def test_any_seed_and_any_temperature_draw(tiny_engine: Engine, sampling: Sampling) -> None:
    request = replace(some_requests(1, seed=3)[0], sampling=sampling)
    generation = tiny_engine.submit(request).result(30)
    assert generation.failure is None and tiny_engine.alive
    if sampling.temperature < 1:
        assert generation.tokens[:1] == tiny_engine.generate([replace(request, sampling=Sampling())])[0].tokens[:1]


def test_a_reader_that_is_gone_ends_its_own_sequence_only(tiny_engine: Engine) -> None:
    def gone(delta: Delta) -> None:
        raise RuntimeError("the event loop is closed")

    one, other = some_requests(2, seed=3)
    alone = tiny_engine.generate([other])[0]
    broken = tiny_engine.submit(replace(one, sampling=HOT, max_new_tokens=100), gone)
    assert tiny_engine.generate([other])[0] == alone
    assert broken.result(30).finish is Finish.CANCELLED and tiny_engine.alive


def test_a_sequence_that_cannot_begin_fails_alone(tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    free = tiny_engine.load_figures["kv_bytes_used"]
    with monkeypatch.context() as patch:
        patch.setattr(tiny_engine, "_reuse", lambda sequence: 1 / 0)
        failed = tiny_engine.submit(some_requests(1)[0]).result(30)
    assert failed.finish is Finish.FAILED and failed.failure is not None and "ZeroDivision" in failed.failure.message
    assert tiny_engine.load_figures["kv_bytes_used"] == free
    assert tiny_engine.generate(some_requests(1))[0].failure is None
