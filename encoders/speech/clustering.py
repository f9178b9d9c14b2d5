"""Which windows of voice are the same speaker's, and how many speakers there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

MERGE_ABOVE = 0.43
"""Mean cosine at which two groups of windows are one voice, of centred voices. Windows of one speaker have a median of
0.60, of two speakers 0.21 (real meetings; equal error, 6 %, at 0.43)."""
SAME_VOICE = 0.65
"""Cosine of two groups' means at which they are one voice whatever their windows say: means over several seconds are
far less noisy than windows."""
_BLOCK = 3000  # windows clustered at once: the distance matrix of a block takes 72 MB
_LEAST_SHARE, _LEAST_SECONDS, _ENOUGH_SECONDS = 0.03, 0.3, 1.5
"""A voice needs this share of the speech, but never more than 1.5 s: short windows are noisy, and a single odd one must
not become a speaker of a long recording."""


def cluster_voices(
    embeddings: NDArray[np.float32], seconds: NDArray[np.float64], *, count: int | None, most: int
) -> NDArray[np.int64]:
    """A label 0..k-1 for every row of ``embeddings`` [n, d], centred voices.

    ``seconds`` [n] is how much speech a row stands for.
    """
    if len(embeddings) <= 1:
        return np.zeros(len(embeddings), np.int64)
    labels = _agglomerate(embeddings, count)
    if count is None:
        labels = _merge_centres(embeddings, labels)
    centres = _centres(embeddings, labels)
    weight = np.bincount(labels, seconds, minlength=len(centres))
    kept = np.argsort(-weight, kind="stable")[: count or most]
    if count is None:
        floor = min(_ENOUGH_SECONDS, max(_LEAST_SECONDS, _LEAST_SHARE * float(weight.sum())))
        kept = np.array([index for index in kept if weight[index] >= floor] or [int(weight.argmax())])
    return np.asarray(np.argmax(embeddings @ centres[kept].T, axis=1), np.int64)


def _agglomerate(embeddings: NDArray[np.float32], count: int | None) -> NDArray[np.int64]:
    """Average-linkage clustering; long recordings block by block, then over the blocks' centres."""
    if len(embeddings) <= _BLOCK:
        return _link(embeddings, count)
    parts: list[NDArray[np.int64]] = []
    centres: list[NDArray[np.float32]] = []
    for first in range(0, len(embeddings), _BLOCK):
        block = embeddings[first : first + _BLOCK]
        labels = _link(block, None)
        parts.append(labels + sum(len(own) for own in centres))
        centres.append(_centres(block, labels))
    joined = _link(np.concatenate(centres), count)
    return np.asarray(joined[np.concatenate(parts)])


def _link(embeddings: NDArray[np.float32], count: int | None) -> NDArray[np.int64]:
    if len(embeddings) == 1:
        return np.zeros(1, np.int64)
    tree = linkage(embeddings, method="average", metric="cosine")
    if count is not None:
        labels = fcluster(tree, count, criterion="maxclust")
    else:
        labels = fcluster(tree, 1 - MERGE_ABOVE, criterion="distance")
    return np.asarray(labels - 1, np.int64)


def _merge_centres(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join the two groups whose means are most alike, as long as they are one voice."""
    while True:
        centres = _centres(embeddings, labels)
        likeness = centres @ centres.T
        np.fill_diagonal(likeness, -1.0)
        first, second = sorted(np.unravel_index(int(likeness.argmax()), likeness.shape))
        if likeness[first, second] < SAME_VOICE:
            return labels
        labels = np.unique(np.where(labels == second, first, labels), return_inverse=True)[1]


def _centres(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit-length mean of every cluster."""
    centres = np.zeros((labels.max() + 1, embeddings.shape[1]), np.float32)
    np.add.at(centres, labels, embeddings)
    norms = np.linalg.norm(centres, axis=1, keepdims=True)
    return np.asarray(centres / np.maximum(norms, 1e-9))
