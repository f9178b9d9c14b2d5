"""Recordings as inputs of examples: read sentences, calls, and calls that belong to a perceived page."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.train.hybrid.prompts import Heard
from pipelines.train.hybrid.samples import Sample, Task
from pipelines.train.hybrid.speech.recordings import Recordings, Window, sample_of
from pipelines.train.hybrid.speech.spellings import Spelling
from pipelines.train.hybrid.speech.voices import RATE
from pipelines.train.hybrid.transcripts import READ, read_aloud, transcript


class Listening:
    """What was synthesised in a folder, as far as it is when this is made."""

    def __init__(self, folder: Path, fold: str | None) -> None:
        self._recordings = Recordings(folder, fold=fold)
        self._calls = [key for key in self._recordings.calls if key.startswith("call/")]
        self._known = set(self._recordings.calls)

    def alone(self, rng: random.Random) -> Iterator[tuple[list[Heard], tuple[Task, ...]]]:
        """Read sentences and calls without end."""
        while True:
            seed = rng.randrange(1 << 30)
            if not self._calls or (self._recordings.reads and rng.random() < READ):
                heard = heard_of([self._recordings.reading(seed)], [0.0], rng)
                yield [heard], (read_aloud(heard, rng),)
                continue
            key = rng.choice(self._calls)
            call = self._recordings.call(key, seed, sample_of(key))
            spelling = Spelling(rng)
            heard = heard_of(call.windows, call.starts, rng, spelling)
            tasks = spelling.answered(call.sample.tasks)
            yield [heard], (*tasks, *([read_aloud(heard, rng)] if rng.random() < 0.3 else []))

    def of(self, sample: Sample, rng: random.Random) -> Heard | None:
        """The recording of a pair; None when it is not synthesised."""
        key = f"pair/{sample.seed}"
        if key not in self._known:
            return None
        call = self._recordings.call(key, rng.randrange(1 << 30), sample)
        return heard_of(call.windows, call.starts, rng, Spelling(rng))


def heard_of(
    windows: Sequence[Window], starts: Sequence[float], rng: random.Random, spelling: Spelling | None = None
) -> Heard:
    """Windows with their turns as a recording with its transcript."""
    turns = [
        replace(turn, start=turn.start + start, end=turn.end + start)
        for window, start in zip(windows, starts, strict=True)
        for turn in window.turns
    ]
    samples = [window.samples[: round(window.seconds * RATE)] for window in windows]
    stored = tuple(np.clip(one * 32767, -32768, 32767).astype(np.int16) for one in samples)
    return Heard(stored, tuple(starts), transcript(spelling.printed(turns) if spelling else turns, rng))
