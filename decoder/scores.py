"""What sequences choose their next tokens from: logits among the allowed tokens, and the likeliest of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from decoder.recorded import on_device


class Scores:
    """One row of logits [n, vocabulary] float32, minus infinity where a token is not allowed, and of their logsumexp.

    They stand until the next pass.
    """

    __slots__ = ("_known", "_logits", "_row", "_totals")

    def __init__(self, logits: torch.Tensor, totals: torch.Tensor, row: int, known: list[float] | None = None) -> None:
        """``known``: the total, the likeliest token and its log probability, when they are on the host already."""
        self._logits, self._totals, self._row, self._known = logits, totals, row, known

    @property
    def logits(self) -> torch.Tensor:
        """Logits [vocabulary]."""
        return self._logits[self._row]

    @property
    def total(self) -> torch.Tensor:
        """Their logsumexp."""
        return self._totals[self._row]

    @property
    def finite(self) -> bool:
        """Whether anything can be chosen."""
        return math.isfinite(self._known[0]) if self._known else bool(torch.isfinite(self.total))

    @property
    def likeliest(self) -> int:
        """The token of the highest logit; the lowest id among equals."""
        return int(self._known[1]) if self._known else int(torch.argmax(self.logits))

    def logprob(self, token: int) -> float:
        """Natural-log probability of a token among those that are allowed."""
        if self._known and token == self._known[1]:
            return self._known[2]
        return float(self.logits[token] - self.total)


def scores_of(logits: torch.Tensor, allowed: Sequence[NDArray[np.bool_] | None]) -> Callable[[], list[Scores]]:
    """The scores of the first ``len(allowed)`` rows of logits [n, vocabulary]; None in ``allowed``: all tokens.

    What is returned waits for them, on CUDA not for what is queued there afterwards.

    On CUDA all rows at once, also those that do not count, so that one transfer brings everything to the host and the
    shape is always the same. On CPU row by row, so that the bits do not depend on how many there are.
    """
    if logits.device.type == "cpu":
        scores = [_score(row, mask) for row, mask in zip(logits, allowed)]
        return lambda: scores
    if not allowed:
        return lambda: []
    bound = {index: mask for index, mask in enumerate(allowed) if mask is not None}
    if bound:
        masks = on_device(torch.from_numpy(np.stack(list(bound.values()))), logits.device)
        rows = on_device(torch.tensor(list(bound)), logits.device)
        logits = logits.index_copy(0, rows, logits[rows].masked_fill(~masks, -math.inf))
    totals, best = torch.logsumexp(logits, dim=-1), torch.argmax(logits, dim=-1)
    chances = logits.gather(1, best[:, None])[:, 0] - totals
    found = torch.stack([totals.double(), best.double(), chances.double()], 1)[: len(allowed)]
    known = torch.empty(found.shape, dtype=found.dtype, pin_memory=True).copy_(found, non_blocking=True)
    done = torch.cuda.Event()
    done.record()

    def waited() -> list[Scores]:
        done.synchronize()
        return [Scores(logits, totals, index, row) for index, row in enumerate(known.tolist())]

    return waited


def _score(logits: torch.Tensor, allowed: NDArray[np.bool_] | None) -> Scores:
    if allowed is not None:
        logits = logits.masked_fill(~torch.from_numpy(allowed), -math.inf)
    return Scores(logits[None], torch.logsumexp(logits, dim=-1)[None], 0)
