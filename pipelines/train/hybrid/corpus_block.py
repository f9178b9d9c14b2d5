"""One block of a corpus, as a task of Ray Data makes it: samples are drawn, their assets written, then their truth."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from encoders.failures import InterlaceError
from pipelines.storage import Storage
from pipelines.tables import rows_to_table
from pipelines.train.hybrid.assets import document_file, recording_file
from pipelines.train.hybrid.documents.generate import KINDS
from pipelines.train.hybrid.documents.sentences import TEXTS
from pipelines.train.hybrid.mixture import sample_maker
from pipelines.train.hybrid.samples import READ_ALOUD, Sample, Task
from pipelines.train.hybrid.speech.recordings import Recordings, Window, sample_of
from pipelines.train.hybrid.speech.voices import RATE
from pipelines.train.hybrid.truth import TRUTH, row_of

SPOKEN = ("call", "read")
WRITTEN = (*KINDS, "pair", "lines")
ARCHIVE, TRUTHS = "archive", "truth"
"""Folders of a corpus: what `interlace run` reads, and what is known about it."""
_RECORDED = 0.2  # share of samples that are recordings alone, where there are voices
_TRIES = 400  # at a sample of the wanted kinds

Audio = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CorpusPlan:
    """What shapes a corpus. ``speech``: what `speech.synthesise` left; without it there are no recordings."""

    out: str
    fonts: tuple[Path, ...]
    sentences: Path | None = None
    speech: Path | None = None
    held_out: bool = False
    kinds: tuple[str, ...] = WRITTEN + SPOKEN
    first_seed: int = 1_000_000

    def inputs(self) -> str:
        """What tells fonts, texts and voices from others: a hash of their files' names and sizes."""
        folders = [(folder, "*") for folder in (*self.fonts, TEXTS)]
        folders += [(self.speech, "index-*.jsonl")] if self.speech else []
        files = [(str(p.relative_to(f)), p.stat().st_size) for f, ends in folders for p in f.rglob(ends) if p.is_file()]
        files += [(self.sentences.name, self.sentences.stat().st_size)] if self.sentences else []
        return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:16]


class Drawing:
    """Samples by their number in the corpus, with what is heard in their recordings."""

    def __init__(self, plan: CorpusPlan) -> None:
        self._plan = plan
        self._make = sample_maker(plan.fonts, plan.sentences, held_out=plan.held_out)
        self._recordings = Recordings(plan.speech) if plan.speech else None
        self._calls = [key for key in self._recordings.calls if key.startswith("call/")] if self._recordings else []
        there = {"call": bool(self._calls), "read": self._recordings is not None and self._recordings.reads}
        self._spoken = [kind for kind in SPOKEN if kind in plan.kinds and there[kind]]
        self._written = [kind for kind in plan.kinds if kind in WRITTEN]

    def __call__(self, number: int) -> tuple[Sample, list[Audio]]:
        """The same for the same number. Raises InterlaceError when the wanted kinds cannot be made."""
        seed = self._plan.first_seed + number * _TRIES
        rng = random.Random(f"corpus-{seed}")
        if self._spoken and (not self._written or rng.random() < _RECORDED):
            return self._alone(rng.choice(self._spoken), rng)
        for attempt in range(_TRIES if self._written else 0):
            sample = self._make(seed + attempt)
            if sample.kind not in self._written:
                continue
            if not sample.recordings:
                return sample, []
            if self._recordings and f"pair/{sample.seed}" in self._recordings.calls:
                return self._called(f"pair/{sample.seed}", sample, rng)
        raise InterlaceError(f"no sample of kind {', '.join(self._plan.kinds)}: --speech holds none, or they are rare")

    def _alone(self, kind: str, rng: random.Random) -> tuple[Sample, list[Audio]]:
        """A recording without a page."""
        assert self._recordings is not None
        if kind == "call":
            key = rng.choice(self._calls)
            return self._called(key, sample_of(key), rng)
        seed = rng.randrange(1 << 30)
        window = self._recordings.reading(seed)
        task = Task("hear", rng.choice(READ_ALOUD), None, " ".join(turn.text for turn in window.turns))
        return Sample(seed, "read", "en", "sentences", (), (window.turns,), (task,)), [_joined([window])]

    def _called(self, key: str, sample: Sample, rng: random.Random) -> tuple[Sample, list[Audio]]:
        """A sample with its call, which is known to be there."""
        assert self._recordings is not None
        heard = self._recordings.call(key, rng.randrange(1 << 30), sample)
        return heard.sample, [_joined(heard.windows)]


def _joined(windows: Sequence[Window]) -> Audio:
    return np.concatenate([window.samples[: round(window.seconds * RATE)] for window in windows])


@lru_cache(maxsize=2)
def _drawing(plan: CorpusPlan, inputs: str) -> Drawing:
    """One for all blocks of a worker: fonts are looked through once."""
    if plan.inputs() != inputs:
        raise InterlaceError("a worker sees other fonts, texts or voices than the driver: put them where all see them")
    return Drawing(plan)


def write_block(block: pa.Table, plan: CorpusPlan, inputs: str) -> pa.Table:
    """Samples ``first`` to ``last`` of a row. The truth comes last: what it names is there. Returns a row of counts."""
    [row] = block.to_pylist()
    storage, drawing = Storage(plan.out), _drawing(plan, inputs)
    rows, size = [], 0
    for number in range(row["first"], row["last"] + 1):
        sample, recordings = drawing(number)
        rng = random.Random(f"assets-{plan.first_seed}-{number}")
        files = [document_file(pages, rng, screen=sample.kind == "screen") for pages in sample.documents]
        files += [recording_file(samples, rng) for samples in recordings]
        names = [f"{number // 1000:04d}/{number:07d}-{place}.{suffix}" for place, (suffix, _) in enumerate(files)]
        for name, (_, data) in zip(names, files):
            storage.write_bytes(storage.path(ARCHIVE, name), data)
            size += len(data)
        rows.append(row_of(number, sample, names))
    storage.write_parquet(truth_path(storage, row["first"], row["last"]), rows_to_table(rows, TRUTH))
    return pa.table({"samples": [len(rows)], "assets": [sum(len(r["assets"]) for r in rows)], "bytes": [size]})


def truth_path(storage: Storage, first: int, last: int) -> str:
    """Where the truth about some samples lies."""
    return storage.path(TRUTHS, f"{first:07d}-{last:07d}.parquet")
