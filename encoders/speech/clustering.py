"""Which windows of voice are the same speaker's, and how many speakers there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

MERGE_ABOVE = 0.6  # mean cosine at which two groups of windows count as one voice
_BLOCK = 3000  # windows clustered at once: the distance matrix of a block takes 72 MB
_LEAST_SHARE = 0.04  # a cluster with less of the speech than this, and under 3 s, is noise of another one


def cluster_voices(
    embeddings: NDArray[np.float32], seconds: NDArray[np.float64], *, count: int | None, most: int
) -> NDArray[np.int64]:
    """A label 0..k-1 for every row of ``embeddings`` [n, d]; ``seconds`` [n] is how much speech a row stands for."""
    if len(embeddings) <= 1:
        return np.zeros(len(embeddings), np.int64)
    labels = _agglomerate(embeddings, count)
    centres = _centres(embeddings, labels)
    weight = np.bincount(labels, seconds, minlength=len(centres))
    kept = np.argsort(-weight, kind="stable")[: count or most]
    if count is None:
        floor = min(3.0, _LEAST_SHARE * weight.sum())
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


def _centres(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit-length mean of every cluster."""
    centres = np.zeros((labels.max() + 1, embeddings.shape[1]), np.float32)
    np.add.at(centres, labels, embeddings)
    norms = np.linalg.norm(centres, axis=1, keepdims=True)
    return np.asarray(centres / np.maximum(norms, 1e-9))
