"""From what was perceived to what the decoder is trained on: prompts made by the real fusion, answers behind them.

All questions about one input share its prompt: the input is read once, and every question with its answer is a branch
that sees the input and itself. Where a soft token will stand there is a negative number until the adapters have run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from decoder.precontext import Precontext
from decoder.sequence import TextSegment
from encoders.adapters.geometry import geometry_of
from encoders.adapters.soft import SoftTokens
from encoders.base import FeatureSpan, Perception
from encoders.results import Chunk, Speech
from pipelines.train.hybrid.samples import Task


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording of an example: windows of at most 30 s, [n] int16 at 16 kHz, where each starts in seconds, and the
    transcript with its chunks' times."""

    windows: tuple[NDArray[np.int16], ...]
    starts: tuple[float, ...]
    speech: Speech

    def window(self, chunk: Chunk) -> int:
        """The one that a chunk begins in."""
        return max(index for index, start in enumerate(self.starts) if start <= chunk.start or index == 0)


@dataclass(frozen=True, slots=True)
class Branch:
    """A question and its answer, as tokens; the answer ends with the end of the turn."""

    question: list[int]
    answer: list[int]
    kind: str


@dataclass(slots=True)
class Example:
    """Inputs with their questions. ``soft`` has input, item and number within the item of every soft token; -1 - k in
    ``prefix`` stands for the k-th."""

    inputs: list[Perception | Heard]
    prefix: list[int]
    soft: list[tuple[int, int, int]]
    branches: list[Branch] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.prefix) + sum(len(b.question) + len(b.answer) for b in self.branches)


FRAMES_PER_SECOND = 50


class Prompter:
    """Makes examples; one for each mode of fusion. ``rates`` are feature rows a soft token, by task."""

    def __init__(self, checkpoint: str, prompt_tokens: int, rates: dict[str, int]) -> None:
        configs = {mode: DecoderConfig(checkpoint=checkpoint, mode=mode, prompt_tokens=prompt_tokens) for mode in MODES}
        self._fusions = {mode: Fusion(config) for mode, config in configs.items()}
        self.rates = rates
        tokenizer = self._fusions["text"].tokenizer
        self._end = [tokenizer.convert_tokens_to_ids("<|im_end|>")]
        for fusion in self._fusions.values():
            fusion._tokenizer = tokenizer

    def tokens(self, text: str) -> list[int]:
        """Text as the decoder writes it."""
        found: list[int] = self._fusions["text"].tokenizer.encode(text, add_special_tokens=False)
        return found

    def offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """A text's tokens, and the characters [start, stop) of each."""
        found = self._fusions["text"].tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return found["input_ids"], found["offset_mapping"]

    def example(
        self, inputs: Sequence[Perception | Heard], tasks: Sequence[Task], mode: str, rate: int | None = None
    ) -> Example:
        """The example of some tasks, which all have a schema or all have none. Tasks whose prompt would show another
        part of a long input than the first one's are left out."""
        fusion = self._fusions[mode]
        context = [self._precontext(number, one, rate) for number, one in enumerate(inputs)]
        found: dict[tuple[int, int, int], int] = {}
        prompts: list[list[int]] = []
        first = fusion.prompt(tasks[0].question, tasks[0].schema, context)
        flat: list[int] = []
        for segment in first.segments:
            if isinstance(segment, TextSegment):
                flat += segment.tokens.tolist()
            else:
                flat += [-1 - found.setdefault(tuple(row), len(found)) for row in segment.vectors.tolist()]  # type: ignore[arg-type]
        prompts.append(flat)
        end = len(fusion._frame(tasks[0].question, tasks[0].schema)[1])
        for task in () if first.truncated else tasks[1:]:
            prompts.append(flat[: len(flat) - end] + fusion._frame(task.question, task.schema)[1])
        shared = len(flat) - end if len(prompts) > 1 else len(flat) - 1
        shared = min(shared, *(_common(flat, other) for other in prompts[1:]), len(flat) - 1)
        branches = [
            Branch(prompt[shared:], self.tokens(task.answer) + self._end, task.kind)
            for prompt, task in zip(prompts, tasks)
        ]
        return Example(list(inputs), flat[:shared], list(found), branches)

    def chat(self, turns: Sequence[dict[str, str]], answer: Sequence[int]) -> Example:
        """A chat without a document, as the endpoint puts it, with the decoder's answer in tokens."""
        fusion = self._fusions["text"]
        prompt = fusion.chat(turns, None, (), fusion.config.prompt_tokens)
        flat = [token for one in prompt.segments if isinstance(one, TextSegment) for token in one.tokens.tolist()]
        return Example([], flat[:-1], [], [Branch(flat[-1:], list(answer), "chat")])

    def _precontext(self, number: int, one: Perception | Heard, rate: int | None) -> Precontext:
        """A result with places for its soft tokens: (input, item, number) instead of vectors."""
        if isinstance(one, Heard):
            frames = [round((chunk.end - chunk.start) * FRAMES_PER_SECOND) for chunk in one.speech.chunks]
            spans = tuple(FeatureSpan(item, 0, max(1, count)) for item, count in enumerate(frames))
            return Precontext(
                "speech_to_text", one.speech, str(number), self._places(number, spans, "speech_to_text", None)
            )
        assert one.result is not None
        return Precontext("ocr", one.result, str(number), self._places(number, one.spans, "ocr", rate))

    def _places(self, number: int, spans: Sequence[FeatureSpan], task: str, rate: int | None) -> SoftTokens:
        rate = rate or self.rates[task]
        rows: list[tuple[int, int, int]] = []
        placed: list[FeatureSpan] = []
        for index, span in enumerate(spans):
            count = -(-(span.stop - span.start) // rate)
            placed.append(replace(span, start=len(rows), stop=len(rows) + count))
            rows += [(number, index, k) for k in range(count)]
        return SoftTokens(np.array(rows, np.int32).reshape(-1, 3), tuple(placed))  # type: ignore[arg-type]


MODES = ("text", "soft", "both")


def geometry(one: Perception | Heard) -> NDArray[np.float32]:
    """[items, 6], as the adapters read it."""
    if isinstance(one, Heard):
        spans = tuple(FeatureSpan(item, 0, 1) for item in range(len(one.speech.chunks)))
        return geometry_of(Perception(one.speech, spans=spans))
    return geometry_of(one)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b)))
