"""Which document or recording a passage comes from, said only where there is more than one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from decoder.precontext import Precontext
from encoders.results import DocumentResult, Speech

_Key = tuple[str, str, int]  # kind, asset, how often pages or times began again in it


def headings(precontext: Sequence[Precontext]) -> list[tuple[str, bool]]:
    """For each entry the name of what it was read in, and whether that has several pages.

    One asset needs no name: "". Several are named by kind, and numbered where there are several of a kind: "Document",
    "Recording 2".
    """
    keys = list(_keys(precontext))
    pages: Counter[_Key] = Counter()
    for key, entry in zip(keys, precontext, strict=True):
        if isinstance(entry.result, DocumentResult):
            pages[key] += len(entry.result.pages)
    different = list(dict.fromkeys(keys))
    of_kind = Counter(kind for kind, *_ in different)
    names, numbers = dict[_Key, str](), Counter[str]()
    for key in different:
        numbers[key[0]] += 1
        names[key] = f"{key[0]} {numbers[key[0]]}" if of_kind[key[0]] > 1 else key[0]
    return [(names[key] if len(different) > 1 else "", pages[key] > 1) for key in keys]


def _keys(precontext: Sequence[Precontext]) -> list[_Key]:
    keys: list[_Key] = []
    begun: Counter[tuple[str, str]] = Counter()
    ends: dict[tuple[str, str], float] = {}
    for entry in precontext:
        own = ("Recording" if isinstance(entry.result, Speech) else "Document", entry.asset)
        span = _span(entry)
        if span is not None:
            if not entry.asset and span[0] < ends.get(own, span[0]):
                begun[own] += 1
            ends[own] = span[1]
        keys.append((*own, begun[own]))
    return keys


def _span(entry: Precontext) -> tuple[float, float] | None:
    """First and one past the last page, or seconds; None for what lies beside other results."""
    result = entry.result
    if isinstance(result, DocumentResult) and result.pages:
        return result.pages[0].page, result.pages[-1].page + 1
    if isinstance(result, Speech) and result.chunks:
        return result.chunks[0].start, result.chunks[-1].end
    return None


def place_of(heading: str, page: int | None) -> str:
    """What is printed before the passages of a place: "Document 2, page 3", "Page 3", "Recording"; "" for nothing."""
    if page is None:
        return heading
    return f"{heading}, page {page}" if heading else f"Page {page}"
