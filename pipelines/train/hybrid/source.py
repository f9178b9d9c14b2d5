"""Endless batches for one training process, made by loader processes from perceived samples and recordings."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from encoders.base import Perception
from pipelines.train.hybrid.batches import Batch, batch_of, rows_of
from pipelines.train.hybrid.examples import Examples, fitting
from pipelines.train.hybrid.items import Saying
from pipelines.train.hybrid.parcels import Parcel
from pipelines.train.hybrid.perceived import Perceived, load, stored
from pipelines.train.hybrid.prompts import Example, Heard, Prompter
from pipelines.train.hybrid.recipe import Recipe, Stage


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an ablation takes away from every soft token."""

    geometry: bool = True
    confidence: bool = True


def taken_away(batch: Batch, conditions: Conditions) -> None:
    """A batch's soft tokens as the conditions want them, in place."""
    for group in (group for items in batch.items.values() for group in items):
        if not conditions.geometry:
            group.geometry[:, :5] = 0
        if not conditions.confidence:
            group.geometry[:, 5] = 1


class Source(IterableDataset[Batch]):
    """Batches of packed rows; ``folder`` may grow while they are made."""

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        folder: Path,
        speech: Path | None,
        chats: Path | None,
        seed: int,
        screens: Path | None = None,
    ) -> None:
        self._recipe, self._stage, self._folder, self._speech, self._seed = recipe, stage, folder, speech, seed
        self._chats, self._screens = chats, screens

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        rng = random.Random(f"{self._seed}-{worker.id if worker else 0}-{self._stage.name}")
        recipe, stage = self._recipe, self._stage
        prompter = Prompter(recipe.decoder, recipe.prompt_tokens, recipe.speech_rates)
        examples = Examples(recipe, stage, prompter, self._folder, self._speech, self._chats, rng, self._screens)
        drawn = np.random.default_rng(rng.getrandbits(64))
        saying = Saying(prompter.tokens, recipe.slots, stage.words_left_out, drawn)
        spare: dict[int, list[Example]] = {rate: [] for rate in stage.rates}
        while True:
            rate = rng.choice(list(stage.rates))
            gathered = spare[rate]
            size, wanted = sum(map(len, gathered)), stage.rows * stage.row_tokens
            while size < wanted * 1.01:
                gathered.append(examples.next(rate))
                size += len(gathered[-1])
            rows = sorted(rows_of(gathered, stage.row_tokens)[0], key=lambda row: -sum(map(len, row)))
            spare[rate] = [example for row in rows[stage.rows :] for example in row]
            whole = filled(rows[: stage.rows], stage.rows)
            yield batch_of(whole, stage.row_tokens, rate, recipe.speech_rates, stage.weights, saying)


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
        part = filled(rows[start : start + stage.rows], stage.rows)
        yield batch_of(part, stage.row_tokens, rate, recipe.speech_rates, {}, Saying(prompter.tokens, recipe.slots))


def filled(rows: Sequence[Sequence[Example]], count: int) -> list[Sequence[Example]]:
    """With as many empty rows as are missing: compiled layers want batches of one shape."""
    return [*rows, *([] for _ in range(count - len(rows)))]


def _first(folder: Path, count: int) -> Iterator[Perceived]:
    left = count
    for path in stored(folder):
        for one in load(path)[:left]:
            left -= 1
            yield one
        if left <= 0:
            return


def collate(batches: list[Batch]) -> Parcel[Batch]:
    """Batches are made whole by the loader's processes, and packed for the way."""
    return Parcel.of(batches[0])
