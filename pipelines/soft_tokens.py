"""Soft tokens in rows of `parts`: of each task the vectors, which of them belong to which item, and what made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.adapters.soft import SoftTokens
from encoders.base import FeatureSpan

_SPANS = "/spans"  # after a task: int32 [n, 4], a row of item, start, stop, page for every item
_ADAPTER = "/adapter"  # after a task: uint8, the digest of its adapter


def soft_row(task: str, soft: SoftTokens, adapter: str) -> list[dict[str, Any]]:
    """What the column `soft_tokens` holds of a task, made by the adapter of that digest."""
    spans = [[span.item, span.start, span.stop, span.page] for span in soft.spans]
    return [
        _tensor(task, soft.vectors),
        _tensor(task + _SPANS, np.array(spans, np.int32).reshape(-1, 4)),
        _tensor(task + _ADAPTER, np.frombuffer(adapter.encode(), np.uint8)),
    ]


def soft_of(row: Sequence[dict[str, Any]] | None, task: str, adapter: str | None = None) -> SoftTokens | None:
    """The soft tokens of a task out of the column; None when it has none, or those of another than the ``adapter`` of
    that digest."""
    found = {entry["task"]: entry for entry in row or ()}
    if task not in found:
        return None
    if adapter is not None and adapter.encode() != found[task + _ADAPTER]["data"]:
        return None
    spans = _array(found[task + _SPANS])
    return SoftTokens(_array(found[task]), tuple(FeatureSpan(*map(int, span)) for span in spans))


def _tensor(name: str, values: NDArray[Any]) -> dict[str, Any]:
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return {"task": name, "data": little.tobytes(), "dtype": values.dtype.name, "shape": list(values.shape)}


def _array(entry: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    return np.frombuffer(entry["data"], dtype).reshape(entry["shape"])
