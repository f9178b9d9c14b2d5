"""How sure an answer is: from the probabilities of the tokens that were chosen, as a whole and leaf by leaf."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from json import JSONDecoder
from typing import Any

from decoder.sequence import Generation

_JSON = JSONDecoder()
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class LeafSpan:
    """A leaf of a JSON text: JSON pointer, value, and the characters [start, stop) that write it."""

    path: str
    value: str | float | int | bool | None
    start: int
    stop: int


def answer_confidence(generation: Generation) -> float:
    """Geometric mean of the probabilities of all tokens that were chosen (not forced), the end among them."""
    chosen = [logprob for logprob in generation.logprobs if logprob != 0.0]
    if generation.end_logprob is not None:
        chosen.append(generation.end_logprob)
    return math.exp(sum(chosen) / len(chosen)) if chosen else 1.0


def span_logprob(generation: Generation, ends: Sequence[int], start: int, stop: int) -> float:
    """Natural-log probability of the characters [start, stop): the sum over their tokens. ``ends``: `token_ends`."""
    total, begin = 0.0, 0
    for end, logprob in zip(ends, generation.logprobs, strict=True):
        if end > start and begin < stop:
            total += logprob
        begin = end
    return total


def token_ends(tokenizer: Any, tokens: Sequence[int]) -> list[int]:
    """Where each token ends in the text of all of them, in characters.

    Decoded growing, a window at a time: a character of several tokens belongs to the last of them.
    """
    if tokenizer.decode(tokens) == "".join(pieces := [tokenizer.decode([token]) for token in tokens]):
        return list(accumulate(map(len, pieces)))
    return [len(tokenizer.decode(tokens[: i + 1])) for i in range(len(tokens))]


def leaves(text: str) -> list[LeafSpan]:
    """Every string, number, boolean and null of a JSON text with its place. The text must be valid JSON."""
    found, stop = _value(text, _skip(text, 0), "")
    if _skip(text, stop) != len(text):
        raise ValueError(f"more follows the JSON at character {stop}")
    return found


def _value(text: str, at: int, path: str) -> tuple[list[LeafSpan], int]:
    if text[at] in "{[":
        return _container(text, at, path)
    if text[at] == '"':
        value, stop = _JSON.raw_decode(text, at)
        return [LeafSpan(path, value, at, stop)], stop
    for word, meaning in (("true", True), ("false", False), ("null", None)):
        if text.startswith(word, at):
            return [LeafSpan(path, meaning, at, at + len(word))], at + len(word)
    number = _NUMBER.match(text, at)
    if number is None:
        raise ValueError(f"no JSON value at character {at}")
    whole = number.group(1) is None and number.group(2) is None
    return [LeafSpan(path, int(number[0]) if whole else float(number[0]), at, number.end())], number.end()


def _container(text: str, at: int, path: str) -> tuple[list[LeafSpan], int]:
    is_object, found, index = text[at] == "{", list[LeafSpan](), 0
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        key = str(index)
        if is_object:
            key, at = _JSON.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        inner, at = _value(text, at, f"{path}/{key.replace('~', '~0').replace('/', '~1')}")
        found += inner
        index += 1
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found, at + 1


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def leaf_names(path: str) -> Iterator[str]:
    """The property names of a JSON pointer, array positions left out."""
    for piece in path.split("/")[1:]:
        if not piece.isdigit():
            yield piece.replace("~1", "/").replace("~0", "~")
