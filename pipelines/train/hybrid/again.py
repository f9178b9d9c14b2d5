"""Things that are dear to make, used more than once and far apart."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def again(fresh: Iterator[T], uses: int, held: int, rng: random.Random) -> Iterator[T]:
    """Each of ``fresh`` comes ``uses`` times, mixed among as many as ``held`` others."""
    pool: list[list[T]] = []  # a thing for every use that is left of it
    for one in fresh:
        pool.append([one] * uses)
        while len(pool) >= held or (len(pool) > held // 4 and rng.random() < 0.5):
            place = rng.randrange(len(pool))
            pool[place], pool[-1] = pool[-1], pool[place]
            yield pool[-1].pop()
            if not pool[-1]:
                pool.pop()
