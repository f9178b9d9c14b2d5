"""Strips of a page between horizontal gaps, what they cover, and the vertical gutters that they leave free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from encoders.layout.blocks import Item, TableDraft

MIN_GUTTER = 0.8  # em

Interval = tuple[float, float]


def core(item: Item) -> Interval:
    """The vertical band of an item that neighbours above and below do not reach into, however tight the lines are."""
    if isinstance(item, TableDraft):
        return item.y0, item.y1
    half = 0.3 * min(item.em, item.y1 - item.y0)
    return item.cy - half, item.cy + half


@dataclass(slots=True)
class Strip:
    """Items between two horizontal gaps."""

    items: list[Item]
    top: float
    bottom: float
    covered: list[Interval] = field(default_factory=list)


def strips_of(items: Sequence[Item]) -> list[Strip]:
    """Cut the items at every height where nothing stands."""
    strips: list[Strip] = []
    for item in sorted(items, key=lambda item: core(item)[0]):
        top, bottom = core(item)
        if strips and top < strips[-1].bottom:
            strips[-1].items.append(item)
            strips[-1].bottom = max(strips[-1].bottom, bottom)
        else:
            strips.append(Strip([item], top, bottom))
    for strip in strips:
        strip.covered = merge([(item.x0, item.x1) for item in strip.items])
    return strips


def bridge_stretched(strips: Sequence[Strip], em: float) -> None:
    """In a justified column, wide and even gaps of a row that reaches both edges are stretched word spaces: text layers
    often give the words of such a row as lines of their own."""
    single = [strip.covered[0] for strip in strips if len(strip.items) == 1]
    left, right = min((low for low, _ in single), default=0.0), max((high for _, high in single), default=0.0)
    edge = 0.15 * em
    if sum(low - left < edge and right - high < edge for low, high in single) < 3:
        return
    for strip in strips:
        low, high = strip.covered[0][0], strip.covered[-1][1]
        gaps = [b[0] - a[1] for a, b in pairwise(strip.covered)]
        reaches = low - left < 2.5 * em and abs(right - high) < edge
        if gaps and reaches and max(gaps) < 1.8 * em and max(gaps) - min(gaps) < 0.35 * em:
            strip.covered = [(low, high)]


def merge(intervals: Sequence[Interval]) -> list[Interval]:
    """The union of intervals as disjoint ones from left to right."""
    union: list[Interval] = []
    for low, high in sorted(intervals):
        if union and low <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], high))
        else:
            union.append((low, high))
    return union


def gutters(covered: Sequence[Interval], least: float) -> list[Interval]:
    """The free intervals between covered ones that are wide enough."""
    return [(a[1], b[0]) for a, b in pairwise(covered) if b[0] - a[1] >= least]


@dataclass(slots=True)
class Group:
    """Consecutive strips with a common gutter, or without any."""

    strips: list[Strip]
    covered: list[Interval]

    @property
    def items(self) -> list[Item]:
        """All its items."""
        return [item for strip in self.strips for item in strip.items]


def split(items: Sequence[Item], free: Sequence[Interval]) -> list[list[Item]]:
    """Items by the column between gutters that they stand in, left to right."""
    columns: list[list[Item]] = [[] for _ in range(len(free) + 1)]
    for item in items:
        columns[sum((item.x0 + item.x1) / 2 > (low + high) / 2 for low, high in free)].append(item)
    return [column for column in columns if column]
