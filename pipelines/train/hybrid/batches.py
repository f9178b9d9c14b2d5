"""Examples packed into rows of a fixed length, as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Perception
from encoders.results import DocumentResult
from pipelines.train.hybrid.copying import Offsets, Under, under
from pipelines.train.hybrid.letters import spelled
from pipelines.train.hybrid.prompts import FRAMES_PER_SECOND, Example, geometry

_LENGTHS = {"ocr": (32, 64, 96, 160, 400), "speech_to_text": (250, 500, 1000, 1500)}
WINDOW = 480_000  # samples of whisper's window


@dataclass(slots=True)
class Items:
    """Lines or chunks of one padded length, for one adapter: rows [n, t, d] float16, or, for chunks, where in the
    batch's recordings they stand: window, first frame; and what is said in them, as `spelled` writes it.
    ``padded`` is t. ``copies`` [k, 2]: a soft token, counted over all of the items, and a text token under it, with
    ``shares`` [k]."""

    rows: torch.Tensor
    lengths: torch.Tensor
    geometry: torch.Tensor
    padded: int
    letters: torch.Tensor | None = None
    letter_counts: torch.Tensor | None = None
    copies: torch.Tensor | None = None
    shares: torch.Tensor | None = None


@dataclass(slots=True)
class Batch:
    """Rows of tokens [r, l]. ``learns`` [n] are the places (row * l + column) after which a token of an answer
    is to be written, ``answers`` [n] that token, ``weight`` [n] and ``kind`` [n] its weight in the loss and its kind;
    ``example`` and ``branch`` say who sees whom: a place sees what stands before it in its example's branch 0 and its
    own. ``soft_at`` are places (row * l + column) of soft tokens, ``soft_from`` rows of what the adapters give."""

    tokens: torch.Tensor
    position: torch.Tensor
    example: torch.Tensor
    branch: torch.Tensor
    learns: torch.Tensor
    answers: torch.Tensor
    weight: torch.Tensor
    kind: torch.Tensor
    items: dict[str, list[Items]]
    rate: int
    soft_at: dict[str, torch.Tensor]
    soft_from: dict[str, torch.Tensor]
    audio: torch.Tensor | None = None
    audio_samples: torch.Tensor | None = None
    kinds: tuple[str, ...] = field(default=())

    def to(self, device: torch.device) -> Self:
        """The same on a device."""

        def moved(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return value.to(device, non_blocking=True)
            if isinstance(value, dict):
                return {key: moved(one) for key, one in value.items()}
            if isinstance(value, list):
                return [moved(one) for one in value]
            if isinstance(value, Items):
                return Items(*(moved(getattr(value, one.name)) for one in fields(value)))
            return value

        return type(self)(**{one.name: moved(getattr(self, one.name)) for one in fields(self)})

    def pin_memory(self) -> Self:
        """For torch's loader, which knows nothing of this class: left as it is."""
        return self


def rows_of(examples: Sequence[Example], length: int) -> tuple[list[list[Example]], list[Example]]:
    """Examples in rows of at most ``length`` tokens, first fit; and those that are longer than a row."""
    rows: list[list[Example]] = []
    free: list[int] = []
    over: list[Example] = []
    for example in sorted(examples, key=len, reverse=True):
        size = len(example)
        if size > length:
            over.append(example)
            continue
        for index, left in enumerate(free):
            if size <= left:
                rows[index].append(example)
                free[index] -= size
                break
        else:
            rows.append([example])
            free.append(length - size)
    return rows, over


