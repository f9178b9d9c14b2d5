"""What one judged answer says, and figures with 95 % intervals of many.

Rates have Wilson's interval. Means and error rates have a percentile bootstrap over units (a document, a line), of
2,000 draws from a fixed seed: answers about one document go together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

_Z = 1.959964  # of a two-sided 95 % interval
_DRAWS = 2000


class Measure(StrEnum):
    """How outcomes become a figure."""

    RATE = "rate"  # amount is 0 or 1
    MEAN = "mean"  # amount is a score of 0 to 1
    ERROR = "error"  # amount is a number of edits, of that much truth; less is better
    LOSS = "loss"  # amount is a natural-log loss, of that many tokens; less is better
    RATIO = "ratio"  # amount over of, of which neither more nor less is right


@dataclass(frozen=True, slots=True)
class Outcome:
    """One judged thing. ``row`` names the table's row; ``unit`` what is drawn by the bootstrap; ``tags`` what it may be
    grouped by: language, kind, half."""

    row: str
    measure: Measure
    amount: float
    unit: str
    of: float = 1.0
    prompt_tokens: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 % interval, over ``count`` outcomes, and the mean prompt tokens of what was asked for it."""

    measure: Measure
    value: float
    low: float
    high: float
    count: int
    prompt_tokens: float = 0.0

    @property
    def less_is_better(self) -> bool:
        return self.measure in (Measure.ERROR, Measure.LOSS)


def wilson(right: float, count: int) -> tuple[float, float]:
    """Wilson's score interval of a rate; 0 to 1 when there is nothing."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = right / count, _Z * _Z / count
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z / (1 + z2) * math.sqrt(share * (1 - share) / count + z2 / (4 * count))
    low = 0.0 if right == 0 else middle - half  # exactly, whatever was rounded
    return max(0.0, low), 1.0 if right == count else min(1.0, middle + half)


def bootstrap(pairs: Sequence[tuple[float, float]], seed: int = 0) -> tuple[float, float]:
    """Percentile interval of sum(amount) / sum(of), units drawn with replacement."""
    if not pairs:
        return 0.0, 1.0
    table = np.array(pairs, float)
    drawn = np.random.default_rng(seed).multinomial(len(table), np.full(len(table), 1 / len(table)), size=_DRAWS)
    sums = drawn @ table
    low, high = np.quantile(sums[:, 0] / np.maximum(sums[:, 1], 1e-9), [0.025, 0.975])
    return float(low), float(high)


def figure(outcomes: Sequence[Outcome]) -> Figure:
    """The figure of outcomes of one row. Raises ValueError when there are none, or of several measures."""
    (measure,) = {outcome.measure for outcome in outcomes}
    total, of = sum(o.amount for o in outcomes), sum(o.of for o in outcomes)
    if measure is Measure.RATE:
        low, high = wilson(total, len(outcomes))
    else:
        units: dict[str, list[float]] = {}
        for outcome in outcomes:
            pair = units.setdefault(outcome.unit, [0.0, 0.0])
            pair[0] += outcome.amount
            pair[1] += outcome.of
        low, high = bootstrap([(pair[0], pair[1]) for pair in units.values()])
    tokens = sum(o.prompt_tokens for o in outcomes) / len(outcomes)
    return Figure(measure, total / of if of else 0.0, low, high, len(outcomes), tokens)


def figures(
    outcomes: Iterable[Outcome], name: Callable[[Outcome], str | None] = lambda outcome: outcome.row
) -> dict[str, Figure]:
    """A figure for each name, in the order of their first outcomes; those that ``name`` gives None are left out."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if (group := name(outcome)) is not None:
            groups.setdefault(group, []).append(outcome)
    return {group: figure(members) for group, members in groups.items()}
