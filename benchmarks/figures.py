"""How benches print what they found: the median with its spread, and beside each wanted value whether it is held."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

HELD, MISSED = "held  ", "MISSED"


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


def judge(
    what: str, value: float, *, at_least: float | None = None, at_most: float | None = None, unit: str = ""
) -> bool:
    """Print whether ``value`` holds its limits (either or both), and return it."""
    held = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    limits = [f"{sign} {limit:g}" for sign, limit in ((">=", at_least), ("<=", at_most)) if limit is not None]
    print(f"{HELD if held else MISSED} {what}: {value:.4g}{unit} (wanted {' and '.join(limits)}{unit})", flush=True)
    return held


def is_verdict(line: str) -> bool:
    """Whether a printed line is one of these: it says what was wanted and whether it is held."""
    said = line.rstrip()
    return said.startswith((HELD, MISSED)) or said.endswith(
        ("goal reached", "MISSES ITS GOAL", "its floor", " held", "must be 0")
    )
