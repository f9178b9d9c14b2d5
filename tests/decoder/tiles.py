"""Attention of recorded passes where there is no triton."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from decoder.cache import KeyValueCache


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
        out = torch.zeros(1, query.shape[1], query.shape[2], values.shape[2], dtype=query.dtype)
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
