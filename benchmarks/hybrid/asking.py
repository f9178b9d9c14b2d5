"""Asking: every question of a row through the real `Answerer` in every column, and the outcomes of the replies."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace

from benchmarks.hybrid.columns import Column, Softener
from benchmarks.hybrid.outcomes import Outcome
from benchmarks.hybrid.perceived import Input, keys
from decoder.answer import Answer, Answerer, AnswerTask, Prepared
from decoder.sequence import Generation, Priority
from pipelines.train.hybrid.samples import Task

_TOGETHER = 16  # inputs whose first questions are read before the others: their beginnings are then known


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, a schema, or both about some inputs, and how an answer is judged.

    ``rate``: feature rows a soft token instead of the column's; ``longest``: tokens of an answer instead of the
    config's; ``task``: where it comes from, for generated samples.
    """

    inputs: tuple[Input, ...]
    question: str | None
    schema: str | None
    judge: Callable[[Answer], Sequence[Outcome]]
    rate: int | None = None
    longest: int | None = None
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for something that was asked; no generation when it could not be asked."""

    asked: Asked
    prepared: Prepared
    generation: Generation | None
    answer: Answer

    @property
    def outcomes(self) -> list[Outcome]:
        """As judged, with the length of the prompt."""
        return [replace(o, prompt_tokens=self.answer.prompt_tokens) for o in self.asked.judge(self.answer)]


class Panel:
    """One loaded answerer for each column."""

    def __init__(self, columns: Sequence[Column], softener: Softener, device: str = "cpu", workers: int = 2) -> None:
        self.columns, self.softener = tuple(columns), softener
        self._device, self._workers = device, workers
        self.answerers = {column.name: Answerer(column.config) for column in columns}

    def only(self, names: Sequence[str]) -> Panel:
        """The same answerers, of which only those of some columns are asked."""
        panel = copy(self)
        panel.columns = tuple(column for column in self.columns if column.name in names)
        return panel

    def load(self) -> None:
        """Load tokenizers and decoders; those that are asked load by themselves."""
        for column in self.columns:
            self.answerers[column.name].load(self._device)

    def ask(self, asked: Sequence[Asked], what: str, only: Sequence[str] | None = None) -> dict[str, list[Reply]]:
        """The replies of each column (or of those named), in the order of what was asked."""
        chosen = [column for column in self.columns if only is None or column.name in only]
        self.only([column.name for column in chosen]).load()  # one by one: transformers does not load two at a time
        with ThreadPoolExecutor(self._workers) as pool:  # an engine has one thread, and leaves the other core to others
            replies = pool.map(lambda column: self._ask(column, asked, what), chosen)
            return {column.name: found for column, found in zip(chosen, replies, strict=True)}

    def _ask(self, column: Column, asked: Sequence[Asked], what: str) -> list[Reply]:
        answerer = self.answerers[column.name]
        replies: dict[int, Reply] = {}
        started = time.monotonic()
        for wave in _waves(asked):
            prepared = []
            for index in wave:
                item = asked[index]
                precontext = self.softener.precontext(item.inputs, column.mode, item.rate or column.rate)
                task = AnswerTask(keys(item.inputs), item.question, item.schema, precontext)
                # online: what is read of a prompt is kept, and the next question about it does not read it again
                ready = answerer.prepare(task, Priority.ONLINE)
                if ready.request is not None and item.longest is not None:
                    ready = replace(ready, request=replace(ready.request, max_new_tokens=item.longest))
                prepared.append(ready)
            generations = iter(answerer.engine.generate([p.request for p in prepared if p.request is not None]))
            for index, ready in zip(wave, prepared, strict=True):
                generation = next(generations) if ready.request is not None else None
                answer = answerer.finish(ready, generation)
                replies[index] = Reply(asked[index], ready, generation, answer)
            print(f"  {what}, {column.name}: {len(replies)} of {len(asked)} answers, "
                  f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
        return [replies[index] for index in range(len(asked))]

    def close(self) -> None:
        """End the engines."""
        for answerer in self.answerers.values():
            answerer.close()


def _waves(asked: Sequence[Asked]) -> Iterator[list[int]]:
    """Places of what is asked together: for some inputs at a time the first questions, then the others."""
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(asked):
        groups.setdefault(keys(item.inputs), []).append(index)
    members = list(groups.values())
    for at in range(0, len(members), _TOGETHER):
        first: list[int] = []
        rest: list[int] = []
        for group in members[at : at + _TOGETHER]:
            kinds: set[bool] = set()
            for index in group:
                kind = asked[index].schema is None  # their prompts begin differently
                (rest if kind in kinds else first).append(index)
                kinds.add(kind)
        yield first
        if rest:
            yield rest
