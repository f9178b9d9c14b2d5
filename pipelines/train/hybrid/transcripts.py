"""Transcripts as production leaves them: sentences with times, confidence, and speakers in order of first word."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from encoders.results import Chunk, Speech, SpokenWord
from encoders.speech.chunks import chunks_of, contiguous
from pipelines.train.hybrid.prompts import Heard
from pipelines.train.hybrid.samples import READ_ALOUD, Sample, Task, Turn
from pipelines.train.hybrid.speech.calls import call
from pipelines.train.hybrid.speech.spellings import Spelling
from pipelines.train.hybrid.speech.texts import TEMPLATES, made_up
from pipelines.train.hybrid.speech.utterances import TRAINING, read

_SURE = (0.78, 1.0)  # what whisper says of words that it reads right
_CALLS = 1 << 18  # different ones; those of the evaluation begin at a million
_INTRODUCED = 0.6  # share of calls that begin as no synthesised one does
_PACES = (11.0, 19.0)  # characters a second
_WINDOW = 30.0
_ALIKE = 0.3  # share of readings with several sentences of one pattern
READ = 0.45
"""Share of read sentences among recordings; their only task is to be written down."""


def transcript(turns: Sequence[Turn], rng: random.Random) -> Speech:
    """What a recogniser that errs nowhere makes of turns with times: words spread over their turn, and chunks of them
    by production's own rule."""
    names: dict[str, str] = {}
    words: list[SpokenWord] = []
    for turn in turns:
        name = names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}")
        each = (turn.end - turn.start) / max(1, len(turn.text))
        for found in re.finditer(r"\S+", turn.text):
            start, end = turn.start + each * found.start(), turn.start + each * found.end()
            words.append(SpokenWord(found.group(), start, end, rng.uniform(*_SURE), name))
    chunks = tuple(replace(one, words=()) for one in contiguous(chunks_of(words, [True] * len(words))))
    seconds = turns[-1].end if turns else 0.0
    return Speech(" ".join(turn.text for turn in turns), "en", 1.0, seconds, chunks)


def timed(turns: Sequence[Turn], rng: random.Random) -> list[Turn]:
    """Turns that nobody has spoken, with times as if."""
    pace, end, found = rng.uniform(*_PACES), 0.0, []
    for turn in turns:
        start = end + rng.uniform(0.2, 1.0)
        end = start + len(turn.text) / (pace * rng.uniform(0.9, 1.1))
        found.append(replace(turn, start=start, end=end))
    return found


class Transcripts:
    """Recordings of which only the words are known: as many as there are texts, for no more than a prompt costs."""

    def __init__(self, folder: Path | None) -> None:
        texts = () if folder is None or not (folder / TRAINING).exists() else read(folder)
        self._sentences = tuple(group[0].text for group in texts if group[0].key.startswith("read/"))

    def alone(self, rng: random.Random) -> Iterator[tuple[list[Heard], tuple[Task, ...]]]:
        """Read sentences and calls without end."""
        while True:
            if rng.random() < READ:
                heard = _unheard(self._reading(rng), rng)
                yield [heard], (read_aloud(heard, rng),)
                continue
            sample = call(rng.randrange(_CALLS), introduced=rng.random() < _INTRODUCED)
            spelling = Spelling(rng)
            heard = _unheard(timed(spelling.printed(sample.recordings[0]), rng), rng)
            yield [heard], (*spelling.answered(sample.tasks), *([read_aloud(heard, rng)] if rng.random() < 0.3 else []))

    @staticmethod
    def of(sample: Sample, rng: random.Random) -> Heard:
        """The recording of a pair."""
        return _unheard(timed(Spelling(rng).printed(sample.recordings[0]), rng), rng)

    def _reading(self, rng: random.Random) -> list[Turn]:
        turns: list[Turn] = []
        left = _WINDOW if rng.random() < 0.8 else rng.uniform(4, _WINDOW)
        # of sentences that begin alike one was left out: what was written last does not tell which comes next
        alike = rng.sample(TEMPLATES, 2) if rng.random() < _ALIKE else None
        while True:
            made = not self._sentences or rng.random() < (0.15 if alike is None else 0.7)
            text = made_up(rng, False, alike or TEMPLATES) if made else rng.choice(self._sentences)
            left -= len(text) / sum(_PACES) * 2 + 0.6  # about as long as it takes
            if turns and left < 0:
                return timed(turns, rng)
            turns.append(Turn("", text))


def read_aloud(heard: Heard, rng: random.Random) -> Task:
    """To write down all that is said."""
    return Task("hear", rng.choice(READ_ALOUD), None, heard.speech.text)


def some_of(heard: Heard, sentences: int, rng: random.Random) -> tuple[Heard, Task]:
    """Some neighbouring sentences of a recording, to be written down: a decoder learns to read one before it reads
    half a minute. The windows stay whole and shared."""
    chunks = heard.speech.chunks
    first = rng.randrange(max(1, len(chunks) - sentences + 1))
    chosen = _renamed(chunks[first : first + sentences])
    text = " ".join(chunk.text for chunk in chosen)
    cut = replace(heard, speech=replace(heard.speech, text=text, chunks=chosen))
    return cut, read_aloud(cut, rng)


def _renamed(chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
    names: dict[str | None, str] = {}
    return tuple(replace(one, speaker=names.setdefault(one.speaker, f"SPEAKER_{len(names):02d}")) for one in chunks)


def _unheard(turns: Sequence[Turn], rng: random.Random) -> Heard:
    return Heard((), (), transcript(turns, rng))
