"""Passes of CUDA that are recorded once as graphs and replayed.

Launching the kernels of a pass takes many times longer than computing it for a small decoder, so there are passes of
two fixed shapes: steps, one row for each of the sequences that may run, and readings, many rows of some sequences. Rows
that nothing needs are computed and thrown away. That is also what makes an answer's tokens independent of what ran
beside it: CUDA's libraries choose other kernels, which sum in another order, for other numbers of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import rms_norm

from decoder.attention import Attending, Span
from decoder.cache import KeyValueCache
from encoders.static_cache import GraphedStep

# cache, places [rows], tiles [4, n], rows of a tile: see `decoder.tiled_attention`
Tiled = Callable[[KeyValueCache, torch.Tensor, torch.Tensor, int], Attending]
# embeddings [1, rows, d_model], positions [1, rows], wanted rows [n], attention -> logits [n, vocabulary] float32
Network = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Attending], torch.Tensor]


class RecordedPass:
    """A pass of ``rows`` rows, of which up to ``wanted`` get logits, over the spans of one cache."""

    def __init__(
        self,
        network: Network,
        attention: Tiled,
        cache: KeyValueCache,
        width: int,
        *,
        rows: int,
        wanted: int,
        tile_rows: int,
    ) -> None:
        """``width``: d_model. A span is attended in tiles of ``tile_rows``; with 1, there are only spans of one row."""
        device = next(iter(cache.keys.values())).device
        self._spare, self._rows = cache.spare, rows
        self._tile_rows = tile_rows
        tiles = rows if tile_rows == 1 else rows // tile_rows + wanted
        # Everything that changes from pass to pass in one piece, so that it takes one transfer.
        self._sizes = {"positions": rows, "places": rows, "wanted": wanted, "tiles": 4 * tiles}
        self._numbers = torch.zeros(sum(self._sizes.values()), dtype=torch.int64, device=device)
        parts = dict(zip(self._sizes, self._numbers.split(list(self._sizes.values())), strict=True))
        self._embeddings = torch.zeros(1, rows, width, dtype=cache.dtype, device=device)
        tiled = attention(cache, parts["places"], parts["tiles"].view(4, tiles), tile_rows)
        self._logits = torch.empty(0)

        def step() -> None:
            self._logits = network(self._embeddings, parts["positions"][None], parts["wanted"], tiled)

        self._write_numbers([], [])  # recording runs the pass: nothing but the spare place may be written
        self._step = GraphedStep(step, lambda: None, device)
        self._step.record()

    def __call__(self, embeddings: torch.Tensor, spans: Sequence[Span], wanted: Sequence[int]) -> torch.Tensor:
        """Embeddings [t, d_model] to logits [most wanted, vocabulary], of which the first ``len(wanted)`` count; they
        stand until the next pass."""
        self._embeddings[0, : len(embeddings)] = embeddings
        self._write_numbers(spans, wanted)
        self._step()
        return self._logits

    def _write_numbers(self, spans: Sequence[Span], wanted: Sequence[int]) -> None:
        numbers: dict[str, NDArray[np.int64]] = {name: np.zeros(size, np.int64) for name, size in self._sizes.items()}
        numbers["places"][:] = self._spare
        tiles = [
            (span.start + i, min(self._tile_rows, span.stop - span.start - i), span.base, span.position + i)
            for span in spans
            if span.base is not None
            for i in range(0, span.stop - span.start, self._tile_rows)
        ]
        if tiles:
            columns = np.array(tiles, np.int64).T
            numbers["tiles"].reshape(4, -1)[:, : len(tiles)] = columns
            first, count, base, position = columns
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)  # of its tile, for each row
            rows = np.repeat(first, count) + within
            numbers["positions"][rows] = np.repeat(position, count) + within
            numbers["places"][rows] = np.repeat(base + position, count) + within
        numbers["wanted"][: len(wanted)] = wanted
        new = on_device(torch.from_numpy(np.concatenate(list(numbers.values()))), self._numbers.device)
        self._numbers.copy_(new)


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A host tensor on the device; without waiting for what the device is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@torch.inference_mode()
def fuse_norms(model: nn.Module) -> None:
    """Have norms over the root mean square computed by torch's one kernel instead of the six that models spell out;
    only those that give the same values, for some models scale differently."""
    for module in model.modules():
        weight, epsilon = getattr(module, "weight", None), getattr(module, "variance_epsilon", None)
        if not type(module).__name__.endswith("RMSNorm") or weight is None or epsilon is None:
            continue
        rows = torch.linspace(-3, 3, 2 * weight.numel(), dtype=weight.dtype, device=weight.device).view(2, -1)
        fused = partial(rms_norm, normalized_shape=tuple(weight.shape), weight=weight, eps=epsilon)
        if torch.allclose(module(rows), fused(rows), rtol=0.02, atol=0.02):
            module.forward = fused
