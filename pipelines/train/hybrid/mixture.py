"""Which samples training draws: documents with questions, and lines to be read aloud."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.train.hybrid.documents import Faces, document
from pipelines.train.hybrid.reading import lines
from pipelines.train.hybrid.samples import Sample

LINES = 0.45
"""Share of samples that are lines alone; they are short, so of all printed lines they are about a tenth."""


def sample_maker(fonts: Sequence[Path], *, held_out: bool = False) -> Callable[[int], Sample]:
    """The sample of a seed, with the faces found in some folders."""
    faces = Faces(fonts)

    def make(seed: int) -> Sample:
        kind = lines if random.Random(f"mixture-{seed}").random() < LINES else document
        return kind(seed, faces, held_out=held_out)

    return make
