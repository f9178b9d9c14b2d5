"""Examples packed into rows of a fixed length, as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.train.hybrid.chats.chat import Likely
from pipelines.train.hybrid.items import Gathered, Items, Saying, ranges
from pipelines.train.hybrid.parcels import mapped
from pipelines.train.hybrid.prompts import Example


@dataclass(slots=True)
class Batch:
    """Rows of tokens [r, l]. ``learns`` [n] are the places (row * l + column) after which a token of an answer
    is to be written, ``answers`` [n] that token, ``weight`` [n] and ``kind`` [n] its weight in the loss and its kind
    (of JSON, its part); at ``taught_at`` [m] of those places tokens ``taught`` [m, k] are to be as likely as
    ``taught_share`` [m, k] says;
    ``example`` and ``branch`` say who sees whom: a place sees what stands before it in its example's branch 0 and its
    own. ``soft_at`` are places (row * l + column) of soft tokens, ``soft_from`` rows of what the adapters give.
    ``features`` [steps, d_encoder] float16 are those of all lines, ``kept`` [chunks, 1500, d_encoder] float16 those of
    chunks that came with theirs, ``things`` [things, d_encoder] float16 those of what was detected."""

    tokens: torch.Tensor
    position: torch.Tensor
    example: torch.Tensor
    branch: torch.Tensor
    learns: torch.Tensor
    answers: torch.Tensor
    weight: torch.Tensor
    kind: torch.Tensor
    features: torch.Tensor
    items: dict[str, list[Items]]
    rate: int
    soft_at: dict[str, torch.Tensor]
    soft_from: dict[str, torch.Tensor]
    audio: torch.Tensor | None = None
    audio_samples: torch.Tensor | None = None
    kept: torch.Tensor | None = None
    things: torch.Tensor | None = None
    taught_at: torch.Tensor | None = None
    taught: torch.Tensor | None = None
    taught_share: torch.Tensor | None = None
    kinds: tuple[str, ...] = field(default=())

    def to(self, device: torch.device) -> Self:
        """The same on a device."""

        return cast(
            Self, mapped(self, lambda one: one.to(device, non_blocking=True) if isinstance(one, torch.Tensor) else one)
        )


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
    saying: Saying | None = None,
) -> Batch:
    """The tensors of packed rows. ``weights``: of an answer's tokens, by kind; a part of JSON without
    one has that of "json"; 1 where none is given. With ``saying``
    items know the words under their soft tokens."""
    pieces = [piece for r, row in enumerate(rows) for piece in _pieces(row, r * length)]
    counts = np.array([len(piece.tokens) for piece in pieces], np.int64)
    at = ranges(np.array([piece.at for piece in pieces], np.int64), counts)
    ids = np.fromiter((token for piece in pieces for token in piece.tokens), np.int64, int(counts.sum()))
    size = len(rows) * length
    tokens, position = np.zeros(size, np.int64), np.zeros(size, np.int64)
    example, branch = np.full(size, -1, np.int32), np.zeros(size, np.int32)
    tokens[at] = ids.clip(0)
    position[at] = ranges(np.array([piece.begin for piece in pieces], np.int64), counts)
    example[at] = np.repeat([piece.example for piece in pieces], counts)
    branch[at] = np.repeat([piece.branch for piece in pieces], counts)
    answered = [piece for piece in pieces if piece.kind]
    lengths = np.array([len(piece.tokens) - piece.question for piece in answered], np.int64)
    # the place before a token learns it
    learns = ranges(np.array([piece.at + piece.question - 1 for piece in answered], np.int64), lengths)
    gathered = Gathered(rate, rates, saying)
    stop = np.cumsum(counts)
    for begin, end, one in _examples(rows):
        if one.soft:
            first = int(stop[begin] - counts[begin])
            found = ids[first : int(stop[end - 1])]
            soft = np.flatnonzero(found < 0)
            places = np.zeros(len(one.soft), np.int64)
            places[-1 - found[soft]] = at[first + soft]
            gathered.add(one, places.tolist())
    flat: dict[str, NDArray[Any]] = {"tokens": tokens, "position": position, "example": example, "branch": branch}
    each = [kind for piece, length in zip(answered, lengths) for kind in piece.parts or [piece.kind] * int(length)]
    names = sorted(set(each))
    number = {name: k for k, name in enumerate(names)}
    kinds = np.array([number[kind] for kind in each], np.int16)
    shares = np.array([weights.get(name, weights.get(name.split()[0], 1.0)) for name in names], np.float32)
    return Batch(
        **{name: torch.from_numpy(value.reshape(len(rows), length)) for name, value in flat.items()},
        learns=torch.from_numpy(learns),
        answers=torch.from_numpy(tokens[learns + 1]),
        weight=torch.from_numpy(shares[kinds]),
        kind=torch.from_numpy(kinds),
        rate=rate,
        kinds=tuple(names),
        **_taught(answered, lengths),
        **gathered.tensors(),
    )


def _taught(answered: Sequence[_Piece], lengths: NDArray[np.int64]) -> dict[str, torch.Tensor]:
    """What the pieces whose likely tokens are known teach, and where."""
    begins = np.cumsum(lengths) - lengths
    known = [(begin, piece.likely) for begin, piece in zip(begins, answered, strict=True) if piece.likely]
    if not known:
        return {}
    at = np.concatenate([begin + np.arange(len(likely)) for begin, likely in known])
    ids, logs = (np.array([place[which] for _, likely in known for place in likely]) for which in (0, 1))
    share = np.exp(logs.astype(np.float32))
    return {"taught_at": torch.from_numpy(at), "taught": torch.from_numpy(ids), "taught_share": torch.from_numpy(share)}


@dataclass(slots=True)
class _Piece:
    """An example's shared prompt, or a branch: its tokens, of which ``question`` come before an answer; where it stands
    in the batch, its first position, its example's number in the row and its own."""

    tokens: list[int]
    question: int
    kind: str  # empty for a prompt
    at: int
    begin: int
    example: int
    branch: int
    likely: Likely = ()
    parts: Sequence[str] = ()


def _pieces(row: Sequence[Example], at: int) -> Iterator[_Piece]:
    for number, one in enumerate(row):
        yield _Piece(one.prefix, len(one.prefix), "", at, 0, number, 0)
        at += len(one.prefix)
        for k, branch in enumerate(one.branches, 1):
            tokens = branch.question + branch.answer
            yield _Piece(
                tokens, len(branch.question), branch.kind, at, len(one.prefix), number, k, branch.likely, branch.parts
            )
            at += len(tokens)


def _examples(rows: Sequence[Sequence[Example]]) -> Iterator[tuple[int, int, Example]]:
    """Every example with the first and the end of its pieces."""
    at = 0
    for row in rows:
        for one in row:
            yield at, at + 1 + len(one.branches), one
            at += 1 + len(one.branches)
