"""Choosing a token from logits: the likeliest, or one that is drawn with a seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from decoder.scores import Scores
from decoder.sequence import Sampling


class Sampler:
    """The choices of one sequence. Draws come from its own generator, one for every token, so that what runs beside it
    changes nothing."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.default_rng((sampling.seed or 0) % (1 << 64)) if sampling.temperature > 0 else None
        self._written: Counter[int] = Counter()

    @property
    def plain(self) -> bool:
        """Whether this is nothing but the likeliest token."""
        return self._random is None and not self._penalises

    @property
    def _penalises(self) -> bool:
        return bool(self._sampling.frequency_penalty or self._sampling.presence_penalty)

    def choose(self, scores: Scores) -> int:
        """A token by its scores."""
        if self.plain:
            return scores.likeliest
        logits = scores.logits
        if self._penalises and self._written:
            logits = logits.clone()
            written = torch.tensor(list(self._written), device=logits.device)
            times = torch.tensor(list(self._written.values()), dtype=logits.dtype, device=logits.device)
            logits[written] -= self._sampling.frequency_penalty * times + self._sampling.presence_penalty
        token = self._draw(logits) if self._random is not None else int(torch.argmax(logits))
        if self._penalises:
            self._written[token] += 1
        return token

    def _draw(self, logits: torch.Tensor) -> int:
        assert self._random is not None
        found = logits.double().cpu().numpy()
        order = np.argsort(-found, kind="stable")
        with np.errstate(
            over="ignore"
        ):  # near 0 degrees all but the likeliest are infinitely far away, as they should be
            weights = np.exp((found[order] - found[order[0]]) / self._sampling.temperature)
        likely = np.cumsum(weights) / weights.sum()
        kept = int(np.searchsorted(likely, self._sampling.top_p)) + 1
        place = int(np.searchsorted(likely, self._random.random() * likely[min(kept, len(likely)) - 1], side="right"))
        return int(order[min(place, kept - 1, len(order) - 1)])
