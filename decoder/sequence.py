"""What goes into the engine and what comes out: sequences of text and soft tokens, and generations.

Everything here is plain data that pickles, so the same request runs in this process or behind Ray Serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.failures import Failure, InterlaceError


class DecoderError(InterlaceError):
    """A request or a checkpoint that the decoder cannot work with. ``field`` names the request's field at fault."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.field)


class Overloaded(DecoderError):
    """As many sequences wait as may; try again after ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.retry_after)


class DecoderUnavailable(DecoderError):
    """No replica of the decoder answers; a later attempt may succeed."""


class Priority(IntEnum):
    """Who goes first when sequences wait for a place."""

    ONLINE = 0
    BATCH = 1


@dataclass(frozen=True, slots=True)
class TextSegment:
    """Text tokens [n], as ids of the decoder's tokenizer."""

    tokens: NDArray[np.int32]

    @classmethod
    def of(cls, tokens: Sequence[int]) -> TextSegment:
        """From any sequence of ids."""
        return cls(np.asarray(tokens, np.int32))

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class SoftSegment:
    """Soft tokens [m, d_model] float16, in the decoder's embedding space."""

    vectors: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.vectors)


Segment = TextSegment | SoftSegment


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen: the likeliest at temperature 0, else drawn with the seed. The same seed draws the same
    tokens, whatever runs beside. Penalties are taken off the logits of tokens that the answer has already."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None  # None is 0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0


GREEDY = Sampling()


@dataclass(frozen=True, slots=True)
class SequenceRequest:
    """One sequence to continue.

    ``schema`` is the text of a JSON schema that the output must follow, ``grammar`` (instead) one of llguidance.
    ``max_new_tokens`` None takes the config's. ``stop``: the text ends before the first of these. ``shared``: as many
    leading tokens are likely to come again (a system prompt). ``top_logprobs`` asks for that many alternatives to every
    token. ``first_logits`` asks for the logits of the first new token (for tests and probing).
    """

    segments: tuple[Segment, ...]
    schema: str | None = None
    max_new_tokens: int | None = None
    priority: Priority = Priority.BATCH
    first_logits: bool = False
    grammar: str | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = GREEDY
    shared: int = 0
    top_logprobs: int = 0

    def __len__(self) -> int:
        """Tokens of the prompt, text and soft."""
        return sum(len(segment) for segment in self.segments)


class Finish(StrEnum):
    """Why a generation ended."""

    STOP = "stop"  # the decoder ended its answer
    LENGTH = "length"  # the limit of new tokens; under a schema the JSON was closed and is valid
    CANCELLED = "cancelled"
    FAILED = "failed"  # see `failure`


@dataclass(frozen=True, slots=True)
class Generation:
    """What the decoder wrote.

    ``text`` ends before a stop sequence, ``tokens`` has the tokens that wrote that too; it leaves the end-of-sequence
    token out. ``logprobs`` has the natural-log probability of each token among those that the schema allowed: 0.0 for
    a token that was forced. ``alternatives`` has the likeliest (token, logprob) of every place when they were asked
    for. ``cached_tokens`` of the prompt were known from an earlier one.
    ``first_logits`` is [vocabulary] float32.
    """

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish
    prompt_tokens: int
    end_logprob: float | None = None  # of the end-of-sequence token, when the decoder chose it
    first_logits: NDArray[np.float32] | None = field(default=None, compare=False)
    failure: Failure | None = None
    alternatives: tuple[tuple[tuple[int, float], ...], ...] = ()
    cached_tokens: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Delta:
    """What a sequence wrote since the last one: whole characters of text, and the tokens that wrote them."""

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    alternatives: tuple[tuple[tuple[int, float], ...], ...]
