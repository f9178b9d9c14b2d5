"""What goes into the engine and what comes out: sequences of text and soft tokens, and generations.

Everything here is plain data that pickles, so the same request runs in this process or behind Ray Serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from encoders.failures import Failure, InterlaceError


class DecoderError(InterlaceError):
    """A request or a checkpoint that the decoder cannot work with."""


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
class SequenceRequest:
    """One sequence to continue, greedily.

    ``schema`` is the text of a JSON schema that the output must follow. ``max_new_tokens`` None takes the
    config's. ``first_logits`` asks for the logits of the first new token (for tests and probing).
    """

    segments: tuple[Segment, ...]
    schema: str | None = None
    max_new_tokens: int | None = None
    priority: Priority = Priority.BATCH
    first_logits: bool = False

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

    ``tokens`` leaves the end-of-sequence token out. ``logprobs`` has the natural-log probability of each token among
    those that the schema allowed: 0.0 for a token that was forced. ``first_logits`` is [vocabulary] float32.
    """

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish
    prompt_tokens: int
    end_logprob: float | None = None  # of the end-of-sequence token, when the decoder chose it
    first_logits: NDArray[np.float32] | None = field(default=None, compare=False)
    failure: Failure | None = None
