"""Recordings as inputs of examples: read sentences, calls, and calls that belong to a perceived page."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from encoders.results import Chunk, Speech
from pipelines.train.hybrid.prompts import Heard
from pipelines.train.hybrid.samples import READ_ALOUD, Sample, Task
from pipelines.train.hybrid.speech.recordings import Recordings, Window, sample_of
from pipelines.train.hybrid.speech.voices import RATE

_SURE = (0.75, 0.99)  # what whisper says of words that it reads right
_READ = 0.45  # share of read sentences among recordings; their only task is to be written down


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
            if not self._calls or (self._recordings.reads and rng.random() < _READ):
                window = self._recordings.reading(seed)
                heard = heard_of([window], [0.0], rng)
                yield [heard], (Task("hear", rng.choice(READ_ALOUD), None, heard.speech.text),)
                continue
            key = rng.choice(self._calls)
            call = self._recordings.call(key, seed, sample_of(key))
            heard = heard_of(call.windows, call.starts, rng)
            read = Task("hear", rng.choice(READ_ALOUD), None, heard.speech.text)
            yield [heard], (*call.sample.tasks, *([read] if rng.random() < 0.3 else []))

    def of(self, sample: Sample, rng: random.Random) -> Heard | None:
        """The recording of a pair; None when it is not synthesised."""
        key = f"pair/{sample.seed}"
        if key not in self._known:
            return None
        call = self._recordings.call(key, rng.randrange(1 << 30), sample)
        return heard_of(call.windows, call.starts, rng)


def heard_of(
    windows: list[Window] | tuple[Window, ...], starts: list[float] | tuple[float, ...], rng: random.Random
) -> Heard:
    """Windows with their turns as a recording with its transcript; speakers are numbered in order of first word."""
    chunks: list[Chunk] = []
    names: dict[str, str] = {}
    for window, start in zip(windows, starts):
        for turn in window.turns:
            name = names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}")
            chunks.append(Chunk(turn.text, turn.start + start, turn.end + start, rng.uniform(*_SURE), name))
    speech = Speech(" ".join(c.text for c in chunks), "en", 1.0, starts[-1] + windows[-1].seconds, tuple(chunks))
    samples = [window.samples[: round(window.seconds * RATE)] for window in windows]
    stored = tuple(np.clip(one * 32767, -32768, 32767).astype(np.int16) for one in samples)
    return Heard(stored, tuple(starts), speech)
