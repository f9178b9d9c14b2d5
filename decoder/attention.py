"""Attention over a slot cache: sequences of any length in one pack, each seeing only itself.

A pack is one flat row of tokens of several sequences, so no padding is computed. `transformers` calls the function
registered here instead of its own; it stores the keys and values of every span in that sequence's slot and attends
span by span over exactly the keys that exist. On CPU this is what makes a token's result independent of its batch:
a padded, batched attention sums in another order for another padding. On CUDA single-token spans are batched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from decoder.sequence import DecoderError

ATTENTION = "interlace_slots"
_active = threading.local()


@dataclass(frozen=True, slots=True)
class Span:
    """Rows [start, stop) of a pack: tokens of the sequence in ``slot``, from ``position`` of that sequence on.

    ``slot`` None is filling: nothing is stored, and what comes out is not read.
    """

    slot: int | None
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
        return value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)


class SlotCache:
    """Keys and values of every layer, [slots, kv_heads, length, d] each, allocated once."""

    def __init__(
        self,
        layers: dict[int, tuple[int, int, int]],
        slots: int,
        length: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        # Zeros on CUDA, where masked rows are multiplied by a weight of 0 and must not be NaN; on CPU rows that were
        # never written are never read, and memory that is never touched is never taken from the system.
        new = torch.zeros if device.type == "cuda" else torch.empty
        self.slots, self.length = slots, length
        self._keys: dict[int, torch.Tensor] = {}
        self._values: dict[int, torch.Tensor] = {}
        for layer, (heads, key_width, value_width) in layers.items():
            self._keys[layer] = new(slots, heads, length, key_width, dtype=dtype, device=device)
            self._values[layer] = new(slots, heads, length, value_width, dtype=dtype, device=device)
        self._spans: Sequence[Span] = ()
        self._batched = False

    def over(self, spans: Sequence[Span]) -> SlotCache:
        """This cache, set to the spans of the next forward pass."""
        self._spans = spans
        on_cuda = next(iter(self._keys.values())).is_cuda
        self._batched = on_cuda and len(spans) > 1 and all(span.stop - span.start == 1 for span in spans)
        return self

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
        keys, values = self._keys[layer], self._values[layer]
        out = torch.zeros(*query.shape[:3], value.shape[3], dtype=query.dtype, device=query.device)
        for span in self._spans:
            if span.slot is None:
                continue
            rows, end = slice(span.start, span.stop), span.position + span.stop - span.start
            keys[span.slot, :, span.position : end] = key[0, :, rows]
            values[span.slot, :, span.position : end] = value[0, :, rows]
            first = max(0, span.position - window + 1) if window else 0
            out[:, :, rows] = scaled_dot_product_attention(
                query[:, :, rows].contiguous(),
                keys[span.slot : span.slot + 1, :, first:end],
                values[span.slot : span.slot + 1, :, first:end],
                attn_mask=_causal(span, first, window, query.device),
                scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        return out

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
        keys, values = self._keys[layer], self._values[layer]
        spans = [span for span in self._spans if span.slot is not None]
        rows = torch.tensor([span.start for span in spans], device=query.device)
        slots = torch.tensor([span.slot for span in spans], device=query.device)
        positions = torch.tensor([span.position for span in spans], device=query.device)
        keys[slots, :, positions] = key[0].transpose(0, 1)[rows]
        values[slots, :, positions] = value[0].transpose(0, 1)[rows]
        longest = max(span.position for span in spans) + 1
        places = torch.arange(longest, device=query.device)
        seen = places[None] <= positions[:, None]
        if window:
            seen &= places[None] > positions[:, None] - window
        attended = scaled_dot_product_attention(
            query[0].transpose(0, 1)[rows].unsqueeze(2),
            keys[slots, :, :longest],
            values[slots, :, :longest],
            attn_mask=seen[:, None, None],
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        out = torch.zeros(*query.shape[:3], value.shape[3], dtype=query.dtype, device=query.device)
        out[0, :, rows] = attended.squeeze(2).transpose(0, 1)
        return out


def _causal(span: Span, first: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which of the keys [first, end) each row of the span may see; None when a single row sees them all."""
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
    _active.through = through
    try:
        yield
    finally:
        del _active.through


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
    layer: Any = module.layer_idx
    attended = _active.through.attend(layer, query, key, value, scaling, sliding_window)
    return attended.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _attention)
