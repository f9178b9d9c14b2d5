"""A sequence while it runs: what it has read, what it has written, and how it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from decoder.constrain import JsonConstraint
from decoder.sequence import DecoderError, Finish

if TYPE_CHECKING:
    from decoder.engine import Handle


_LONGEST_LOOP = 48  # tokens, about two sentences


def repeats(tokens: Sequence[int]) -> int | None:
    """The length of a phrase that a text ends with twice over (three times when it is short), None when it does not.

    A small greedy decoder that says a sentence twice goes on saying it until it runs out of tokens.
    """
    for period in range(2, min(_LONGEST_LOOP, len(tokens) // 2) + 1):
        times = 2 if period >= 8 else 3
        if len(tokens) < times * period:
            continue
        tail = tokens[-period:]
        if all(tokens[-(k + 1) * period : -k * period] == tail for k in range(1, times)):
            return period
    return None


class RunningSequence:
    """State of one sequence in its slot. Not thread safe: only the engine's thread touches it."""

    def __init__(
        self,
        handle: Handle,
        slot: int,
        prompt: torch.Tensor,
        limit: int,
        constraint: JsonConstraint | None,
        opening: list[int],
    ) -> None:
        """``prompt`` [n, d_model] ends with the tokens of ``opening``, which the constraint forces at the start."""
        self.handle = handle
        self.slot = slot
        self.limit = limit
        self.position = 0  # tokens in the cache
        self.tokens: list[int] = list(opening)
        self.logprobs: list[float] = [0.0] * len(opening)
        self.end_logprob: float | None = None
        self.first_logits: NDArray[np.float32] | None = None
        self._constraint = constraint
        self._pending = prompt  # embeddings [n, d_model] that are known but not read yet
        self.prompt_left = len(prompt)

    @property
    def unread(self) -> int:
        """Known tokens that are not in the cache yet."""
        return len(self._pending)

    @property
    def reading_prompt(self) -> bool:
        """Whether part of the prompt is still unread."""
        return self.prompt_left > 0

    def next_chunk(self, chunk: int) -> int:
        """Tokens of the next chunk: up to the next multiple of ``chunk``, so that cuts never depend on the load."""
        return min(chunk - self.position % chunk, self.prompt_left)

    def take_unread(self, count: int) -> torch.Tensor:
        """The next ``count`` embeddings, counted as read."""
        taken, self._pending = self._pending[:count], self._pending[count:]
        self.position += count
        self.prompt_left = max(0, self.prompt_left - count)
        return taken

    def feed(self, embeddings: torch.Tensor) -> None:
        """Embeddings [n, d_model] of tokens that were just written, to be read in the next step."""
        self._pending = embeddings

    def choose(self, logits: torch.Tensor, stop_tokens: frozenset[int]) -> Finish | None:
        """Append the likeliest token that is allowed, and those that it forces; or say why this is the end."""
        if not torch.isfinite(logits).all():
            raise DecoderError("the decoder's logits are not finite")
        if self.first_logits is None and self.handle.request.first_logits:
            self.first_logits = logits.cpu().numpy()
        constraint = self._constraint
        if constraint is not None:
            allowed = torch.from_numpy(constraint.allowed()).to(logits.device)
            logits = logits.masked_fill(~allowed, float("-inf"))
        logprobs = torch.log_softmax(logits, dim=-1)
        token = int(torch.argmax(logits))
        if token in stop_tokens:
            self.end_logprob = float(logprobs[token])
            return Finish.STOP
        if constraint is not None:
            token = constraint.take(token)
        self.tokens.append(token)
        self.logprobs.append(float(logprobs[token]))
        if constraint is None:
            if (period := repeats(self.tokens)) is not None:
                del self.tokens[-period:], self.logprobs[-period:]
                return Finish.STOP
            return Finish.LENGTH if len(self.tokens) >= self.limit else None
        forced = constraint.forced()
        self.tokens.extend(forced)
        self.logprobs.extend([0.0] * len(forced))
        return self.finish_without_choice()

    def finish_without_choice(self) -> Finish | None:
        """The end when nothing is left to choose: the JSON is complete, or there is no token left for more of it."""
        if self._constraint is None or not self._constraint.ended:
            return None
        return Finish.LENGTH if self._constraint.cut else Finish.STOP
