from __future__ import annotations

from pathlib import Path

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from decoder.cache import KeyValueCache
from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.recorded import fuse_norms
from tests.decoder.test_engine import some_requests
from tests.decoder.tiny import save_tiny


class TilesInTurn:
    """What `decoder.tiled_attention` does on CUDA, tile by tile in torch."""

    def __init__(self, cache: KeyValueCache, places: torch.Tensor, tiles: torch.Tensor, tile_rows: int) -> None:
        self._cache, self._places, self._tiles, self._most = cache, places, tiles, tile_rows

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None,
    ) -> torch.Tensor:
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        keys.index_copy_(1, self._places, key[0])
        values.index_copy_(1, self._places, value[0])
        out = torch.zeros(1, query.shape[1], query.shape[2], values.shape[2])
        for first, count, base, position in self._tiles.T.tolist():
            assert count <= self._most
            seen = torch.arange(position + count)[None] <= torch.arange(position, position + count)[:, None]
            held = slice(base, base + position + count)
            out[:, :, first : first + count] = scaled_dot_product_attention(
                query[:, :, first : first + count],
                keys[None, :, held],
                values[None, :, held],
                attn_mask=seen,
                scale=scale,
                enable_gqa=True,
            )
        return out


def test_recorded_passes_write_the_same_tokens(tmp_path: Path) -> None:
    """Everything of them but the graph and the kernel runs on CPU: several prompts in a pass, forced tokens, prompts
    that wait for others, and rows of filling, which touch nothing."""
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
        engine.close()
    assert [g.tokens for g in generations[0]] == [g.tokens for g in generations[1]]


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