def batch_of(
    rows: Sequence[Sequence[Example]],
    length: int,
    rate: int,
    rates: dict[str, int],
    weights: dict[str, float],
    offsets: Offsets | None = None,
) -> Batch:
    """The tensors of packed rows. ``weights``: of an answer's tokens, by kind; 1 where none is given. With ``offsets``
    lines know the text tokens under their soft tokens."""
    shape = len(rows), length
    tokens, position = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    example, branch = np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
    target, kind = np.full(shape, -100, np.int64), np.zeros(shape, np.int16)
    weight = np.zeros(shape, np.float32)
    kinds = sorted({b.kind for row in rows for e in row for b in e.branches})
    soft = _Soft(rate, rates, offsets)
    for r, row in enumerate(rows):
        at = 0
        for number, one in enumerate(row):
            keys = soft.add(one)
            start = at
            for k, pieces in enumerate(_pieces(one)):
                text, first_answer, answered = pieces
                stop = at + len(text)
                ids = np.array(text)
                for place in np.flatnonzero(ids < 0):
                    soft.place(keys[-1 - ids[place]], r * length + at + int(place))
                tokens[r, at:stop] = np.maximum(ids, 0)
                begin = 0 if k == 0 else len(one.prefix)
                position[r, at:stop] = np.arange(begin, begin + len(text))
                example[r, at:stop], branch[r, at:stop] = number, k
                if answered is not None:
                    # the place before a token learns it
                    target[r, at + first_answer - 1 : stop - 1] = text[first_answer:]
                    weight[r, at + first_answer - 1 : stop - 1] = weights.get(answered, 1.0)
                    kind[r, at + first_answer - 1 : stop - 1] = kinds.index(answered)
                at = stop
            assert at - start == len(one)
    integer = {name: torch.from_numpy(value) for name, value in (("tokens", tokens), ("position", position))}
    learns = np.flatnonzero(target.ravel() >= 0)
    return Batch(
        **integer,
        example=torch.from_numpy(example),
        branch=torch.from_numpy(branch),
        learns=torch.from_numpy(learns),
        answers=torch.from_numpy(target.ravel()[learns]),
        weight=torch.from_numpy(weight.ravel()[learns]),
        kind=torch.from_numpy(kind.ravel()[learns]),
        rate=rate,
        kinds=tuple(kinds),
        **soft.tensors(),
    )


def _pieces(one: Example) -> Iterator[tuple[list[int], int, str | None]]:
    """The shared prompt and every branch: tokens, where the answer begins, and its kind."""
    yield one.prefix, len(one.prefix), None
    for branch in one.branches:
        yield branch.question + branch.answer, len(branch.question), branch.kind


Key = tuple[str, int, int]  # task, item of the whole batch, soft token of the item


