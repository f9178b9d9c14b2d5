"""What sequences choose their next tokens from: logits among the allowed tokens, and the likeliest of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

AllowedBits = NDArray[np.uint8]
"""Which tokens may come next, at least [mask_bytes(vocabulary)], a bit each, the lowest bit of a byte first."""


class Scores:
    """One row of logits [n, vocabulary] float32, minus infinity where a token is not allowed, and of their logsumexp.

    They stand until the next pass.
    """

    __slots__ = ("_known", "_logits", "_row", "_totals")

    def __init__(
        self, logits: torch.Tensor, totals: torch.Tensor, row: int, known: Sequence[float] | None = None
    ) -> None:
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


def mask_bytes(vocabulary: int) -> int:
    """Bytes of `AllowedBits` that say something."""
    return (vocabulary + 7) // 8


def score_rows(logits: torch.Tensor, allowed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of logits [n, vocabulary] in any dtype and `AllowedBits` [n, bytes]: the logits of `Scores`, their logsumexp [n],
    and [n, 3] float64: that sum again, the likeliest token and its log probability, to be sent to the host at once."""
    places = torch.arange(8, dtype=torch.uint8, device=logits.device)
    bits = allowed.unsqueeze(2).bitwise_right_shift(places).bitwise_and(1)
    masked = logits.float().masked_fill(bits.flatten(1).narrow(1, 0, logits.shape[1]) == 0, -math.inf)
    totals, best = torch.logsumexp(masked, dim=-1), torch.argmax(masked, dim=-1)
    chances = masked.gather(1, best.unsqueeze(1)).squeeze(1) - totals
    return masked, totals, torch.stack([totals.double(), best.double(), chances.double()], 1)


def scores_of(logits: torch.Tensor, allowed: Sequence[AllowedBits | None]) -> list[Scores]:
    """The scores of the first ``len(allowed)`` rows of logits [n, vocabulary]; None in ``allowed``: all tokens.

    Row by row on CPU, so that the bits do not depend on how many there are; on CUDA all at once.
    """
    if logits.device.type == "cpu":
        return [_score(row, bits) for row, bits in zip(logits, allowed)]
    if not allowed:
        return []
    count = mask_bytes(logits.shape[1])
    masks = np.full((len(allowed), count), 255, np.uint8)
    for index, bits in enumerate(allowed):
        if bits is not None:
            masks[index] = bits[:count]
    masked, totals, found = score_rows(logits[: len(allowed)], torch.from_numpy(masks).to(logits.device))
    return [Scores(masked, totals, index, row) for index, row in enumerate(found.tolist())]


def _score(logits: torch.Tensor, allowed: AllowedBits | None) -> Scores:
    logits = logits.float()
    if allowed is not None:
        open_ = np.unpackbits(allowed, bitorder="little")[: len(logits)].astype(bool)
        logits = logits.masked_fill(~torch.from_numpy(open_), -math.inf)
    return Scores(logits[None], torch.logsumexp(logits, dim=-1)[None], 0)
