"""Which samples training draws: documents with questions, lines to be read aloud, pages that belong to a call."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.train.hybrid.documents import Faces, document
from pipelines.train.hybrid.reading import LATIN, Vocabulary, lines
from pipelines.train.hybrid.samples import Sample
from pipelines.train.hybrid.speech.pairs import pair

LINES, CALLS = 0.45, 0.12
"""Shares of samples that are lines alone (they are short: of all printed lines they are about a tenth), and pages that
belong to a call."""
PAIRS = 2000
"""Calls with a page that may be spoken, see `speech.prepare`; of others only the transcript is read."""
_OTHERS = 1 << 18


def sample_maker(
    fonts: Sequence[Path], sentences: Path | None = None, *, held_out: bool = False
) -> Callable[[int], Sample]:
    """The sample of a seed, with the faces found in some folders and, of English sentences, those of a file."""
    faces = Faces(fonts)
    vocabulary = Vocabulary.of(sentences) if sentences else None

    def make(seed: int) -> Sample:
        rng = random.Random(f"mixture-{seed}")
        drawn = rng.random()
        if drawn < CALLS:
            number = rng.randrange(PAIRS if rng.random() < 0.3 else _OTHERS)
            return pair(number, faces.of(LATIN, ("sans", "serif", "mono"), held_out=held_out))
        if drawn < CALLS + LINES:
            return lines(seed, faces, vocabulary=vocabulary, held_out=held_out)
        return document(seed, faces, held_out=held_out)

    return make
