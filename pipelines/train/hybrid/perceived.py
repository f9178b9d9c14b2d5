"""Perceived samples on disk. In a module of their own: a class of a program started by name would be pickled as another
one."""

from __future__ import annotations

import lzma
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.base import Perception
from pipelines.train.hybrid.samples import Sample

SAMPLES = 64
"""Samples a file."""


@dataclass(frozen=True, slots=True)
class Perceived:
    """A sample with what was read in each of its documents, features included; where a run has kept that, with what
    was heard in its recordings, too."""

    sample: Sample
    documents: tuple[Perception, ...]


def stored(folder: Path) -> Iterator[Path]:
    """The finished files of a folder."""
    yield from sorted(folder.glob("*.samples"))


def load(path: Path) -> list[Perceived]:
    """The samples of a file that `perceive` wrote, which may be compressed (.xz). Raises `pickle.UnpicklingError` for
    one that names other classes."""
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as stream:
        found: list[Perceived] = _Data(stream).load()
    return found


class _Data(pickle.Unpickler):
    """Reads samples and arrays and nothing else: a pickle that asks for any other class or function is refused."""

    _MODULES = ("encoders.base", "encoders.results", "encoders.failures", "pipelines.train.hybrid.", "pathlib")
    _ARRAYS = ("_reconstruct", "_frombuffer", "ndarray", "dtype", "scalar")

    def find_class(self, module: str, name: str) -> Any:
        """A class of a sample, or what arrays are made by."""
        own = module.startswith(self._MODULES) or module == "pipelines.train.script.render"
        if (own and "." not in name) or (module.split(".")[0] == "numpy" and name in self._ARRAYS):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a sample")
