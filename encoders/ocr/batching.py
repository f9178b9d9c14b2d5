"""Batches that may not fit: halve and try again, and refuse numbers that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from encoders.failures import FailureCategory, MediaError

In = TypeVar("In")
Out = TypeVar("Out")


def halving(run: Callable[[Sequence[In]], list[Out]], batch: Sequence[In]) -> list[Out]:
    """``run(batch)``, in halves when it does not fit; raises `MediaError` when a batch of one does not."""
    try:
        return run(batch)
    except MemoryError as error:
        if len(batch) == 1:
            raise MediaError(FailureCategory.OUT_OF_MEMORY, f"one item does not fit in memory: {error}") from error
    middle = len(batch) // 2  # outside the handler, so that the failed call's tensors are freed first
    return halving(run, batch[:middle]) + halving(run, batch[middle:])


def require_finite(values: NDArray[np.floating], network: str) -> None:
    """Raises `MediaError` (model_failed) when a network returned NaN or infinity."""
    # A sum is finite only when all that is in it is, and takes a third of the time; one that overflows proves nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduce(values, axis=None)
    if not np.isfinite(total) and not np.isfinite(values).all():
        raise MediaError(FailureCategory.MODEL_FAILED, f"the {network} returned numbers that are not finite")
