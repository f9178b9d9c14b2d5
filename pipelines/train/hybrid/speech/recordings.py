"""Synthesised speech as training windows: 30 s of samples with who says what from when to when."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.train.hybrid.samples import Sample, Turn
from pipelines.train.hybrid.speech.augment import PACES, paced, recorded, told_apart
from pipelines.train.hybrid.speech.synthesise import read_index
from pipelines.train.hybrid.speech.voices import GROUPS, RATE, group_of

WINDOW = 30 * RATE
FOLDS = tuple(GROUPS)
_ENOUGH = 100
"""Sentences of a voice: one with as many is heard as often as any other. Of the fast voice there are twenty times as many
as of each of the others, and what learns from that alone has heard one network speak."""
_ALONE = 0.5  # share of windows of sentences that one voice reads alone, as recordings mostly are


@dataclass(frozen=True, slots=True)
class Window:
    """[480000] float32 samples at 16 kHz, silent behind ``seconds``, and the turns in it; their times are seconds from
    its start."""

    samples: NDArray[np.float32]
    turns: tuple[Turn, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A synthesised call: its sample, with the times of the turns in the whole recording, and its windows in order.
    Window k starts ``starts[k]`` seconds into the recording."""

    sample: Sample
    windows: tuple[Window, ...]
    starts: tuple[float, ...]


