"""Tensors in rows of `parts`: binary with dtype and shape, because Delta knows neither float16 nor arrays of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import FeatureSpan

_SPANS = "/spans"  # after a name: int32 [n, 4], a row of item, start, stop, page for every item


def tensor_row(name: str, values: NDArray[Any]) -> dict[str, Any]:
    """A tensor as a struct of a column, in little-endian order."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return {"task": name, "data": little.tobytes(), "dtype": values.dtype.name, "shape": list(values.shape)}


def spanned_rows(task: str, vectors: NDArray[Any], spans: Iterable[FeatureSpan]) -> list[dict[str, Any]]:
    """Vectors [n, d] of a task, and which of them belong to which item."""
    places = [[span.item, span.start, span.stop, span.page] for span in spans]
    return [tensor_row(task, vectors), tensor_row(task + _SPANS, np.array(places, np.int32).reshape(-1, 4))]


def spanned_of(
    column: Sequence[dict[str, Any]] | None, task: str
) -> tuple[NDArray[Any], tuple[FeatureSpan, ...]] | None:
    """What `spanned_rows` made of a task; None when the column has none."""
    found = {entry["task"]: entry for entry in column or ()}
    if task not in found:
        return None
    spans = tensor_of(found[task + _SPANS])
    return tensor_of(found[task]), tuple(FeatureSpan(*map(int, span)) for span in spans)


def tensor_of(entry: dict[str, Any]) -> NDArray[Any]:
    """The inverse of `tensor_row`."""
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    return np.frombuffer(entry["data"], dtype).reshape(entry["shape"])
