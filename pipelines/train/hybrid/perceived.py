"""Perceived samples on disk. In a module of their own: a class of a program started by name would be pickled as another
one."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from encoders.base import Perception
from pipelines.train.hybrid.samples import Sample

SAMPLES = 64
"""Samples a file."""


@dataclass(frozen=True, slots=True)
class Perceived:
    """A sample with what was read in each of its documents, features included."""

    sample: Sample
    documents: tuple[Perception, ...]


def stored(folder: Path) -> Iterator[Path]:
    """The finished files of a folder."""
    yield from sorted(folder.glob("*.samples"))


def load(path: Path) -> list[Perceived]:
    """The samples of a file that `perceive` wrote here: pickles are read back only by those who wrote them."""
    found: list[Perceived] = pickle.loads(path.read_bytes())
    return found
