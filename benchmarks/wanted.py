"""A figure against the value that the project wants of it, in one printed line: ``held`` or ``MISSED``."""

from __future__ import annotations

MARKS = ("held  ", "MISSED")


def judge(
    what: str, value: float, *, at_least: float | None = None, at_most: float | None = None, unit: str = ""
) -> bool:
    """Print whether ``value`` holds its limits (either or both), and return it."""
    held = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    limits = [f"{sign} {limit:g}" for sign, limit in ((">=", at_least), ("<=", at_most)) if limit is not None]
    print(f"{MARKS[not held]} {what}: {value:.4g}{unit} (wanted {' and '.join(limits)}{unit})", flush=True)
    return held
