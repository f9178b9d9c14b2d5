"""Dynamic time warping of attention to token times, compiled: pure Python takes 164 ms a window, this 3 ms."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HALF = 3
"""Of the frames of a median: so many to either side."""


def normalised(scores: Tensor, tokens: Tensor, frames: Tensor) -> Tensor:
    """Attention over each window's own ``frames`` [n] by its own ``tokens`` [n], each frame's to mean 0 and deviation 1
    over these. ``scores`` [heads, n, t, frames], before softmax, are overwritten; numbers of a window behind its own
    tokens and frames are finite and mean nothing."""
    behind = torch.arange(scores.shape[3], device=scores.device) >= frames[:, None]
    own = (torch.arange(scores.shape[2], device=scores.device) < tokens[:, None]).float()[..., None]
    weights = scores.masked_fill_(behind[:, None], -torch.inf).softmax(-1, dtype=torch.float32).mul_(own)
    count = tokens[:, None, None]
    weights.addcmul_(own, weights.sum(2, keepdim=True) / count, value=-1)
    deviation = torch.linalg.vector_norm(weights, dim=2, keepdim=True) / count.sqrt()
    return weights.div_(deviation.clamp_min_(1e-10))


def smoothed(weights: Tensor, rows: Tensor, frames: Tensor, width: int, shortest: int) -> Tensor:
    """Running median of seven of some ``rows`` [r] of ``weights`` [heads, all, frames], each reflected at the end of
    its own ``frames`` [r], the fewest of which are ``shortest``: [heads, r, width]. What is too short to be reflected
    stays as it is."""
    last = frames[:, None] - 1
    places = torch.arange(-HALF, width + HALF, device=weights.device).abs()
    values = weights[:, rows[:, None], (last - (last - places).abs()).clamp_min_(0)]
    medians = running_median(values)
    return torch.where(last < HALF, values[..., HALF:-HALF], medians) if shortest <= HALF else medians


def running_median(values: Tensor) -> Tensor:
    """Median of each seven in a row of the last dimension, [..., n - 6].

    Threes in a row are sorted once for all sevens that they are in. The k-th of two sorted threes is the least of
    max(i-th of one, (k - i)-th of the other); the median is the one between the threes, held between the third and
    the fourth of these six. A sort of sevens would take 7 times the memory.
    """
    left, right, third = values[..., :-2], values[..., 1:-1], values[..., 2:]
    low, high = torch.minimum(left, right), torch.maximum(left, right)
    threes = torch.minimum(low, third), third.clamp(low, high), torch.maximum(high, third)
    del low, high
    (a, d), (b, e), (c, f) = ((place[..., :-4], place[..., 4:]) for place in threes)
    fewest = torch.minimum(torch.minimum(torch.maximum(a, e), torch.maximum(b, d)), torch.minimum(c, f))
    most = torch.minimum(torch.minimum(torch.maximum(a, f), torch.maximum(c, d)), torch.maximum(b, e))
    return values[..., HALF:-HALF].clamp(fewest, most)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def token_starts(likeness: NDArray[np.float32]) -> NDArray[np.int64]:
    """First frame of every token, by the cheapest monotonic path through -``likeness`` [tokens, frames]."""
    tokens, frames = likeness.shape
    cost = np.full((tokens + 1, frames + 1), np.inf, np.float32)
    trace = np.zeros((tokens + 1, frames + 1), np.int8)
    cost[0, 0] = 0
    for column in range(1, frames + 1):
        for row in range(1, tokens + 1):
            diagonal, up, left = cost[row - 1, column - 1], cost[row - 1, column], cost[row, column - 1]
            best, trace[row, column] = left, 2
            if diagonal < up and diagonal < left:
                best, trace[row, column] = diagonal, 0
            elif up < diagonal and up < left:
                best, trace[row, column] = up, 1
            cost[row, column] = best - likeness[row - 1, column - 1]
    starts = np.zeros(tokens, np.int64)
    row, column = tokens, frames
    while row > 0 and column > 0:
        starts[row - 1] = column - 1
        step = trace[row, column]
        if step != 2:
            row -= 1
        if step != 1:
            column -= 1
    return starts
