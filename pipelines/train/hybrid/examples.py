"""The examples of a stage: documents, recordings and chats in its shares, each with some of its questions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from decoder.sequence import DecoderError
from encoders.base import Perception
from pipelines.train.hybrid.again import again
from pipelines.train.hybrid.chats.chat import Chat, read_chats
from pipelines.train.hybrid.cuts import cut
from pipelines.train.hybrid.evidence import answered
from pipelines.train.hybrid.perceived import Perceived, load, stored
from pipelines.train.hybrid.prompts import Example, Heard, Prompter
from pipelines.train.hybrid.reading import LINE_KINDS
from pipelines.train.hybrid.recipe import Recipe, Stage
from pipelines.train.hybrid.samples import Task
from pipelines.train.hybrid.screens.source import Screens
from pipelines.train.hybrid.transcripts import Transcripts, some_of

if TYPE_CHECKING:
    from pipelines.train.hybrid.listening import Listening

_USES, _HELD = 3, 192
"""How often a perceived sample is used while it is in memory, in other modes, with other questions; among how many."""
_HEARINGS, _RECORDINGS = 4, 32
"""The same of recordings: to mix one costs as much as forty prompts, to keep one takes a megabyte for each window.
Where they are cut into sentences, they are used twice as often."""

Asked = tuple[Sequence[Perception | Heard], Sequence[Task]]


class Examples:
    """Endless; ``folder`` may grow meanwhile."""

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        prompter: Prompter,
        folder: Path,
        speech: Path | None,
        chats: Path | None,
        rng: random.Random,
        screens: Path | None = None,
    ) -> None:
        self._stage, self._prompter, self._folder, self._rng = stage, prompter, folder, rng
        listening = None
        if speech is not None and (stage.speech or "pair" in stage.kinds or "*" in stage.kinds):
            from pipelines.train.hybrid.listening import Listening

            listening = Listening(speech, recipe.fold)
        self._transcripts = Transcripts(speech)
        self._documents = again(self._perceived(listening), _USES, _HELD, rng)
        uses = _HEARINGS if stage.lines_at_once is None else 2 * _HEARINGS
        self._unheard = again(self._transcripts.alone(rng), uses, _RECORDINGS, rng)
        self._recordings = again(listening.alone(rng), uses, _RECORDINGS, rng) if listening else None
        self._chats = self._answered(chats) if stage.chats and chats is not None else None
        self._screens = Screens(screens, rng) if stage.screens and screens is not None else None

    def next(self, rate: int) -> Example:
        """One more, with a soft token for ``rate`` feature rows of a line."""
        while True:
            example = self._next(rate)
            if example is not None and len(example) <= self._stage.row_tokens:
                return example

    def _next(self, rate: int) -> Example | None:
        stage, rng = self._stage, self._rng
        if self._chats is not None and rng.random() < stage.chats:
            return self._prompter.chat(next(self._chats))
        mode = drawn(stage.modes, rng)
        inputs: Sequence[Perception | Heard]
        tasks: Sequence[Task]
        if self._screens is not None and rng.random() < stage.screens:
            looked, tasks = self._screens.next(mode)
            inputs = [looked]
        elif rng.random() < stage.speech:
            inputs, tasks = self._spoken(mode)
        else:
            inputs, tasks = next(self._documents)
            if stage.line_modes is not None and all(task.kind in LINE_KINDS for task in tasks):
                mode = drawn(stage.line_modes, rng)
        picked = [task for task in chosen(tasks, stage.tasks, rng) if self._short(task)]
        try:
            return fitting(self._prompter.example(inputs, picked, mode, rate), stage.row_tokens) if picked else None
        except DecoderError:  # a schema so long that it leaves no room for the input
            return None

    def _spoken(self, mode: str) -> Asked:
        """A recording; the sound of one whose text alone is read is not mixed."""
        stage, rng = self._stage, self._rng
        unheard = self._recordings is None or mode == "text" or rng.random() < stage.unheard
        inputs, tasks = next(self._unheard if unheard or self._recordings is None else self._recordings)
        if stage.lines_at_once is None:
            return inputs, tasks
        (whole,) = inputs
        assert isinstance(whole, Heard)
        heard, task = some_of(whole, rng.randint(1, stage.lines_at_once), rng)
        return [heard], [task]

    def _short(self, task: Task) -> bool:
        return len(self._prompter.tokens(task.answer)) < self._stage.longest_answer

    def _perceived(self, listening: Listening | None) -> Iterator[Asked]:
        """What was read in documents, and heard in the calls that belong to some, with all questions."""
        while True:
            files = list(stored(self._folder))
            if not files:
                raise RuntimeError(f"{self._folder} holds no samples: run pipelines.train.hybrid.perceive first")
            samples = [part for one in load(self._rng.choice(files)) for part in self._wanted(one)]
            self._rng.shuffle(samples)
            for one in samples:
                inputs: list[Perception | Heard] = list(one.documents)
                kept = len(inputs) > len(one.sample.documents)  # what a run has heard in its recordings
                if kept and len(inputs) == 2 and self._rng.random() < 0.5:
                    inputs.reverse()
                elif one.sample.recordings and not kept:
                    sounds = listening is not None and self._rng.random() >= self._stage.unheard
                    heard = listening.of(one.sample, self._rng) if sounds and listening is not None else None
                    inputs.insert(self._rng.randint(0, 1), heard or self._transcripts.of(one.sample, self._rng))
                certain = one.sample.recordings and not kept  # what was synthesised, not what was heard
                yield inputs, one.sample.tasks if certain else answered(one.sample.tasks, one.documents)

    def _wanted(self, one: Perceived) -> Iterator[Perceived]:
        """The sample if the stage takes it, or its parts."""
        stage, kind = self._stage, one.sample.kind
        if (kind not in stage.kinds and "*" not in stage.kinds) or not all(read.result for read in one.documents):
            return
        if kind == "lines" and stage.lines_at_once is not None:
            yield from cut(one, stage.lines_at_once)
        elif kind == "lines" or self._rng.random() < stage.documents:
            yield one

    def _answered(self, path: Path) -> Iterator[Chat]:
        chats = read_chats(path, answered=True)
        while True:
            yield from self._rng.sample(chats, len(chats))


def drawn(modes: Mapping[str, float], rng: random.Random) -> str:
    """One of the modes, by their weights."""
    return rng.choices(list(modes), list(modes.values()))[0]


def chosen(tasks: Sequence[Task], most: int, rng: random.Random) -> list[Task]:
    """Some of the tasks, all with a schema or all without."""
    groups = [[task for task in tasks if (task.schema is None) is plain] for plain in (True, False)]
    groups = [group for group in groups if group]
    if not groups:
        return []
    group = rng.choices(groups, [len(group) for group in groups])[0]
    return rng.sample(group, min(most, len(group)))


def fitting(example: Example, length: int) -> Example | None:
    """With as many branches as fit a row; None when not even one does."""
    while len(example) > length and len(example.branches) > 1:
        example.branches.pop()
    return example if len(example) <= length else None
