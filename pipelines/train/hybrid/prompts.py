"""From what was perceived to what the decoder is trained on: prompts made by the real fusion, answers behind them.

All questions about one input share its prompt: the input is read once, and every question with its answer is a branch
that sees the input and itself. Where a soft token will stand there is a negative number until the adapters have run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from decoder.precontext import Precontext
from decoder.sequence import Segment, TextSegment
from encoders.adapters.geometry import geometry_of
from encoders.adapters.soft import SoftTokens
from encoders.base import FeatureSpan, Perception
from encoders.results import Chunk, Speech
from pipelines.train.hybrid.chats.chat import Chat, Likely
from pipelines.train.hybrid.parts import REST, parts_of
from pipelines.train.hybrid.samples import Task
from pipelines.train.hybrid.screens.views import Detected
from pipelines.train.hybrid.tokenizing import QuickTokenizer


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording of an example: windows of at most 30 s, [n] int16 at 16 kHz, where each starts in seconds, and the
    transcript with its chunks' times. Without windows it is a transcript alone, whose soft tokens are its words."""

    windows: tuple[NDArray[np.int16], ...]
    starts: tuple[float, ...]
    speech: Speech

    def window(self, chunk: Chunk) -> int:
        """The one that a chunk is in; chunks reach a little beyond their words."""
        middle = (chunk.start + chunk.end) / 2
        return max(index for index, start in enumerate(self.starts) if start <= middle or index == 0)


@dataclass(frozen=True, slots=True)
class Branch:
    """A question and its answer, as tokens; the answer ends with the end of the turn. ``likely``: see `Chat`;
    ``parts``: of JSON, what every token is, see `parts_of`."""

    question: list[int]
    answer: list[int]
    kind: str
    likely: Likely = ()
    parts: Sequence[str] = ()


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
        tokenizer = QuickTokenizer(self._fusions["text"].tokenizer)
        self.tokens, self._ends = tokenizer.encode, tokenizer.ends
        self._end = [tokenizer.eos_token_id]
        for fusion in self._fusions.values():
            fusion._tokenizer = tokenizer

    def example(
        self, inputs: Sequence[Perception | Heard], tasks: Sequence[Task], mode: str, rate: int | None = None
    ) -> Example:
        """The example of some tasks, which all have a schema or all have none. Tasks whose prompt would show another
        part of a long input than the first one's are left out."""
        fusion = self._fusions[mode]
        places: list[tuple[int, int, int]] = []
        context = [self._precontext(number, one, rate, places) for number, one in enumerate(inputs)]
        first = fusion.prompt(tasks[0].question, tasks[0].schema, context)
        flat, soft = _flat(first.segments, places)
        asked = tasks[:1] if first.truncated else tasks
        questions = [fusion._frame(task.question, task.schema)[1] for task in asked]
        shared = len(flat) - (len(questions[0]) if len(asked) > 1 else 1)
        if len(asked) == 1:
            questions = [flat[shared:]]
        return Example(list(inputs), flat[:shared], soft, [self._branch(q, task) for q, task in zip(questions, asked)])

    def _branch(self, question: list[int], task: Task) -> Branch:
        parts = [*parts_of(task.answer, self._ends(task.answer)), REST] if task.schema is not None else ()
        return Branch(question, self.tokens(task.answer) + self._end, task.kind, parts=parts)

    def chat(self, chat: Chat) -> Example:
        """A chat without a document, as the endpoint puts it, with the decoder's answer in tokens."""
        fusion = self._fusions["text"]
        prompt = fusion.chat(chat.turns, None, (), fusion.config.prompt_tokens)
        flat = [token for one in prompt.segments if isinstance(one, TextSegment) for token in one.tokens.tolist()]
        return Example([], flat[:-1], [], [Branch(flat[-1:], list(chat.answer), "chat", chat.likely)])

    def _precontext(
        self, number: int, one: Perception | Heard, rate: int | None, places: list[tuple[int, int, int]]
    ) -> Precontext:
        """A result with soft tokens that are numbers: of their input, item and number within the item in ``places``."""
        if isinstance(one, Heard):
            frames = [round((chunk.end - chunk.start) * FRAMES_PER_SECOND) for chunk in one.speech.chunks]
            spans = tuple(FeatureSpan(item, 0, max(1, count)) for item, count in enumerate(frames))
            soft = self._places(number, spans, self.rates["speech_to_text"], places)
            return Precontext("speech_to_text", one.speech, str(number), soft)
        assert one.result is not None
        if isinstance(one, Detected):
            soft = self._places(number, one.spans, self.rates["gui_detection"], places)
            return Precontext(one.task, one.result, str(number), soft, pages=one.pages)
        task = "speech_to_text" if isinstance(one.result, Speech) else "ocr"
        each = self.rates[task] if task != "ocr" or rate is None else rate
        return Precontext(task, one.result, str(number), self._places(number, one.spans, each, places))

    def _places(
        self, number: int, spans: Sequence[FeatureSpan], rate: int, places: list[tuple[int, int, int]]
    ) -> SoftTokens:
        placed: list[FeatureSpan] = []
        begin = len(places)
        for index, span in enumerate(spans):
            start = len(places) - begin
            count = -(-(span.stop - span.start) // rate)
            placed.append(FeatureSpan(span.item, start, start + count, span.page))
            places += [(number, index, k) for k in range(count)]
        numbers = np.arange(begin, len(places), dtype=np.int32)[:, None]
        return SoftTokens(numbers, tuple(placed))  # type: ignore[arg-type]


MODES = ("text", "soft", "both")


def geometry(one: Perception | Heard) -> NDArray[np.float32]:
    """[items, 6], as the adapters read it."""
    if isinstance(one, Heard):
        spans = tuple(FeatureSpan(item, 0, 1) for item in range(len(one.speech.chunks)))
        return geometry_of(Perception(one.speech, spans=spans))
    return geometry_of(one)


def _flat(
    segments: Sequence[Segment], places: Sequence[tuple[int, int, int]]
) -> tuple[list[int], list[tuple[int, int, int]]]:
    """A prompt's tokens, with -1 - k where the k-th soft token stands, and which ones they are, in order."""
    flat: list[int] = []
    soft: list[tuple[int, int, int]] = []
    for segment in segments:
        if isinstance(segment, TextSegment):
            flat += segment.tokens.tolist()
        else:
            flat += range(-1 - len(soft), -1 - len(soft) - len(segment), -1)
            soft += [places[number] for (number,) in segment.vectors.tolist()]  # type: ignore[call-overload]
    return flat, soft
