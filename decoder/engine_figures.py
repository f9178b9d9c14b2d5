"""What an engine has done so far, for metrics."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from typing import Any

BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


@dataclass(slots=True)
class Histogram:
    """Durations in seconds by bucket: ``counts[i]`` took at most ``BUCKETS[i]``, the last one longer."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    sum: float = 0.0

    def add(self, seconds: float) -> None:
        """One more duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds


@dataclass(slots=True)
class EngineFigures:
    """Counters since the engine was loaded. ``busy_seconds`` is the time spent in steps."""

    steps: int = 0
    generated_tokens: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    finished: int = 0
    cancelled: int = 0
    refused: int = 0
    overloaded: int = 0
    busy_seconds: float = 0.0
    time_to_first_token: Histogram = field(default_factory=Histogram)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers; the histogram as {counts, sum}."""
        return asdict(self)
