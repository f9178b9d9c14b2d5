"""What a process that works for long on much keeps of its memory, and how seldom it looks for garbage."""

from __future__ import annotations

import ctypes
import gc

_NEW_OBJECTS = 100_000
"""After so many more than before Python looks for cycles among them: those of some twenty pages."""

_BLOCK, _FREE = 32 << 20, 128 << 20
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # of malloc.h


def collect_seldom() -> None:
    """Have this process look for cycles among its objects a hundred times less often, and never among those that there
    are now, of which most are modules. A batch is a million words, boxes and rows that are in none and go by
    themselves: to look at them over and over took an eighth of an actor's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def keep_memory() -> None:
    """Have malloc keep up to 128 MiB of what is freed, and take blocks of up to 32 MiB from there. A page's pixels else
    go back to the kernel each time, and come again as 1,500 pages of memory of which each is a fault."""
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if adjust is not None:
        adjust(_M_MMAP_THRESHOLD, _BLOCK)
        adjust(_M_TRIM_THRESHOLD, _FREE)
