"""The lines, chunks and detected things of a batch, for the adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.adapters.words import laid
from encoders.base import Perception
from encoders.results import Chunk, DocumentResult, Speech
from pipelines.train.hybrid.letters import spelled
from pipelines.train.hybrid.prompts import FRAMES_PER_SECOND, Example, Heard, geometry
from pipelines.train.hybrid.screens.views import Detected

_LENGTHS = {"ocr": (32, 64, 96, 160, 400), "speech_to_text": (250, 500, 1000, 1500), "gui_detection": (1,)}
_TOGETHER, _STEPS = 64, 6400  # items are filled up to a multiple of so many, or of as many as have so many steps
Numbers = NDArray[np.int64]
WINDOW, FRAMES = 480_000, 1500  # samples and frames of whisper's window


@dataclass(slots=True)
class Items:
    """Lines, chunks or things of one padded length t, for one adapter: ``count`` of them, then empty ones, of length 0,
    for few shapes. ``rows`` [n]: where a line's begin in the batch's features, or which of its ``things`` it is; of
    chunks [n, 2]: window and first frame in its recordings, -1 for one of which only the words are known; those stand
    behind the others. ``letters`` [heard, longest] is what is said in the chunks that are heard, as `spelled` writes
    it. ``words`` [n, soft tokens, slots] are the text's tokens under each soft token, as `laid` lays them."""

    rows: torch.Tensor
    lengths: torch.Tensor
    geometry: torch.Tensor
    padded: int
    count: int
    letters: torch.Tensor | None = None
    letter_counts: torch.Tensor | None = None
    words: torch.Tensor | None = None


