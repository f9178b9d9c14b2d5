"""What a detector hands over: boxes on one image, with what it knows of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GEOMETRY = 6  # numbers of a feature row that say where: see `features_of`
Image = NDArray[np.uint8]
"""[height, width, 3] RGB."""


@dataclass(slots=True)
class Candidates:
    """Boxes of one image, the surest first. All arrays have one row per box.

    ``labels`` are queries or kinds. ``pointers`` are the boxes of the texts that name the elements, ``vectors`` what
    the boxes show in the text encoder's space; detectors that know neither leave them empty ([0, 4] and [0, 0]).
    """

    boxes: NDArray[np.float32]  # [n, 4] x0, y0, x1, y1 in pixels of the image
    scores: NDArray[np.float32]  # [n] in 0..1
    labels: list[str]
    pointers: NDArray[np.float32]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Candidates:
        """These rows only, in this order."""
        index = np.asarray(rows, np.int64)
        return Candidates(
            self.boxes[index],
            self.scores[index],
            [self.labels[row] for row in index],
            self.pointers[index] if len(self.pointers) else self.pointers,
            self.vectors[index] if len(self.vectors) else self.vectors,
        )


def nothing() -> Candidates:
    """No box."""
    return Candidates(
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.float32),
        [],
        np.zeros((0, 4), np.float32),
        np.zeros((0, 0), np.float32),
    )


def features_of(found: Candidates, width: int, height: int) -> NDArray[np.float16]:
    """[n, d + 6]: what each detection shows (nothing for detectors that give no vectors), and its geometry: middle,
    width and height as shares of the page, the root of its area, the confidence."""
    size = np.array([width, height], np.float32)
    low, high = found.boxes[:, :2] / size, found.boxes[:, 2:] / size
    sides = high - low
    geometry = np.concatenate(
        ((low + high) / 2, sides, np.sqrt(sides.prod(1, keepdims=True)), found.scores[:, None]), 1
    )
    parts = [found.vectors, geometry] if len(found.vectors) else [geometry]
    out: NDArray[np.float16] = np.concatenate(parts, 1).astype(np.float16)
    return out


class Detector(Protocol):
    """A network that finds what phrases name, or everything it knows."""

    at_once: int  # pixels of images that it gains from seeing together; 0 where it gains nothing
    runs: Counter[str]  # how often each of its networks ran

    def load(self, device: str) -> None:
        """Load the networks. Raises `CheckpointError` when there are none."""

    def find(self, image: Image, queries: Sequence[str], *, vectors: bool) -> Candidates:
        """Boxes labelled with the queries, or with all that it knows where there are no queries."""

    def find_all(self, images: Sequence[Image], queries: Sequence[str], *, vectors: bool) -> list[Candidates]:
        """As `find` for every image by itself: what is found on one does not depend on the others."""

    def fingerprint(self) -> str:
        """Hash of its checkpoints."""

    def parameters(self) -> dict[str, int]:
        """Parameter counts by network."""


def overlaps(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every box with every other, [n, m]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inner = (high - low).clip(min=0).prod(2)
    area, other = ((b[:, 2:] - b[:, :2]).clip(min=0).prod(1) for b in (boxes, others))
    out: NDArray[np.float32] = inner / (area[:, None] + other[None] - inner + 1e-9)
    return out


def suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou: float, groups: Sequence[str] = ()
) -> list[int]:
    """Rows that stand, the surest first: of two that overlap more than ``iou`` (in one group), the surer."""
    order = np.argsort(-scores, kind="stable")
    if not len(order):
        return []
    near = overlaps(boxes[order], boxes[order]) > iou
    if groups:
        names = np.array(list(groups))[order]
        near &= names[:, None] == names[None]
    alive = np.ones(len(order), bool)
    kept = []
    for row in range(len(order)):
        if alive[row]:
            kept.append(int(order[row]))
            alive &= ~near[row]
    return kept
