from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from decoder.attention import Span
from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.sequence import DecoderError, Finish, Priority, SequenceRequest, SoftSegment, TextSegment
from encoders.failures import FailureCategory
from tests.decoder.tiny import save_tiny


def some_requests(count: int, seed: int = 0, **more: object) -> list[SequenceRequest]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 150, count)
    return [
        SequenceRequest((TextSegment.of(rng.integers(3, 500, n).tolist()),), max_new_tokens=24, **more)  # type: ignore[arg-type]
        for n in lengths
    ]


def test_tokens_and_probabilities_do_not_depend_on_the_batch(tiny_engine: Engine) -> None:
    requests = some_requests(20)
    alone = [tiny_engine.generate([request])[0] for request in requests]
    together = tiny_engine.generate(requests)
    backwards = tiny_engine.generate(requests[::-1])[::-1]
    assert alone == together == backwards  # to the last bit: logprobs are compared too
    assert {g.finish for g in alone} <= {Finish.STOP, Finish.LENGTH}
    assert len({g.tokens for g in alone}) > 10  # the model does read its prompts


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mistral", "gpt_neox"])
def test_any_causal_model_writes_what_transformers_writes(kind: str, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, kind)
    config = DecoderConfig(
        checkpoint=str(folder), dtype="float32", prompt_tokens=200, max_new_tokens=20, prefill_chunk=16
    )
    engine = Engine(config)
    engine.load()
    requests = some_requests(4, seed=3)
    generations = engine.generate(requests)
    engine.close()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for request, generation in zip(requests, generations, strict=True):
        ids = torch.tensor(request.segments[0].tokens[None].astype(np.int64))  # type: ignore[union-attr]
        reference = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, pad_token_id=2
        )[0, ids.shape[1] :].tolist()
        assert list(generation.tokens) == [token for token in reference if token != 2]


def test_soft_tokens_that_equal_embeddings_read_as_their_text(tiny_engine: Engine) -> None:
    tokens = [40, 41, 42, 43]
    as_text = SequenceRequest((TextSegment.of([5, 6, *tokens, 7]),), max_new_tokens=4, first_logits=True)
    vectors = tiny_engine.embeddings(tokens).astype(np.float16)
    as_soft = SequenceRequest(
        (TextSegment.of([5, 6]), SoftSegment(vectors), TextSegment.of([7])), max_new_tokens=4, first_logits=True
    )
    one, two = tiny_engine.generate([as_text, as_soft])
    assert one.first_logits is not None and two.first_logits is not None
    np.testing.assert_allclose(one.first_logits, two.first_logits, atol=0.05)
    assert one.prompt_tokens == two.prompt_tokens == 7


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (SequenceRequest(()), "empty"),
        (SequenceRequest((TextSegment.of([5] * 600),)), "do not fit the window"),
        (SequenceRequest((SoftSegment(np.zeros((3, 32), np.float16)),)), "another decoder"),
        (SequenceRequest((SoftSegment(np.full((3, 64), np.nan, np.float16)),)), "not finite"),
        (SequenceRequest((TextSegment.of([5]),), schema="{"), "not JSON"),
    ],
)
def test_a_bad_request_fails_alone(tiny_engine: Engine, request_: SequenceRequest, says: str) -> None:
    good = some_requests(1)[0]
    before, bad, after = tiny_engine.generate([good, request_, good])
    assert bad.finish is Finish.FAILED and bad.failure is not None
    assert bad.failure.category is FailureCategory.UNSUPPORTED and says in bad.failure.message
    assert before == after and before.failure is None


