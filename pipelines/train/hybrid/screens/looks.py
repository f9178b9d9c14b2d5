"""What the detectors saw on generated screens and scenes, as one file that travels to where there is no browser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_STEPS = 127  # vectors are unit vectors: eight bits with a scale for each row lose less than float16 batches do


@dataclass(frozen=True, slots=True)
class Look:
    """The things that a detector found on one image, the surest first, in arrays with a row for each.

    ``names`` says what a thing is called by whoever drew it (the text of a button, what an icon shows), "" where
    nobody knows. ``boxes`` [n, 4] are in pixels, ``vectors`` [n, d] what the detector saw in each.
    """

    task: str  # gui_detection or object_detection
    width: int
    height: int
    labels: tuple[str, ...]
    names: tuple[str, ...]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int]) -> Look:
        """Some of the things, in this order."""
        chosen = list(rows)
        labels, names = (tuple(all_of[row] for row in chosen) for all_of in (self.labels, self.names))
        arrays = (self.boxes[chosen], self.scores[chosen], self.vectors[chosen])
        return Look(self.task, self.width, self.height, labels, names, *arrays)


def write_looks(path: Path, looks: Sequence[Look]) -> None:
    """Write what `read_looks` reads: about 400 bytes a thing."""
    vectors = np.concatenate([look.vectors for look in looks])
    scale = np.abs(vectors).max(1, keepdims=True).clip(1e-6) / _STEPS
    said = [
        {"task": one.task, "size": [one.width, one.height], "labels": one.labels, "names": one.names} for one in looks
    ]
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(
            stream,
            said=np.frombuffer(json.dumps(said, ensure_ascii=False).encode(), np.uint8),
            boxes=np.concatenate([look.boxes for look in looks]).astype(np.float32),
            scores=np.concatenate([look.scores for look in looks]).astype(np.float32),
            vectors=np.rint(vectors / scale).astype(np.int8),
            scale=scale.astype(np.float32),
        )
    partial.rename(path)


def read_looks(path: Path) -> list[Look]:
    """The looks of a file. Raises OSError or ValueError for one that is none."""
    return list(_read(path))


def _read(path: Path) -> Iterator[Look]:
    with np.load(path, allow_pickle=False) as kept:
        said = json.loads(kept["said"].tobytes())
        boxes, scores, scale, vectors = (kept[name] for name in ("boxes", "scores", "scale", "vectors"))
    start = 0
    for one in said:
        rows = slice(start, start + len(one["labels"]))
        start = rows.stop
        shown = vectors[rows].astype(np.float32) * scale[rows]
        labels, names = tuple(one["labels"]), tuple(one["names"])
        width, height = one["size"]
        yield Look(one["task"], width, height, labels, names, boxes[rows], scores[rows], shown)
