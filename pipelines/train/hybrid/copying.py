"""Which text tokens stand under each soft token of a line: what an adapter can be taught before any decoder reads it.

A soft token should lie near the embeddings of the text that its steps saw. Without this start, decoder and adapter have
to find out together which soft token means what; in 1,000 steps on whole paragraphs they did not (docs/hybrid.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from encoders.results import Line, extent

Offsets = Callable[[str], tuple[Sequence[int], Sequence[tuple[int, int]]]]
"""A text's tokens, and the characters [start, stop) of each."""
Numbers = NDArray[np.int64]
Placed = tuple[Numbers, NDArray[np.float64]]
"""The text tokens [t] of a line, and where each begins and ends [t, 2], as shares of the line's width."""

_SHARPNESS = 20.0  # of the likeness, a cosine, as log odds
_REMEMBERED = 1 << 14  # lines; a page is used in several batches


class Placing:
    """Where on its line each text token stands. Remembers the last lines that it was asked about."""

    def __init__(self, offsets: Offsets) -> None:
        self._offsets = offsets
        self._known: dict[int, tuple[Line, Placed]] = {}  # holds the line too, or its id might come again

    def __call__(self, line: Line) -> Placed:
        """See `Placed`."""
        known = self._known.get(id(line))
        if known is None:
            tokens, characters = self._offsets(line.text)
            edges = _edges(line)
            between = [(edges[start], edges[stop]) for start, stop in characters]
            known = line, (np.array(tokens, np.int64), np.array(between, np.float64).reshape(-1, 2))
            if len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[id(line)] = known
        return known[1]


def under(lines: Sequence[Placed], steps: Sequence[int], rate: int) -> tuple[Numbers, NDArray[np.float64]]:
    """Of lines that were read in so many steps each, at ``rate`` steps a soft token: [k, 3] a line, one of its soft
    tokens and a text token under that, and [k] that one's share. The shares of a soft token sum to 1; one over white
    space has none."""
    sizes = np.asarray(steps)
    owner = np.repeat(np.arange(len(lines)), [len(tokens) for tokens, _ in lines])
    tokens = np.concatenate([tokens for tokens, _ in lines])
    edges = np.concatenate([edges for _, edges in lines]) * sizes[owner, None] / rate
    first = edges[:, 0].clip(0).astype(np.int64)
    counts = (np.minimum(-(-sizes // rate)[owner], edges[:, 1].astype(np.int64) + 1) - first).clip(0)
    soft = ranges(first, counts)
    owner, tokens, edges = (np.repeat(one, counts, axis=0) for one in (owner, tokens, edges))
    shares = np.minimum(edges[:, 1], soft + 1) - np.maximum(edges[:, 0], soft)
    kept = shares > 0
    owner, soft, tokens, shares = owner[kept], soft[kept], tokens[kept], shares[kept]
    place = owner * (int(sizes.max()) // rate + 2) + soft
    return np.stack([owner, soft, tokens], 1), shares / np.bincount(place, shares)[place]


def ranges(firsts: Numbers, counts: Numbers) -> Numbers:
    """first, first + 1, ... of each of ``firsts`` [n], as many as ``counts`` [n] says, one behind another."""
    before = np.cumsum(counts) - counts
    return np.repeat(firsts - before, counts) + np.arange(int(counts.sum()))


def likeness_loss(
    vectors: torch.Tensor, tokens: torch.Tensor, shares: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    """Mean cross entropy, natural-log units, of soft tokens [m, d] told apart among all embeddings [v, d] by their
    direction; ``tokens`` [m] is a text token under each, ``shares`` [m] its weight."""
    scores = functional.normalize(vectors.float(), dim=-1) @ functional.normalize(table.float(), dim=-1).T
    losses = functional.cross_entropy(_SHARPNESS * scores, tokens, reduction="none")
    return (losses * shares).sum() / shares.sum().clamp(min=1e-6)


def _edges(line: Line) -> list[float]:
    """Where each character of a line begins, and the last one ends, as shares of the line's width. Within a word all
    characters are equally wide."""
    left, _, right, _ = extent(line.quad)
    width = max(1.0, right - left)
    edges = [0.0] * (len(line.text) + 1)
    at = 0
    for word in line.words:
        start = line.text.find(word.text, at)
        if start < 0:
            continue
        x0, _, x1, _ = extent(word.quad)
        for k in range(len(word.text) + 1):
            edges[start + k] = (x0 + (x1 - x0) * k / len(word.text) - left) / width
        at = start + len(word.text)
    edges[-1] = 1.0
    for k in range(1, len(edges)):  # white space, and words that are not in the text, end where they begin
        edges[k] = min(1.0, max(edges[k], edges[k - 1]))
    return edges