def test_memory_that_runs_out_halves_how_many_run_and_costs_nobody_the_answer(
    tiny_engine: Engine, tiny_config: DecoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = '{"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}'
    requests = [*some_requests(2, schema=schema), *some_requests(6, seed=7)]
    expected = tiny_engine.generate(requests)
    engine = Engine(tiny_config)
    engine.load()
    try:
        assert engine._model is not None
        forward, packs = engine._model.forward, list[int]()

        def bounded(embeddings: torch.Tensor, spans: list[Span], *rest: object, **more: object) -> torch.Tensor:
            packs.append(len(spans))
            if len(spans) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(embeddings, spans, *rest, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(engine._model, "forward", bounded)
        assert engine.generate(requests) == expected
        assert max(packs) > 2 and engine._most <= 2
        failed = len([count for count in packs if count > 2])
        assert engine.generate(requests) == expected and len([count for count in packs if count > 2]) == failed
        monkeypatch.setattr(engine._model, "forward", lambda *_, **__: (_ for _ in ()).throw(MemoryError("none")))
        [alone] = engine.generate(requests[:1])  # one that does not fit by itself is an answer that failed
        assert alone.finish is Finish.FAILED and engine.alive
    finally:
        engine.close()


def test_a_cancelled_sequence_leaves_and_the_others_go_on(tiny_engine: Engine) -> None:
    schema = '{"type": "array", "items": {"type": "integer"}, "minItems": 60}'
    seen = threading.Event()
    endless = SequenceRequest((TextSegment.of([9, 9]),), schema=schema, max_new_tokens=450)
    handle = tiny_engine.submit(endless, on_delta=lambda delta: seen.set())
    waiting = tiny_engine.submit(some_requests(1)[0])
    assert seen.wait(30)
    handle.cancel()
    cancelled = handle.result(30)
    assert cancelled.finish is Finish.CANCELLED and 0 < len(cancelled.tokens) < 450
    assert waiting.result(30).finish in (Finish.STOP, Finish.LENGTH)
    assert tiny_engine.load_figures["running"] == 0


def test_online_requests_overtake_batch_work(tiny_config: DecoderConfig) -> None:
    engine = Engine(tiny_config.model_copy(update={"max_sequences": 2, "reserved_online": 1}))
    engine.load()
    order: list[str] = []
    batch = [engine.submit(request) for request in some_requests(6)]
    online = engine.submit(some_requests(1, priority=Priority.ONLINE)[0])
    for name, handle in [*((f"batch {i}", h) for i, h in enumerate(batch)), ("online", online)]:
        handle.future.add_done_callback(lambda _, name=name: order.append(name))
    for handle in [*batch, online]:
        handle.result(60)
    engine.close()
    assert order.index("online") <= 2  # one place is kept for it while batch work fills the other


def test_the_cache_stays_within_its_bytes(tiny_config: DecoderConfig) -> None:
    sequence = 2 * 2 * 2 * 16 * 4 * tiny_config.sequence_tokens  # layers, keys and values, heads, width, float32
    engine = Engine(tiny_config.model_copy(update={"kv_cache_bytes": 3 * sequence + 1}))
    engine.load()
    used = [0]
    requests = [replace(request, max_new_tokens=160) for request in some_requests(9)]
    handles = [engine.submit(r, lambda _: used.append(engine.load_figures["kv_bytes_used"])) for r in requests]
    assert all(handle.result(60).finish in (Finish.STOP, Finish.LENGTH) for handle in handles)
    assert sequence < max(used) <= 3 * sequence and engine.load_figures["kv_bytes_used"] == 0
    engine.close()
    with pytest.raises(DecoderError, match="kv_cache_bytes"):
        Engine(tiny_config.model_copy(update={"kv_cache_bytes": 1 << 16})).load()


def test_closing_ends_those_who_wait(tiny_config: DecoderConfig) -> None:
    engine = Engine(tiny_config)
    engine.load()
    handles = [engine.submit(request) for request in some_requests(12)]
    held = [weakref.ref(engine._model), weakref.ref(engine._cache), weakref.ref(engine._stepper)]
    engine.close()
    assert [one() for one in held] == [None] * 3  # its memory is free, and not when garbage is collected next
    assert all(handle.result(10).finish is not Finish.FAILED for handle in handles)
    with pytest.raises(DecoderError, match="not loaded"):
        engine.submit(some_requests(1)[0])
