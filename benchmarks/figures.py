"""Figures against the values that the project wants of them, one printed line each: ``held``, ``MISSED``, or ``floor``
when the floor is held and the goal is not."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MARKS = ("held  ", "MISSED", "floor ")


def judge(
    what: str, value: float, *, at_least: float | None = None, at_most: float | None = None, unit: str = ""
) -> bool:
    """Print whether ``value`` holds its limits (either or both), and return it."""
    held = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    limits = [f"{sign} {limit:g}" for sign, limit in ((">=", at_least), ("<=", at_most)) if limit is not None]
    print(f"{MARKS[not held]} {what}: {value:.4g}{unit} (wanted {' and '.join(limits)}{unit})", flush=True)
    return held


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, least, most and number of repeats."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f}, {len(values)}x)"


def floor_and_goal(
    what: str, values: Sequence[float], floor: float, goal: float, *, unit: str = "", digits: int = 2
) -> str:
    """A line about the median of some repeats. Smaller is better when the goal is below the floor."""
    value, sign = median(values), -1 if goal < floor else 1
    mark = MARKS[0 if sign * value >= sign * goal else 2 if sign * value >= sign * floor else 1]
    return f"{mark} {what}: {spread(values, digits)}{unit} (floor {floor:g}{unit}, goal {goal:g}{unit})"


def must_be_zero(what: str, count: float) -> str:
    """A line about what may not happen at all."""
    return f"{MARKS[count != 0]} {what}: {count:g} (wanted 0)"


def is_verdict(line: str) -> bool:
    """Whether a printed line is one of these."""
    return line.startswith(MARKS)