class Recordings:
    """What `synthesise` left in a folder. ``fold`` "A" or "B" leaves that group of three voices out; None has all.
    The same seed gives the same window. Safe to use from forked processes: audio is mapped, not read."""

    def __init__(self, folder: Path, *, fold: str | None = None) -> None:
        if fold is not None and fold not in FOLDS:
            raise ValueError(f"fold {fold!r}: there are {', '.join(FOLDS)} and None")
        self._folder = folder
        self._read: list[dict[str, Any]] = []
        calls: dict[str, list[dict[str, Any]]] = {}
        for entry in read_index(folder):
            if fold is not None and group_of(entry["voice"]) == fold:
                continue
            if entry["key"].startswith("read/"):
                self._read.append(entry)
            else:
                calls.setdefault(entry["key"], []).append(entry)
        self._by_voice: dict[str, list[dict[str, Any]]] = {}
        for entry in self._read:
            self._by_voice.setdefault(entry["voice"], []).append(entry)
        shares = np.array([min(len(own), _ENOUGH) for own in self._by_voice.values()], np.float64)
        self._shares = shares / shares.sum() if self._read else shares
        self._calls = {key: sorted(entries, key=lambda entry: entry["turn"]) for key, entries in calls.items()}
        if not self._read and not self._calls:
            raise FileNotFoundError(f"{folder}: no synthesised speech, run pipelines.train.hybrid.speech.synthesise")

    @property
    def calls(self) -> tuple[str, ...]:
        """Names of the calls and pairs that there are: ``call/7``, ``pair/7``; the number is the sample's seed."""
        return tuple(self._calls)

    @property
    def reads(self) -> bool:
        """Whether there are sentences for `reading`."""
        return bool(self._read)

    @property
    def voices(self) -> frozenset[str]:
        """Every voice, blends included."""
        return frozenset(entry["voice"] for entries in (self._read, *self._calls.values()) for entry in entries)

    def reading(self, seed: int, *, augmented: bool = True) -> Window:
        """Random sentences with pauses until the window is full. Neighbours in one voice are one turn."""
        rng = np.random.default_rng([seed, 1])
        pieces, turns, end = list[NDArray[np.float32]](), list[Turn](), 0
        names: dict[str, str] = {}
        limit = WINDOW if rng.random() < 0.8 else int(RATE * rng.uniform(4, 30))
        own = self._voice(rng) if rng.random() < _ALONE else None
        while True:
            sentences = own or self._voice(rng)
            entry = sentences[int(rng.integers(len(sentences)))]
            samples = self._spoken(entry, _pace(rng, augmented))
            pause = int(RATE * rng.choice((rng.uniform(0.1, 0.8), rng.uniform(0.3, 2.0))))
            if end + pause + len(samples) > limit and turns:
                break
            samples = samples[: limit - pause]  # a sentence is a few seconds long: never cut
            name = names.setdefault(entry["voice"], f"SPEAKER_{len(names):02d}")
            pieces += [np.zeros(pause, np.float32), samples * np.float32(rng.uniform(0.5, 1))]
            turns.append(Turn(name, entry["text"], (end + pause) / RATE, (end + pause + len(samples)) / RATE))
            end += pause + len(samples)
        return self._window(pieces, turns, rng, augmented)

    def _voice(self, rng: np.random.Generator) -> list[dict[str, Any]]:
        """The sentences of some voice."""
        return list(self._by_voice.values())[int(rng.choice(len(self._shares), p=self._shares))]

    def call(self, key: str, seed: int, sample: Sample, *, augmented: bool = True) -> Heard:
        """A call with its windows; ``sample`` is what its seed makes (`call` or `pair`). Windows begin with a turn."""
        rng = np.random.default_rng([seed, 2])
        entries = self._calls[key]
        if [entry["text"] for entry in entries] != [turn.text for turn in sample.recordings[0]]:
            raise ValueError(f"{key}: the synthesised texts are not the sample's; run prepare and synthesise again")
        paces = told_apart(list(dict.fromkeys(entry["voice"] for entry in entries)), rng)
        levels = {voice: np.float32(rng.uniform(0.5, 1)) for voice in paces}
        begun, base = [0.0], 0  # where windows start, in seconds and in samples
        groups: list[tuple[list[NDArray[np.float32]], list[Turn]]] = [([], [])]
        whole, end = [], 0
        for entry in entries:
            samples = self._spoken(entry, paces[entry["voice"]]) * levels[entry["voice"]]
            pause = int(RATE * rng.uniform(0.1, 0.9))
            if end + pause + len(samples) - base > WINDOW:
                base = end
                begun.append(base / RATE)
                groups.append(([], []))
            groups[-1][0].extend((np.zeros(pause, np.float32), samples))
            turn = Turn(entry["speaker"], entry["text"], (end + pause) / RATE, (end + pause + len(samples)) / RATE)
            whole.append(turn)
            groups[-1][1].append(replace(turn, start=turn.start - base / RATE, end=turn.end - base / RATE))
            end += pause + len(samples)
        windows = [self._window(pieces, turns, rng, augmented) for pieces, turns in groups]
        return Heard(replace(sample, recordings=(tuple(whole),)), tuple(windows), tuple(begun))

    def _window(
        self, pieces: Sequence[NDArray[np.float32]], turns: Sequence[Turn], rng: np.random.Generator, augmented: bool
    ) -> Window:
        samples = np.concatenate(pieces)
        if augmented:
            samples = recorded(samples, rng, self._babble(len(samples), rng) if rng.random() < 0.2 else None)
        window = np.zeros(WINDOW, np.float32)
        window[: len(samples)] = samples
        return Window(window, tuple(turns), len(samples) / RATE)

    def _babble(self, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Four to six voices at once, of unit power."""
        total = np.zeros(length, np.float32)
        entries = self._read or [entry for call in self._calls.values() for entry in call]
        for _ in range(int(rng.integers(4, 7))):
            at = 0
            while at < length:
                piece = self._spoken(entries[int(rng.integers(len(entries)))], Fraction(1))[: length - at]
                total[at : at + len(piece)] += piece
                at += len(piece)
        return np.asarray(total / max(float(np.sqrt(np.mean(total**2))), 1e-6), np.float32)

    def _spoken(self, entry: dict[str, Any], pace: Fraction) -> NDArray[np.float32]:
        shard = _mapped(self._folder / entry["shard"])
        return paced(np.divide(shard[entry["start"] : entry["stop"]], np.float32(32768), dtype=np.float32), pace)


def _pace(rng: np.random.Generator, augmented: bool) -> Fraction:
    return PACES[int(rng.integers(len(PACES)))] if augmented else Fraction(1)


@lru_cache(maxsize=4096)
def _mapped(path: Path) -> NDArray[np.int16]:
    return np.asarray(np.load(path, mmap_mode="r"))


def sample_of(key: str, faces: Sequence[Any] = ()) -> Sample:
    """The sample that a name of `Recordings.calls` stands for; a pair without faces comes without its page."""
    from pipelines.train.hybrid.speech.calls import call
    from pipelines.train.hybrid.speech.pairs import pair, pair_call

    kind, seed = key.split("/")
    if kind == "call":
        return call(int(seed))
    return pair(int(seed), faces) if faces else pair_call(int(seed))


def shuffled(keys: Sequence[str], seed: int) -> list[str]:
    """Names in a seeded order."""
    order = list(keys)
    random.Random(seed).shuffle(order)
    return order
