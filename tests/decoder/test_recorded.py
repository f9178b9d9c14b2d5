from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from decoder.compiled import compiling, layers_of
from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.fused import fuse_norms, fuse_products
from decoder.loops import LoopWatch, repeats
from decoder.passes import Turn
from decoder.sequence import Finish, Generation, SequenceRequest
from tests.decoder.test_engine import some_requests
from tests.decoder.tiles import TilesInTurn
from tests.decoder.tiny import save_tiny


def test_recorded_passes_write_the_same_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything of them but the graph and the kernel runs on CPU: several prompts in a pass, forced tokens, prompts
    that wait for others, and rows of filling, which touch nothing."""
    for module in ("model", "passes"):
        monkeypatch.setattr(f"decoder.{module}.READ_ROWS", 512)
    config = DecoderConfig(
        checkpoint=str(save_tiny(tmp_path, "llama")),
        dtype="float32",
        prompt_tokens=200,
        max_new_tokens=40,
        max_sequences=5,
    )
    schema = '{"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}'
    requests = [*some_requests(9), *some_requests(3, seed=1, schema=schema)]
    generations = []
    for recorded in (False, True):
        engine = Engine(config)
        engine.load()
        if recorded:
            engine._loaded.record_with(TilesInTurn, engine._cache, config.max_sequences)
        generations.append(engine.generate(requests))
        if recorded:
            assert [engine.generate([request])[0] for request in requests[::4]] == generations[1][::4]  # bits too
            assert cancelled_once_read(engine, requests[8:]) == generations[1][9:]
        engine.close()
    assert [g.tokens for g in generations[0]] == [g.tokens for g in generations[1]]


def cancelled_once_read(engine: Engine, requests: list[SequenceRequest]) -> list[Generation]:
    """The generations of all but the first, which is cancelled while its prompt is read."""
    stepper = engine._stepper
    read = stepper._read

    def read_and_cancel(pack: list[Turn]) -> None:
        read(pack)
        for sequence, _ in pack:
            if sequence.handle.request is requests[0]:
                sequence.handle.cancel()

    stepper._read = read_and_cancel  # type: ignore[method-assign]
    cancelled, *others = [engine.submit(request) for request in requests]
    found = [handle.result(60) for handle in others]
    assert cancelled.result(60).finish is Finish.CANCELLED and not cancelled.result().tokens
    assert not stepper.table.busy and engine._cache.free == engine._cache.places
    return found


def test_loops_of_many_texts_are_those_of_each() -> None:
    rng, watch, texts = np.random.default_rng(0), LoopWatch(6), [[7] for _ in range(4)]
    rows = np.array([5, 0, 3, 2])
    for row, text in zip(rows, texts, strict=True):
        watch.begin(int(row), text)
    found = 0
    for _ in range(120):
        tokens = np.array([text[-int(rng.integers(1, 1 + min(len(text), 12)))] for text in texts])
        tokens = np.where(rng.random(4) < 0.2, rng.integers(0, 50, 4), tokens)
        for text, token in zip(texts, tokens.tolist(), strict=True):
            text.append(token)
        loops = [repeats(text) is not None for text in texts]
        assert watch.push(rows, tokens).tolist() == loops
        found += sum(loops)
    assert found


def test_parts_of_one_product_are_those_of_each() -> None:
    parent = torch.nn.Module()
    for name, width in (("q_proj", 6), ("k_proj", 4), ("v_proj", 4)):
        setattr(parent, name, torch.nn.Linear(8, width))
    rows, names = torch.randn(3, 8), ("q_proj", "k_proj", "v_proj")
    before = [getattr(parent, name)(rows) for name in names]
    assert fuse_products(parent) == 1
    for name, expected in zip(names, before, strict=True):
        torch.testing.assert_close(getattr(parent, name)(rows), expected)


def test_what_cannot_be_compiled_runs_as_it_did(tiny_config: DecoderConfig) -> None:
    engine = Engine(tiny_config)
    engine.load()
    with pytest.warns(UserWarning, match="not compiled"):
        assert not engine._loaded.record_compiled(TilesInTurn, engine._cache, 3, backend="nobody's")
    layers = layers_of(engine._loaded._model, 2)
    assert all("forward" not in vars(module) for layer in layers for module in layer.modules())
    engine.close()


def test_layers_are_compiled_for_this_start_alone_where_nothing_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INTERLACE_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    with pytest.warns(UserWarning, match="not kept"), compiling([]):
        assert "TRITON_CACHE_DIR" not in os.environ  # its kernels, of layers that are not compiled too, go elsewhere


class OffsetRMSNorm(LlamaRMSNorm):
    """A norm that scales by one more than its weight, as some models do."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = super().forward(hidden)
        return normed + normed / self.weight


def test_norms_are_fused_where_that_changes_nothing() -> None:
    norms = torch.nn.ModuleList([LlamaRMSNorm(32), OffsetRMSNorm(32)])
    torch.nn.init.uniform_(norms[0].weight)
    rows = torch.randn(5, 32)
    before = [norm(rows) for norm in norms]
    fuse_norms(norms)
    assert ["forward" in vars(norm) for norm in norms] == [True, False]
    for norm, expected in zip(norms, before, strict=True):
        torch.testing.assert_close(norm(rows), expected)
