"""Perspective transforms of many quads at once, to the bits that `cv2.getPerspectiveTransform` gives for each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST = 100 * np.finfo(np.float64).eps
"""A pivot below it is none: OpenCV then solves the system another way."""


def frames_of(columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """[n, 4, 2]: the corners of n upright pictures of these sizes, clockwise from the origin."""
    frames = np.zeros((len(columns), 4, 2), np.float32)
    frames[:, 1:3, 0] = columns[:, None]
    frames[:, 2:, 1] = rows[:, None]
    return frames


def perspectives(frames: NDArray[np.float32], quads: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n, 3, 3]: what brings the corners of ``frames`` [n, 4, 2] to those of ``quads``.

    OpenCV's elimination, step by step, but for all quads together: it takes a tenth of the time, and pixels are sampled
    at the same fractions of a grey level.
    """
    system = _system(frames, quads)
    with np.errstate(divide="ignore", invalid="ignore"):  # of those that are solved below
        singular = _eliminate(system)
        found = _substituted(system).T.reshape(-1, 3, 3)
    for i in np.flatnonzero(singular):
        found[i] = cv2.getPerspectiveTransform(frames[i], quads[i])
    return found


def _system(frames: NDArray[np.float32], quads: NDArray[np.float32]) -> NDArray[np.float64]:
    """[8, 9, n]: eight equations for the eight unknowns, and their right sides. Products are of single precision."""
    x, y = frames[..., 0].T, frames[..., 1].T
    system = np.zeros((8, 9, len(frames)))
    for axis in (0, 1):
        to, rows = quads[..., axis].T, system[4 * axis : 4 * axis + 4]
        rows[:, 3 * axis], rows[:, 3 * axis + 1], rows[:, 3 * axis + 2] = x, y, 1
        rows[:, 6], rows[:, 7], rows[:, 8] = -x * to, -y * to, to
    return system


def _eliminate(system: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Gauss's elimination in place, the largest pivot first; which have none [n]."""
    every = np.arange(system.shape[2])
    singular = np.zeros(system.shape[2], np.bool_)
    for i in range(8):
        pivot = i + np.abs(system[i:, i]).argmax(0)
        chosen = system[pivot, :, every]
        system[pivot, :, every] = system[i].T
        system[i] = chosen.T
        singular |= np.abs(system[i, i]) < _SMALLEST
        factors = system[i + 1 :, i] * (-1 / system[i, i])
        system[i + 1 :, i + 1 :] += factors[:, None] * system[i, i + 1 :]
    return singular


def _substituted(system: NDArray[np.float64]) -> NDArray[np.float64]:
    """[9, n]: the unknowns of an eliminated system, and the one that is 1."""
    found = np.ones((9, system.shape[2]))
    for i in range(7, -1, -1):
        left = system[i, 8].copy()
        for k in range(i + 1, 8):
            left -= system[i, k] * found[k]
        found[i] = left / system[i, i]
    return found
