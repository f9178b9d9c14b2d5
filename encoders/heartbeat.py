"""A sign of life from whatever takes long: a page opened, a batch of lines read, a block downloaded.

Whoever watches over the process (`pipelines.stall`) tells slow work from work that stands still by it.
"""

from __future__ import annotations

import time

_last = time.monotonic()


def beat() -> None:
    """Something was finished just now."""
    global _last
    _last = time.monotonic()


def last_beat() -> float:
    """When `beat` was called last, on the clock of `time.monotonic`."""
    return _last
