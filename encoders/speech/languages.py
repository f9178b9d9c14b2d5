"""Which language a window is in: whisper's decoder behind its start token alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import gelu, scaled_dot_product_attention


class LanguageStep:
    """One step of one token needs no keys and values of all frames, which are as much to compute as for a whole text:
    a head's query times its key projection is a query of the encoder's output itself, and its value projection may as
    well follow the mean over frames. ``network`` is a transformers `WhisperForConditionalGeneration`."""

    def __init__(self, network: Any, start: int, languages: Sequence[int]) -> None:
        """``start`` and ``languages`` are ids of tokens."""
        self._decoder, self._heads = network.model.decoder, network.config.decoder_attention_heads
        weight = network.proj_out.weight
        self._ids = torch.tensor([*languages], dtype=torch.int64, device=weight.device)
        self._start = torch.tensor([start], device=weight.device)
        self._projection = weight.detach()[self._ids]

    @torch.inference_mode()
    def __call__(self, encoded: torch.Tensor) -> torch.Tensor:
        """Probabilities [n, languages] of windows [n, frames, d]; nothing waits for them here."""
        decoder = self._decoder
        hidden = decoder.embed_tokens(self._start) + decoder.embed_positions.weight[:1]
        hidden = hidden.expand(len(encoded), -1)
        for layer in decoder.layers:
            own = layer.self_attn  # the only token sees nothing but itself
            hidden = hidden + own.out_proj(own.v_proj(layer.self_attn_layer_norm(hidden)))
            hidden = hidden + self._heard(layer.encoder_attn, layer.encoder_attn_layer_norm(hidden), encoded)
            hidden = hidden + layer.fc2(gelu(layer.fc1(layer.final_layer_norm(hidden))))
        return torch.softmax((decoder.layer_norm(hidden) @ self._projection.T).float(), -1)

    def _heard(self, cross: Any, hidden: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        keys = cross.k_proj.weight.unflatten(0, (self._heads, -1))  # [heads, width, d], and no bias
        values = cross.v_proj.weight.unflatten(0, (self._heads, -1))
        query = cross.q_proj(hidden).unflatten(-1, (self._heads, -1))
        asked = torch.einsum("nhw,hwd->nhd", query, keys)[:, None]
        frames = encoded[:, None]
        mean = scaled_dot_product_attention(asked, frames, frames, scale=keys.shape[1] ** -0.5)[:, 0]
        heard = torch.einsum("nhd,hwd->nhw", mean, values).flatten(1) + cross.v_proj.bias
        found: torch.Tensor = cross.out_proj(heard)
        return found
