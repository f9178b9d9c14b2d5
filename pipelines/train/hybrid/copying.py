"""Which text tokens stand under each soft token of a line: what an adapter can be taught before any decoder reads it.

A soft token should lie near the embeddings of the text that its steps saw. Without this start, decoder and adapter have
to find out together which soft token means what; in 1,000 steps on whole paragraphs they did not (docs/hybrid.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from encoders.results import Line, extent

Under = list[dict[int, float]]
"""For each soft token of an item the text tokens under it, with shares that sum to 1; none over white space."""
Offsets = Callable[[str], tuple[Sequence[int], Sequence[tuple[int, int]]]]
"""A text's tokens, and the characters [start, stop) of each."""

_SHARPNESS = 20.0  # of the likeness, a cosine, as log odds


def under(line: Line, steps: int, rate: int, offsets: Offsets) -> Under:
    """Of a line that was read in ``steps`` steps, at ``rate`` steps a soft token."""
    count = -(-steps // rate)
    found: Under = [{} for _ in range(count)]
    edges = [edge * steps / rate for edge in _edges(line)]
    for token, (start, stop) in zip(*offsets(line.text)):
        left, right = edges[start], edges[stop]
        for k in range(int(left), min(count, int(right) + 1)):
            share = min(right, k + 1) - max(left, k)
            if share > 0:
                found[k][token] = found[k].get(token, 0.0) + share
    return [{token: share / sum(one.values()) for token, share in one.items()} for one in found]


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
