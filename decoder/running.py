"""A sequence while it runs: what it has read, what it has written, and how it chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from decoder.constrain import JsonConstraint
from decoder.loops import doubtful, repeats
from decoder.sampling import Sampler
from decoder.scores import AllowedBits, Scores
from decoder.sequence import DecoderError, Delta, Finish
from decoder.text_stream import TextStream

if TYPE_CHECKING:
    from decoder.handle import Handle

Unread: TypeAlias = NDArray[np.int64] | torch.Tensor
"""Token ids [n], or embeddings [n, d_model] on the device."""

_NOTHING = np.empty(0, np.int64)


class RunningSequence:
    """State of one sequence in its range of the cache. Not thread safe: only the engine's thread touches it."""

    def __init__(
        self,
        handle: Handle,
        base: int,
        prompt: Unread,
        limit: int,
        constraint: JsonConstraint | None,
        opening: list[int],
        tokenizer: Any,
    ) -> None:
        """``prompt`` ends with the tokens of ``opening``, which the constraint forces at the start."""
        self.handle = handle
        self.base = base
        self.limit = limit
        self.position = 0  # tokens in the cache
        self.tokens: list[int] = list(opening)
        self.logprobs: list[float] = [0.0] * len(opening)
        self.alternatives: list[tuple[tuple[int, float], ...]] = [()] * len(opening)
        self.end_logprob: float | None = None
        self.first_logits: NDArray[np.float32] | None = None
        self.cached = 0
        self.stream = TextStream(tokenizer, handle.request.stop)
        self.keep: dict[int, tuple[int, bytes]] = {}  # end of a block -> its start and name, to be remembered
        self._shown = 0  # tokens
        self._constraint = constraint
        self._sampler = Sampler(handle.request.sampling)
        plain = constraint is None and self._sampler.plain and not handle.request.top_logprobs
        self.plain = plain and handle.on_delta is None and not handle.request.stop
        """Whether a token mostly is the likeliest one and nothing else happens."""
        self._prompt = prompt  # what is unread of it
        self.prompt_left = len(prompt)
        self._fed: list[int] = []  # tokens that were written and not read yet
        self.unread = len(prompt)  # tokens that are known and not read yet

    @property
    def reading_prompt(self) -> bool:
        """Whether part of the prompt is still unread."""
        return self.prompt_left > 0

    def next_chunk(self, chunk: int) -> int:
        """Tokens of the prompt's next chunk; see `chunk_end`."""
        return min(chunk_end(self.position, chunk, self.handle.request.shared) - self.position, self.prompt_left)

    def take_unread(self, count: int) -> Unread:
        """The next ``count``, counted as read: of the prompt, or tokens behind it."""
        self.unread -= count
        self.position += count
        if not self.prompt_left:
            taken, self._fed = self._fed[:count], self._fed[count:]
            return np.array(taken, np.int64)
        part, self._prompt = self._prompt[:count], self._prompt[count:]
        self.prompt_left -= count
        if not self.prompt_left:
            self._prompt = _NOTHING  # so that the prompt's memory is not held to the end
        return part

    def feed(self, tokens: list[int]) -> None:
        """Tokens that were just written, to be read in the next step."""
        self._fed, self.unread = tokens, len(tokens)

    @property
    def wants_logits(self) -> bool:
        """Whether its request asks for the first token's logits, and they are still missing."""
        return self.handle.request.first_logits and self.first_logits is None

    def allowed(self) -> AllowedBits | None:
        """Which tokens may come next, None for all."""
        return self._constraint.allowed_bits() if self._constraint is not None else None

    def choose(self, scores: Scores, stop_tokens: frozenset[int]) -> Finish | None:
        """Append a token that is allowed, and those that it forces; or say why this is the end."""
        request, constraint = self.handle.request, self._constraint
        if not scores.finite:
            raise DecoderError("the decoder's logits are not finite")
        token = self._sampler.choose(scores)
        if token in stop_tokens:
            self.end_logprob = scores.logprob(token)
            return Finish.LENGTH if constraint is not None and constraint.closed_early else Finish.STOP
        if constraint is not None:
            taken = constraint.take(token)
            if taken is None:
                return Finish.LENGTH
            token = taken
        self.tokens.append(token)
        self.logprobs.append(scores.logprob(token))
        if request.top_logprobs:
            best = torch.topk(scores.logits - scores.total, request.top_logprobs)
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            self.alternatives.append(tuple(pair for pair in pairs if pair[1] > float("-inf")))
        if constraint is None:
            if self._sampler.plain and (period := repeats(self.tokens)) is not None:
                self._take_back(period)
                return Finish.STOP
            return Finish.LENGTH if len(self.tokens) >= self.limit else None
        forced = constraint.forced()
        self.tokens.extend(forced)
        self.logprobs.extend([0.0] * len(forced))
        if request.top_logprobs:
            self.alternatives.extend([()] * len(forced))
        return self.finish_without_choice()

    def finish_without_choice(self) -> Finish | None:
        """The end when nothing is left to choose: the JSON is complete, or there is no token left for more of it."""
        if self._constraint is None or not self._constraint.ended:
            return None
        return Finish.LENGTH if self._constraint.cut else Finish.STOP

    def show(self, *, final: bool = False) -> Delta | None:
        """What of the text can be shown now and could not before."""
        held = doubtful(self.tokens) if not final and self._constraint is None and self._sampler.plain else 0
        text = self.stream.push(self.tokens, held, final=final)
        read = len(self.tokens) if final else self.stream.read
        if not text and not (final and read > self._shown):
            return None
        new = slice(self._shown, read)
        self._shown = read
        return Delta(text, tuple(self.tokens[new]), tuple(self.logprobs[new]), tuple(self.alternatives[new]))

    def _take_back(self, count: int) -> None:
        del self.tokens[-count:], self.logprobs[-count:]
        if self.handle.request.top_logprobs:
            del self.alternatives[-count:]


def chunk_end(position: int, chunk: int, shared: int) -> int:
    """Where the chunk that begins at a position of the prompt ends: at the end of the shared beginning, and at
    multiples of ``chunk`` before and behind it. So cuts never depend on the load, and a beginning that comes again is
    cut in the same places."""
    if position < shared:
        return min(shared, position + chunk - position % chunk)
    return position + chunk - (position - shared) % chunk
