"""Which passages of a long document to read for a question: BM25 with neighbours, in document order."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_K1, _B = 1.2, 0.75
_FIRST = 3  # passages at the start that say what the document is
_NEIGHBOUR = 0.5  # of a passage's score that the passages beside it get: a label and its amount may be two
_QUESTION = frozenset(
    re.findall(
        r"\w+",
        "a an the of in on at to for is are was were be what which who whom whose when where why how many much does do "
        "did it its this that these those and or as by from with document page please give tell me find list say says "
        "said there",
    )
)
_WORD = re.compile(r"[a-z]+|\d+|[^\W\d_a-z]+", re.IGNORECASE)


def choose(
    passages: Sequence[str], lengths: Sequence[int], question: str, budget: int, turns: Sequence[int] | None = None
) -> list[int]:
    """Indices of the passages to read, ascending; ``lengths`` are in tokens and their sum stays within ``budget``.

    All of them when they fit. Otherwise the first few, then by relevance to the question until the budget is
    full; those of equal relevance, as without any word in common, by their ``turns``, which are their places.
    """
    if sum(lengths) <= budget:
        return list(range(len(passages)))
    scores = _with_neighbours(_bm25([terms(text) for text in passages], terms(question)))
    order = sorted(range(len(passages)), key=lambda index: (-scores[index], index if turns is None else turns[index]))
    head = range(min(_FIRST, len(passages)))
    chosen: set[int] = set()
    left = budget
    for index, share in [(index, budget // 4) for index in head] + [(index, budget) for index in order]:
        if index not in chosen and lengths[index] <= min(left, share):
            chosen.add(index)
            left -= lengths[index]
    return sorted(chosen)


def terms(text: str) -> list[str]:
    """Lower-case words without endings and question words; scripts without spaces as pairs of characters."""
    found: list[str] = []
    for word in _WORD.findall(text.replace("_", " ")):
        if word.isascii():
            for piece in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", word):
                if piece.lower() not in _QUESTION:
                    found.append(_stem(piece.lower()))
        elif len(word) > 2 and ord(word[0]) > 0x2E7F:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word.lower())
    return found


def _stem(word: str) -> str:
    for ending in ("ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def _bm25(documents: Sequence[Sequence[str]], query: Sequence[str]) -> list[float]:
    average = sum(map(len, documents)) / max(len(documents), 1) or 1.0
    seen_in = Counter(term for document in documents for term in set(document))
    scores = []
    for document in documents:
        counts = Counter(document)
        length = 1 - _B + _B * len(document) / average
        score = 0.0
        for term in set(query):
            if counts[term]:
                rarity = math.log(1 + (len(documents) - seen_in[term] + 0.5) / (seen_in[term] + 0.5))
                score += rarity * counts[term] * (_K1 + 1) / (counts[term] + _K1 * length)
        scores.append(score)
    return scores


def _with_neighbours(scores: Sequence[float]) -> list[float]:
    padded = [0.0, *scores, 0.0]
    return [max(padded[i], _NEIGHBOUR * padded[i - 1], _NEIGHBOUR * padded[i + 1]) for i in range(1, len(padded) - 1)]
