"""How benches print what they found: the median with its spread, and beside each wanted value whether it is held."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, least, most and number of repeats."""
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f}, {len(values)}x)"


def wanted(title: str, values: Sequence[float], unit: str, floor: float, goal: float, *, digits: int = 2) -> str:
    """One line: the median of the repeats against its floor and goal. The smaller the better when the goal is below the
    floor."""
    value = median(values)
    smaller = goal < floor
    reached, held = (value <= goal, value <= floor) if smaller else (value >= goal, value >= floor)
    said = "goal reached" if reached else "floor held, MISSES ITS GOAL" if held else "MISS: below its floor"
    said = said.replace("below", "above") if smaller else said
    return f"{title:58}{spread(values, digits):>28} {unit:5} floor {floor:g}, goal {goal:g}: {said}"


def must_be_zero(title: str, count: float) -> str:
    """One line about what may not happen at all."""
    return f"{title:58}{count:>28g}       {'held' if count == 0 else 'MISS: must be 0'}"
