"""Where a command prints: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import sys

from rich.console import Console

_PIPED = 200  # columns when nobody sees the terminal: lines stay whole


def stdout() -> Console:
    """Results."""
    return Console(width=None if sys.stdout.isatty() else _PIPED, highlight=False)


def stderr() -> Console:
    """Progress and errors."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _PIPED, highlight=False)
