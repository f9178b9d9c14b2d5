"""Attention over the cache: sequences of any length in one pack, each seeing only itself.

A pack is one flat row of tokens of several sequences, so no padding is computed. `transformers` calls the function
registered here instead of its own; it stores the keys and values of every span in that sequence's range and attends
span by span over exactly the keys that exist. On CPU this is what makes a token's result independent of its batch:
a padded, batched attention sums in another order for another padding. On CUDA single-token spans are batched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from decoder.cache import KeyValueCache
from decoder.sequence import DecoderError

ATTENTION = "interlace_cache"
_active = threading.local()


@dataclass(frozen=True, slots=True)
class Span:
    """Rows [start, stop) of a pack: tokens of the sequence whose range of the cache begins at ``base``, from
    ``position`` of that sequence on.

    ``base`` None is filling: nothing is stored, and what comes out is not read.
    """

    base: int | None
    start: int
    stop: int
    position: int


class Attending(Protocol):
    """What stands behind the registered function during one forward pass."""

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """query [1, heads, t, d], key and value [1, kv_heads, t, d] to the attended values [1, heads, t, d]."""


class ShapeProbe:
    """Learns the shape of each layer's keys and values from one forward pass."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[int, int, int]] = {}  # layer -> kv heads, key width, value width
        self.group = 1  # most query heads that share a key head

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """Notes the shapes; the values it returns only have the right shape."""
        self.layers[layer] = (key.shape[1], key.shape[3], value.shape[3])
        self.group = max(self.group, query.shape[1] // key.shape[1])
        return value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)


class CachedAttention:
    """Attends the spans of one forward pass over a cache, in which it stores their keys and values."""

    def __init__(self, cache: KeyValueCache, spans: Sequence[Span]) -> None:
        self._cache, self._spans = cache, spans
        device = next(iter(cache.keys.values())).device
        self._batched = device.type == "cuda" and len(spans) > 1 and all(s.stop - s.start == 1 for s in spans)
        self._masks: dict[tuple[int, int | None], torch.Tensor | None] = {}
        held = [(s.base + s.position, s.stop - s.start) for s in spans if s.base is not None]
        self._places = torch.tensor([start + i for start, count in held for i in range(count)], device=device)

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """Store the new keys and values, attend every span over its own sequence."""
        if self._batched:
            return self._attend_batched(layer, query, key, value, scale, window)
        keys, values = self._cache.keys[layer][None], self._cache.values[layer][None]
        keys[0].index_copy_(1, self._places, key[0, :, : len(self._places)])
        values[0].index_copy_(1, self._places, value[0, :, : len(self._places)])
        grouped = query.shape[1] != key.shape[1]
        pieces = []
        for index, span in enumerate(self._spans):
            if span.base is None:  # filling, always last
                pieces.append(torch.zeros_like(value[:, :1, span.start : span.stop]).expand(-1, query.shape[1], -1, -1))
                continue
            first = span.base + (max(0, span.position - window + 1) if window else 0)
            end = span.base + span.position + span.stop - span.start
            piece = scaled_dot_product_attention(
                query[:, :, span.start : span.stop].contiguous(),
                keys[:, :, first:end],
                values[:, :, first:end],
                attn_mask=self._mask(index, window, query.device),
                scale=scale,
                enable_gqa=grouped,
            )
            pieces.append(piece)
        return torch.cat(pieces, dim=2)

    def _mask(self, index: int, window: int | None, device: torch.device) -> torch.Tensor | None:
        """`_causal` of a span, made once for all layers."""
        if (index, window) not in self._masks:
            self._masks[index, window] = _causal(self._spans[index], window, device)
        return self._masks[index, window]

    def _attend_batched(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """One token of each of many sequences at once, over the longest of them."""
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        spans = [(span.start, span.base, span.position) for span in self._spans if span.base is not None]
        rows, bases, positions = torch.tensor(spans, device=query.device).unbind(1)
        keys[:, bases + positions] = key[0][:, rows]
        values[:, bases + positions] = value[0][:, rows]
        longest = max(position for _, _, position in spans) + 1
        places = torch.arange(longest, device=query.device)
        seen = places[None] <= positions[:, None]
        if window:
            seen &= places[None] > positions[:, None] - window
        held = (bases[:, None] + places[None]).clamp(max=self._cache.places - 1)
        attended = scaled_dot_product_attention(
            query[0].transpose(0, 1)[rows].unsqueeze(2),
            keys[:, held].transpose(0, 1),
            values[:, held].transpose(0, 1),
            attn_mask=seen[:, None, None],
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        out = torch.zeros(*query.shape[:3], value.shape[3], dtype=query.dtype, device=query.device)
        out[0, :, rows] = attended.squeeze(2).transpose(0, 1)
        return out


def _causal(span: Span, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which keys, from the first that any may see, each row of the span may see; None when a single row sees all."""
    first = max(0, span.position - window + 1) if window else 0
    length = span.stop - span.start
    if length == 1:
        return None
    rows = torch.arange(span.position, span.position + length, device=device)[:, None]
    places = torch.arange(first, span.position + length, device=device)[None]
    seen = places <= rows
    return seen & (places > rows - window) if window else seen


@contextmanager
def attending(through: Attending) -> Iterator[None]:
    """Forward passes of this thread attend through ``through`` while the block runs."""
    _active.through, _active.layers = through, count()
    try:
        yield
    finally:
        del _active.through, _active.layers


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    for name in ("softcap", "s_aux", "position_bias"):
        if more.get(name) is not None:
            raise DecoderError(f"{type(module).__name__} needs {name}, which this engine's attention does not have")
    if torch.compiler.is_compiling():
        return _attend_next(query, key, value, scaling, sliding_window), None
    layer: Any = module.layer_idx
    attended = _active.through.attend(layer, query, key, value, scaling, sliding_window)
    return attended.transpose(1, 2).contiguous(), None


@torch.library.custom_op(
    "interlace::attend_next",
    mutates_args=(),
    schema="(Tensor query, Tensor key, Tensor value, float? scale, int? window) -> Tensor",
)
def _attend_next(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None, window: int | None
) -> torch.Tensor:
    """`_attention` as compiled layers call it, which know nothing of the cache and are one code for all layers: it is
    the next one's turn. To [1, t, heads, d]."""
    attended = _active.through.attend(next(_active.layers), query, key, value, scale, window)
    return attended.transpose(1, 2).contiguous()


@_attend_next.register_fake
def _(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: float | None) -> torch.Tensor:
    return query.new_empty(1, query.shape[2], query.shape[1], value.shape[3])


AttentionInterface.register(ATTENTION, _attention)
