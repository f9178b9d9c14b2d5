"""Starting a Ray of our own, again where it did not come up in time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from encoders.failures import InterlaceError

STARTS = 3
"""Ray gives each 30 s to bring up its daemon, which no setting lengthens; a machine with twenty busy processes a core
needs longer now and then."""


def start_local_ray(note: Callable[[str], None] | None = None, **options: Any) -> None:
    """``ray.init(**options)``; ``note`` is told of every start that timed out. Raises `InterlaceError` when all did."""
    import ray

    for left in reversed(range(STARTS)):
        before = {child.pid for child in psutil.Process().children()}
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray raises just that
            if "timed out during startup" not in str(error):
                raise
            _end_daemons(Path(ray.__file__).parent, before)
            if not left:
                message = f"Ray's daemon did not come up within 30 s, {STARTS} times: this machine is too busy, or "
                message += "has no memory or disk left; its logs are in /tmp/ray/session_latest/logs"
                raise InterlaceError(message) from error
            if note:
                note("Ray's daemon did not come up within 30 s: starting it again")


def _end_daemons(package: Path, before: set[int]) -> None:
    """End what a start has left behind: Ray ends it only with this process, and until then it takes memory."""
    for child in psutil.Process().children():
        try:
            if child.pid not in before and any(word.startswith(f"{package}{os.sep}") for word in child.cmdline()):
                child.kill()
                child.wait()
        except psutil.NoSuchProcess:
            continue
