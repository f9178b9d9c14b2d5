"""Soft tokens in rows of `parts`: of each task the vectors, which of them belong to which item, and what made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from encoders.adapters.soft import SoftTokens
from pipelines.tensors import spanned_of, spanned_rows, tensor_row

_ADAPTER = "/adapter"  # after a task: uint8, the digest of its adapter


def soft_row(task: str, soft: SoftTokens, adapter: str) -> list[dict[str, Any]]:
    """What the column `soft_tokens` holds of a task, made by the adapter of that digest."""
    digest = tensor_row(task + _ADAPTER, np.frombuffer(adapter.encode(), np.uint8))
    return [*spanned_rows(task, soft.vectors, soft.spans), digest]


def soft_of(row: Sequence[dict[str, Any]] | None, task: str, adapter: str | None = None) -> SoftTokens | None:
    """The soft tokens of a task out of the column; None when it has none, or those of another than the ``adapter`` of
    that digest."""
    found = spanned_of(row, task)
    if found is None or row is None:
        return None
    if adapter is not None and all(one["data"] != adapter.encode() for one in row if one["task"] == task + _ADAPTER):
        return None
    return SoftTokens(*found)