@dataclass(slots=True)
class _Task:
    """The items of one adapter while they are gathered."""

    rows: list[tuple[int, ...]]
    lengths: list[int]
    geometry: list[NDArray[np.float32]]
    tokens: list[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Saying:
    """How the text of an item becomes tokens, and how many a soft token takes up, by task. ``left_out``: the share of
    them that is not told, so that features have to tell it; drawn from ``rng``."""

    tokens: Callable[[str], Sequence[int]]
    slots: Mapping[str, int]
    left_out: float = 0.0
    rng: np.random.Generator | None = None


class Gathered:
    """Gathers the items of a batch and where their soft tokens go. ``saying``: items know the text's
    tokens under their soft tokens."""

    def __init__(self, rate: int, rates: dict[str, int], saying: Saying | None) -> None:
        self._saying = saying
        self._rates = {**rates, "ocr": rate}
        self._tasks = {task: _Task([], [], [], []) for task in _LENGTHS}
        self._features: list[NDArray[np.float16]] = []
        self._steps = 0
        self._things: list[NDArray[np.float16]] = []
        self._letters: list[list[int]] = []  # of the chunks
        self._audio: list[NDArray[np.int16]] = []
        self._windows: dict[int, int] = {}  # by the samples' identity: parts of one recording share its window
        self._kept: list[NDArray[np.float16]] = []
        self._soft: dict[str, list[tuple[int, int, int]]] = {task: [] for task in _LENGTHS}

    def add(self, example: Example, places: Sequence[int]) -> None:
        """An example whose k-th soft token stands at ``places[k]``."""
        if not example.soft:
            return
        shapes = [geometry(one) for one in example.inputs]
        known: dict[tuple[int, int], tuple[list[tuple[int, int, int]], int]] = {}
        for (number, item, k), place in zip(example.soft, places):
            found = known.get((number, item))
            if found is None:
                one = example.inputs[number]
                if isinstance(one, Detected):
                    task = "gui_detection"
                    self._thing(one, item)
                elif isinstance(one, Perception) and isinstance(one.result, Speech):
                    task = "speech_to_text"
                    self._kept_chunk(one, one.result, item)
                elif isinstance(one, Perception):
                    task = "ocr"
                    self._line(one, item)
                else:
                    task = "speech_to_text"
                    self._spoken_chunk(one, one.speech.chunks[item])
                self._tasks[task].geometry.append(shapes[number][item])
                found = known[number, item] = self._soft[task], len(self._tasks[task].rows) - 1
            found[0].append((found[1], k, place))

    def _spoken_chunk(self, one: Heard, chunk: Chunk) -> None:
        """A chunk of a synthesised recording, or of a transcript alone."""
        task = self._tasks["speech_to_text"]
        window, first = 0, -1
        if one.windows:
            number = one.window(chunk)
            samples = one.windows[number]
            if id(samples) not in self._windows:
                self._windows[id(samples)] = len(self._audio)
                self._audio.append(samples)
            window = self._windows[id(samples)]
            first = max(0, round((chunk.start - one.starts[number]) * FRAMES_PER_SECOND))
        task.rows.append((window, first))
        task.lengths.append(max(1, round((chunk.end - chunk.start) * FRAMES_PER_SECOND)))
        self._letters.append(spelled(chunk.text))
        self._say("speech_to_text", chunk.text)

    def _line(self, one: Perception, item: int) -> None:
        span = one.spans[item]
        self._tasks["ocr"].rows.append((self._steps,))
        self._tasks["ocr"].lengths.append(span.stop - span.start)
        self._features.append(one.features[span.start : span.stop])
        self._steps += span.stop - span.start
        if isinstance(one.result, DocumentResult):
            page = next(page for page in one.result.pages if page.page == span.page)
            self._say("ocr", page.lines[span.item].text)

    def _thing(self, one: Detected, item: int) -> None:
        assert isinstance(one.result, tuple)
        self._tasks["gui_detection"].rows.append((len(self._things),))
        self._tasks["gui_detection"].lengths.append(1)
        self._things.append(one.features[one.spans[item].start])
        self._say("gui_detection", one.result[item].label)

    def _say(self, task: str, text: str) -> None:
        self._tasks[task].tokens.append(self._saying.tokens(text) if self._saying is not None else ())

    def _kept_chunk(self, one: Perception, speech: Speech, item: int) -> None:
        """A chunk with features of its own, that a run has kept: a window alone, counted from the end."""
        span = one.spans[item]
        features = one.features[span.start : span.stop][:FRAMES]
        self._kept.append(features)
        self._tasks["speech_to_text"].rows.append((-len(self._kept), 0))
        self._tasks["speech_to_text"].lengths.append(len(features))
        self._letters.append(spelled(speech.chunks[span.item].text))
        self._say("speech_to_text", speech.chunks[span.item].text)

    def tensors(self) -> dict[str, Any]:
        """What `Batch` keeps of it."""
        items: dict[str, list[Items]] = {}
        at: dict[str, torch.Tensor] = {}
        source: dict[str, torch.Tensor] = {}
        for task, gathered in self._tasks.items():
            first = np.zeros(len(gathered.rows), np.int64)  # where an item's tokens begin among all of its adapter
            items[task], given = [], 0
            for length, chosen in _buckets(np.array(gathered.lengths, np.int64), _LENGTHS[task]):
                each = -(-length // self._rates[task])
                if task == "speech_to_text":
                    silent = np.array([gathered.rows[index][1] < 0 for index in chosen])
                    chosen = chosen[np.argsort(silent, kind="stable")]
                first[chosen] = given + each * np.arange(len(chosen))
                made = _filled(gathered, chosen, length)
                if task == "speech_to_text":
                    heard = chosen[: len(chosen) - int(silent.sum())]
                    made.letters, made.letter_counts = _letters([self._letters[index] for index in heard])
                if self._saying is not None and self._saying.slots.get(task):
                    made.words = self._words(gathered, chosen, len(made.lengths), each, task)
                items[task].append(made)
                given += each * len(made.lengths)
            soft = np.array(self._soft[task], np.int64).reshape(-1, 3)
            at[task] = torch.from_numpy(soft[:, 2].copy())
            source[task] = torch.from_numpy(first[soft[:, 0]] + soft[:, 1])
        features = np.concatenate(self._features) if self._features else np.zeros((0, 0), np.float16)
        return {
            "features": torch.from_numpy(features),
            "things": torch.from_numpy(np.stack(self._things)) if self._things else None,
            "items": items,
            "soft_at": at,
            "soft_from": source,
            "audio": _windows(self._audio) if self._audio else None,
            "audio_samples": torch.tensor([len(samples) for samples in self._audio]),
            "kept": _frames(self._kept[::-1]) if self._kept else None,
        }

    def _words(self, gathered: _Task, chosen: Numbers, whole: int, each: int, task: str) -> torch.Tensor:
        assert self._saying is not None
        slots = self._saying.slots[task]
        words = np.full((whole, each, slots), -1, np.int32)
        for under, index in zip(words, chosen):
            count = -(-gathered.lengths[index] // self._rates[task])
            under[:count] = laid(gathered.tokens[index], count, slots)
        if self._saying.left_out and self._saying.rng is not None:
            words[self._saying.rng.random(words.shape) < self._saying.left_out] = -1
        return torch.from_numpy(words)


def ranges(firsts: Numbers, counts: Numbers) -> Numbers:
    """first, first + 1, ... of each of ``firsts`` [n], as many as ``counts`` [n] says, one behind another."""
    before = np.cumsum(counts) - counts
    return np.repeat(firsts - before, counts) + np.arange(int(counts.sum()))


def _filled(gathered: _Task, chosen: Numbers, length: int) -> Items:
    """Some items, filled up."""
    count = len(chosen)
    together = max(1, min(_TOGETHER, _STEPS // length))
    whole = -(-count // together) * together
    rows = np.zeros((whole, len(gathered.rows[0])), np.int64)
    rows[:count] = [gathered.rows[index] for index in chosen]
    lengths, shapes = np.zeros(whole, np.int64), np.zeros((whole, len(gathered.geometry[0])), np.float32)
    lengths[:count] = [gathered.lengths[index] for index in chosen]
    shapes[:count] = [gathered.geometry[index] for index in chosen]
    placed = torch.from_numpy(rows if rows.shape[1] > 1 else rows[:, 0])
    return Items(placed, torch.from_numpy(lengths), torch.from_numpy(shapes), length, count)


def _letters(texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """[n, longest] padded with blanks, and how many count."""
    counts = [len(text) for text in texts]
    padded = np.zeros((len(texts), max([1, *counts])), np.int64)
    for place, text in zip(padded, texts):
        place[: len(text)] = text
    return torch.from_numpy(padded), torch.tensor(counts, dtype=torch.long)


def _windows(audio: Sequence[NDArray[np.int16]]) -> torch.Tensor:
    windows = np.empty((len(audio), WINDOW), np.int16)
    for row, samples in zip(windows, audio):
        row[: len(samples)] = samples[:WINDOW]
        row[len(samples) :] = 0
    return torch.from_numpy(windows)


def _frames(kept: Sequence[NDArray[np.float16]]) -> torch.Tensor:
    """[n, 1500, d], each filled up with zeros."""
    frames = np.zeros((len(kept), FRAMES, kept[0].shape[1]), np.float16)
    for row, features in zip(frames, kept):
        row[: len(features)] = features
    return torch.from_numpy(frames)


def _buckets(lengths: Numbers, bounds: Sequence[int]) -> Iterator[tuple[int, Numbers]]:
    before = 0
    more = -(-int(lengths.max(initial=1)) // bounds[-1]) * bounds[-1]
    for bound in sorted({*bounds, more}):
        chosen = np.flatnonzero((lengths > before) & (lengths <= bound))
        if len(chosen):
            yield bound, chosen
        before = bound
