"""Endless batches for one training process, made by loader processes from perceived samples and recordings."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import IterableDataset, get_worker_info

from decoder.sequence import DecoderError
from encoders.base import Perception
from pipelines.train.hybrid.batches import Batch, batch_of, rows_of
from pipelines.train.hybrid.chats.chat import read_chats
from pipelines.train.hybrid.cuts import cut
from pipelines.train.hybrid.perceived import Perceived, load, stored
from pipelines.train.hybrid.prompts import Example, Heard, Prompter
from pipelines.train.hybrid.recipe import Recipe, Stage
from pipelines.train.hybrid.samples import Task

if TYPE_CHECKING:
    from pipelines.train.hybrid.listening import Listening


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an ablation takes away from every soft token."""

    geometry: bool = True
    confidence: bool = True


class Source(IterableDataset[Batch]):
    """Batches of packed rows; ``folder`` may grow while they are made."""

    def __init__(
        self, recipe: Recipe, stage: Stage, folder: Path, speech: Path | None, chats: Path | None, seed: int
    ) -> None:
        self._recipe, self._stage, self._folder, self._speech, self._seed = recipe, stage, folder, speech, seed
        self._answered = chats

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        rng = random.Random(f"{self._seed}-{worker.id if worker else 0}-{self._stage.name}")
        recipe, stage = self._recipe, self._stage
        prompter = Prompter(recipe.decoder, recipe.prompt_tokens, recipe.speech_rates)
        examples = {rate: self._examples(prompter, rng, rate) for rate in stage.rates}
        rates = list(stage.rates)
        while True:
            rate = rng.choice(rates)
            gathered: list[Example] = []
            size, wanted = 0, stage.rows * stage.row_tokens
            while size < wanted * 0.94:
                example = next(examples[rate])
                if size + len(example) > wanted * 1.02:
                    continue
                gathered.append(example)
                size += len(example)
            rows, _ = rows_of(gathered, stage.row_tokens)
            rows = sorted(rows, key=lambda row: -sum(map(len, row)))[: stage.rows]
            offsets = prompter.offsets if stage.copy_text else None
            yield batch_of(rows, stage.row_tokens, rate, recipe.speech_rates, stage.weights, offsets)

    def _examples(self, prompter: Prompter, rng: random.Random, rate: int) -> Iterator[Example]:
        """One after another, documents, recordings and chats in the stage's shares."""
        listening = None
        if self._speech is not None and (self._stage.speech or "pair" in self._stage.kinds or "*" in self._stage.kinds):
            from pipelines.train.hybrid.listening import Listening

            listening = Listening(self._speech, self._recipe.fold)
        documents = self._documents(prompter, rng, rate, listening)
        recordings = self._recordings(prompter, rng, rate, listening) if listening and self._stage.speech else None
        chats = self._chats(prompter, rng)
        while True:
            if rng.random() < self._stage.chats:
                yield next(chats)
            elif recordings is not None and rng.random() < self._stage.speech:
                yield next(recordings)
            else:
                yield next(documents)

    def _documents(
        self, prompter: Prompter, rng: random.Random, rate: int, listening: Listening | None
    ) -> Iterator[Example]:
        while True:
            files = list(stored(self._folder))
            if not files:
                raise RuntimeError(f"{self._folder} holds no samples: run pipelines.train.hybrid.perceive first")
            samples = self._cut(load(rng.choice(files)))
            rng.shuffle(samples)
            for sample in samples:
                example = self._example(prompter, rng, sample, rate, listening)
                if example is not None:
                    yield example

    def _cut(self, samples: list[Perceived]) -> list[Perceived]:
        """With samples of lines in the pieces that the stage asks for."""
        most = self._stage.lines_at_once
        if most is None:
            return samples
        return [part for one in samples for part in (cut(one, most) if one.sample.kind == "lines" else [one])]

    def _example(
        self, prompter: Prompter, rng: random.Random, one: Perceived, rate: int, listening: Listening | None
    ) -> Example | None:
        stage = self._stage
        if one.sample.kind not in stage.kinds and "*" not in stage.kinds:
            return None
        if one.sample.kind != "lines" and rng.random() > stage.documents:
            return None
        tasks = chosen(one.sample.tasks, stage.tasks, rng)
        if not tasks or not all(perception.result for perception in one.documents):
            return None
        inputs: list[Perception | Heard] = list(one.documents)
        if one.sample.recordings:
            heard = listening.of(one.sample, rng) if listening is not None else None
            if heard is None:
                return None
            inputs.insert(rng.randint(0, 1), heard)
        return self._made(prompter, inputs, tasks, rng, rate)

    def _made(
        self,
        prompter: Prompter,
        inputs: Sequence[Perception | Heard],
        tasks: Sequence[Task],
        rng: random.Random,
        rate: int,
    ) -> Example | None:
        try:
            example = prompter.example(inputs, tasks, self._mode(rng), rate)
        except DecoderError:  # a schema so long that it leaves no room for the input
            return None
        most = self._stage.longest_answer
        example.branches = [branch for branch in example.branches if len(branch.answer) <= most]
        return fitting(example, self._stage.row_tokens) if example.branches else None

    def _recordings(self, prompter: Prompter, rng: random.Random, rate: int, listening: Listening) -> Iterator[Example]:
        for inputs, tasks in listening.alone(rng):
            picked = chosen(tasks, self._stage.tasks, rng)
            example = self._made(prompter, inputs, picked, rng, rate) if picked else None
            if example is not None:
                yield example

    def _chats(self, prompter: Prompter, rng: random.Random) -> Iterator[Example]:
        assert self._answered is not None
        chats = read_chats(self._answered, answered=True)
        while True:
            for chat in rng.sample(chats, len(chats)):
                example = prompter.chat(chat.turns, chat.answer)
                if len(example) <= self._stage.row_tokens:
                    yield example

    def _mode(self, rng: random.Random) -> str:
        return rng.choices(list(self._stage.modes), list(self._stage.modes.values()))[0]


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


def held(folder: Path, recipe: Recipe, stage: Stage, mode: str, rate: int, count: int) -> Iterator[Batch]:
    """Batches of the first ``count`` perceived samples of a folder, in order, in one mode: for validation."""
    prompter = Prompter(recipe.decoder, recipe.prompt_tokens, recipe.speech_rates)
    gathered: list[Example] = []
    for one in _first(folder, count):
        inputs: list[Perception | Heard] = list(one.documents)
        if one.sample.recordings or not all(perception.result for perception in one.documents):
            continue
        for plain in (True, False):
            tasks = [task for task in one.sample.tasks if (task.schema is None) is plain]
            example = fitting(prompter.example(inputs, tasks, mode, rate), stage.row_tokens) if tasks else None
            if example is not None:
                gathered.append(example)
    rows, _ = rows_of(gathered, stage.row_tokens)
    for start in range(0, len(rows), stage.rows):
        yield batch_of(rows[start : start + stage.rows], stage.row_tokens, rate, recipe.speech_rates, {})


def _first(folder: Path, count: int) -> Iterator[Perceived]:
    left = count
    for path in stored(folder):
        for one in load(path)[:left]:
            left -= 1
            yield one
        if left <= 0:
            return


def collate(batches: list[Any]) -> Any:
    """Batches are made whole by the loader's processes."""
    return batches[0]
