"""Passes of CUDA that are recorded once as graphs and replayed.

Launching the kernels of a pass takes many times longer than computing it for a small decoder, so there are passes of
two fixed shapes: steps, one row for each of the sequences that may run, and readings, many rows of some sequences. Rows
that nothing needs are computed and thrown away. That is also what makes an answer's tokens independent of what ran
beside it: CUDA's libraries choose other kernels, which sum in another order, for other numbers of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decoder.attention import Attending, Span
from decoder.cache import KeyValueCache
from decoder.scores import AllowedBits, Scores, mask_bytes
from encoders.static_cache import GraphedStep

# cache, places [rows], tiles [4, n], rows of a tile: see `decoder.tiled_attention`
Tiled = Callable[[KeyValueCache, torch.Tensor, torch.Tensor, int], Attending]
Score = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]  # as `score_rows`
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Network:
    """What a pass computes."""

    vocabulary: int
    width: int  # d_model
    embed: Callable[[torch.Tensor], torch.Tensor]  # tokens [n] -> embeddings [n, d_model]
    # embeddings [1, rows, d_model], positions [1, rows], wanted rows [n], attention -> logits [n, vocabulary]
    forward: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Attending], torch.Tensor]
    score: Score


class RecordedPass:
    """A pass of ``rows`` rows, of which up to ``wanted`` get logits, over the spans of one cache.

    `read` or `step` starts it, `wait` brings what was found.
    """

    def __init__(
        self, network: Network, attention: Tiled, cache: KeyValueCache, *, rows: int, wanted: int, tile_rows: int
    ) -> None:
        """A span is attended in tiles of ``tile_rows``; with 1, the pass is one of steps."""
        device = next(iter(cache.keys.values())).device
        self._spare, self._tile_rows, self._wanted = cache.spare, tile_rows, wanted
        tiles = rows if tile_rows == 1 else rows // tile_rows + wanted
        # Everything that changes from pass to pass in one piece, so that it takes one transfer.
        sizes = {"tokens": rows, "positions": rows, "places": rows, "wanted": wanted, "tiles": 4 * tiles}
        self._numbers = _Mirrored(torch.zeros(sum(sizes.values()), dtype=torch.int64, device=device))
        ends = np.cumsum(list(sizes.values()))[:-1].tolist()
        self._parts = dict(zip(sizes, np.split(self._numbers.host, ends), strict=True))
        parts = dict(zip(sizes, self._numbers.device.tensor_split(ends), strict=True))
        self._allowed = _Mirrored(
            torch.full((wanted, mask_bytes(network.vocabulary)), 255, dtype=torch.uint8, device=device)
        )
        self._bound: list[int] = []  # rows that not all tokens are allowed in
        self._found = _Mirrored(torch.zeros(wanted, 3, dtype=torch.float64, device=device))
        self._done = torch.cuda.Event() if device.type == "cuda" else None
        self._embeddings = torch.zeros(1, rows, network.width, dtype=cache.dtype, device=device)
        tiled = attention(cache, parts["places"], parts["tiles"].view(4, tiles), tile_rows)
        self.logits = self._masked = self._totals = torch.empty(0)

        def step() -> None:
            embedded = network.embed(parts["tokens"])[None] if tile_rows == 1 else self._embeddings
            self.logits = network.forward(embedded, parts["positions"][None], parts["wanted"], tiled)
            self._masked, self._totals, found = network.score(self.logits, self._allowed.device)
            self._found.device.copy_(found)

        self._write_tiles([], [])  # recording runs the pass: nothing but the spare place may be written
        self._numbers.send()
        step()  # what is compiled is compiled now, before anything is recorded
        self._step = GraphedStep(step, lambda: None, device)
        self._step.record()

    def read(
        self,
        embeddings: torch.Tensor,
        spans: Sequence[Span],
        wanted: Sequence[int],
        allowed: Mapping[int, AllowedBits],
    ) -> None:
        """Start with embeddings [t, d_model] of some spans and the rows that get logits. ``allowed`` binds what may be
        chosen, by index among those rows."""
        self.wait()
        self._embeddings[0, : len(embeddings)] = embeddings
        self._write_tiles(spans, wanted)
        self._start(allowed)

    def step(self, rows: Rows, tokens: Rows, bases: Rows, positions: Rows, allowed: Mapping[int, AllowedBits]) -> None:
        """Start with one token in each of some rows: of the sequence whose range begins at that base, at that position
        of it. ``allowed`` by row."""
        self.wait()
        parts, count = self._parts, len(rows)
        self._clear()
        parts["tokens"][rows] = tokens
        parts["positions"][rows] = positions
        parts["places"][rows] = bases + positions
        parts["wanted"][:] = np.arange(self._wanted)
        first, held, base, position = parts["tiles"].reshape(4, -1)
        first[:count], held[:count], base[:count], position[:count] = rows, 1, bases, positions
        self._start(allowed)

    def wait(self) -> NDArray[np.float64]:
        """Of each row that got logits the three numbers of `score_rows`, [wanted, 3], once they are here; not for what
        the device was told to do afterwards. They stand until the next pass, as all below does."""
        if self._done is not None:
            self._done.synchronize()
        return self._found.host

    def scores(self, row: int) -> Scores:
        """What to choose from in a row, after `wait`."""
        return Scores(self._masked, self._totals, row, self._found.host[row].tolist())

    def _start(self, allowed: Mapping[int, AllowedBits]) -> None:
        self._numbers.send()
        if allowed or self._bound:
            self._allowed.host[self._bound] = 255
            for row, bits in allowed.items():
                self._allowed.host[row] = bits[: self._allowed.host.shape[1]]
            self._bound = list(allowed)
            self._allowed.send()
        self._step()
        self._found.fetch()
        if self._done is not None:
            self._done.record()

    def _clear(self) -> None:
        self._numbers.host[:] = 0
        self._parts["places"][:] = self._spare

    def _write_tiles(self, spans: Sequence[Span], wanted: Sequence[int]) -> None:
        self._clear()
        parts = self._parts
        tiles = [
            (span.start + i, min(self._tile_rows, span.stop - span.start - i), span.base, span.position + i)
            for span in spans
            if span.base is not None
            for i in range(0, span.stop - span.start, self._tile_rows)
        ]
        if tiles:
            columns = np.array(tiles, np.int64).T
            parts["tiles"].reshape(4, -1)[:, : len(tiles)] = columns
            first, count, base, position = columns
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)  # of its tile, for each row
            rows = np.repeat(first, count) + within
            parts["positions"][rows] = np.repeat(position, count) + within
            parts["places"][rows] = np.repeat(base + position, count) + within
        parts["wanted"][: len(wanted)] = wanted


class _Mirrored:
    """A tensor on a device, and its like on the host, in memory that the device reads and writes by itself."""

    def __init__(self, device: torch.Tensor) -> None:
        self.device = device
        self._host = device.cpu().pin_memory() if device.is_cuda else device
        self.host: NDArray[Any] = self._host.numpy()

    def send(self) -> None:
        """Have the device's like the host's, without waiting for it."""
        if self.device.is_cuda:
            self.device.copy_(self._host, non_blocking=True)

    def fetch(self) -> None:
        """Have the host's like the device's once the device is there."""
        if self.device.is_cuda:
            self._host.copy_(self.device, non_blocking=True)


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A host tensor on the device; without waiting for what the device is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
