"""A chat of a training, and files of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

Likely = tuple[tuple[tuple[int, ...], tuple[float, ...]], ...]
"""For each of some tokens those that a decoder found likeliest in its place, with their log probabilities."""


@dataclass(frozen=True, slots=True)
class Chat:
    """Turns {role, content} up to a user's. ``then``: what the user says after the answer to them.

    ``answer``: the tokens of the decoder's answer, the end of its turn included unless it was cut; ``text`` is the same
    to be read. ``likely``: for each of these tokens the ones that the decoder found likeliest there and the natural
    logarithms of their probabilities. All are empty before it is asked.
    """

    kind: str
    turns: tuple[dict[str, str], ...]
    then: tuple[str, ...] = ()
    answer: tuple[int, ...] = ()
    text: str = ""
    likely: Likely = ()


def write_chats(chats: Iterable[Chat], path: Path) -> None:
    """A gzipped file with a chat a line, the same bytes for the same chats."""
    lines = [json.dumps(_plain(chat), ensure_ascii=False) + "\n" for chat in chats]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def read_chats(path: Path, *, answered: bool = False) -> list[Chat]:
    """The chats of a file. Raises ValueError when there are none, or with ``answered`` when one has no answer."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        found = [Chat(**{name: _frozen(value) for name, value in json.loads(line).items()}) for line in stream]
    if not found:
        raise ValueError(f"{path} holds no chats")
    if answered and not all(chat.answer for chat in found):
        raise ValueError(f"{path} holds chats without an answer: run pipelines.train.hybrid.chats.answer on it first")
    return found


def _plain(chat: Chat) -> dict[str, Any]:
    return {one.name: value for one in fields(chat) if (value := getattr(chat, one.name))}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