class _Soft:
    """Gathers the items of a batch and where their soft tokens go."""

    def __init__(self, rate: int, rates: dict[str, int], offsets: Offsets | None) -> None:
        self._offsets = offsets
        self._under: list[Under] = []  # of the lines
        self._rates = {**rates, "ocr": rate}
        self._rows: dict[str, list[Any]] = {"ocr": [], "speech_to_text": []}
        self._geometry: dict[str, list[NDArray[np.float32]]] = {"ocr": [], "speech_to_text": []}
        self._audio: list[NDArray[np.int16]] = []
        self._places: list[tuple[Key, int]] = []

    def add(self, example: Example) -> list[Key]:
        """The items of an example that have soft tokens; the key of each of its soft tokens."""
        known: dict[tuple[int, int], tuple[str, int]] = {}
        places = [geometry(one) if example.soft else None for one in example.inputs]
        windows: dict[int, int] = {}
        for number, item, _ in example.soft:
            if (number, item) in known:
                continue
            one = example.inputs[number]
            task = "ocr" if isinstance(one, Perception) else "speech_to_text"
            known[number, item] = task, len(self._rows[task])
            if isinstance(one, Perception):
                span = one.spans[item]
                self._rows[task].append(one.features[span.start : span.stop])
                if self._offsets is not None and isinstance(one.result, DocumentResult):
                    page = next(page for page in one.result.pages if page.page == span.page)
                    steps = span.stop - span.start
                    self._under.append(under(page.lines[span.item], steps, self._rates[task], self._offsets))
            else:
                if number not in windows:
                    windows[number] = len(self._audio)
                    self._audio += one.windows
                chunk = one.speech.chunks[item]
                window = one.window(chunk)
                first = round((chunk.start - one.starts[window]) * FRAMES_PER_SECOND)
                count = max(1, round((chunk.end - chunk.start) * FRAMES_PER_SECOND))
                self._rows[task].append((windows[number] + window, first, count, spelled(chunk.text)))
            found = places[number]
            assert found is not None
            self._geometry[task].append(found[item])
        return [(*known[number, item], k) for number, item, k in example.soft]

    def place(self, key: Key, at: int) -> None:
        """The soft token of that key stands there."""
        self._places.append((key, at))

    def tensors(self) -> dict[str, Any]:
        """What `Batch` keeps of it."""
        items: dict[str, list[Items]] = {}
        first: dict[tuple[str, int], int] = {}  # where an item's tokens begin among all that its adapter gives
        for task, rows in self._rows.items():
            items[task], given = [], 0
            for length, chosen in _buckets([_length(row) for row in rows], _LENGTHS[task]):
                rate = self._rates[task]
                each = -(-length // rate)
                for index in chosen:
                    first[task, index] = given
                    given += each
                lengths = torch.tensor([_length(rows[index]) for index in chosen])
                stacked = np.stack([self._geometry[task][index] for index in chosen])
                letters = _letters([rows[i] for i in chosen]) if task == "speech_to_text" else ()
                placed = _rows([rows[i] for i in chosen], length)
                made = Items(placed, lengths, torch.from_numpy(stacked), length, *letters)
                if task == "ocr" and self._under:
                    made.copies, made.shares = _copies([self._under[i] for i in chosen], each)
                items[task].append(made)
        at: dict[str, list[int]] = {task: [] for task in items}
        source: dict[str, list[int]] = {task: [] for task in items}
        for (task, item, k), place in self._places:
            at[task].append(place)
            source[task].append(first[task, item] + k)
        audio = None
        if self._audio:
            audio = torch.zeros((len(self._audio), WINDOW), dtype=torch.int16)
            for row, samples in zip(audio, self._audio):
                row[: min(len(samples), WINDOW)] = torch.from_numpy(samples[:WINDOW])
        return {
            "items": items,
            "soft_at": {task: torch.tensor(found) for task, found in at.items()},
            "soft_from": {task: torch.tensor(found) for task, found in source.items()},
            "audio": audio,
            "audio_samples": torch.tensor([len(samples) for samples in self._audio]),
        }


def _length(row: Any) -> int:
    return int(row[2]) if isinstance(row, tuple) else len(row)


def _rows(rows: Sequence[Any], length: int) -> torch.Tensor:
    """Features padded to a length; for chunks [n, 2], the window and the first frame."""
    if isinstance(rows[0], tuple):
        return torch.tensor([row[:2] for row in rows])
    padded = np.zeros((len(rows), length, rows[0].shape[1]), np.float16)
    for place, row in zip(padded, rows):
        place[: len(row)] = row
    return torch.from_numpy(padded)


def _copies(chosen: Sequence[Under], each: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The soft and text tokens of `Items`, and their shares; an item has ``each`` soft tokens, padding included."""
    found = [
        (number * each + k, token, share)
        for number, one in enumerate(chosen)
        for k, tokens in enumerate(one)
        for token, share in tokens.items()
    ]
    pairs = torch.tensor([pair[:2] for pair in found], dtype=torch.int64).reshape(-1, 2)
    return pairs, torch.tensor([pair[2] for pair in found])


def _letters(rows: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """[n, longest] padded with blanks, and how many count."""
    counts = torch.tensor([len(row[3]) for row in rows])
    padded = torch.zeros((len(rows), max(1, int(counts.max()))), dtype=torch.int64)
    for place, row in zip(padded, rows):
        place[: len(row[3])] = torch.tensor(row[3], dtype=torch.int64)
    return padded, counts


def _buckets(lengths: Sequence[int], bounds: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    before = 0
    for bound in (*bounds, max([bounds[-1], *lengths])):
        chosen = [index for index, length in enumerate(lengths) if before < length <= bound]
        if chosen:
            yield bound, chosen
        before = bound
