"""Rows beyond memory: in order, joined by shards, and each once."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pipelines import shards, spill_file
from pipelines.row_file import CHUNK_ROWS, RowFile
from pipelines.seen import Seen
from pipelines.shards import Shards

ROWS = pa.schema({"uri": pa.string(), "number": pa.int64()})


def table(numbers: list[int]) -> pa.Table:
    return pa.table({"uri": [f"s3://archive/{number}" for number in numbers], "number": numbers}, schema=ROWS)


@pytest.mark.parametrize("memory", [0, 10_000, 1 << 30])
def test_rows_come_back_in_order_and_again(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(spill_file, "MEMORY", memory)
    rows = RowFile(ROWS, [table([0, 1, 2])])
    for number in range(3, 3 * CHUNK_ROWS):
        rows.append({"uri": "x", "number": number})
    rows.add(table([3 * CHUNK_ROWS]))
    for _ in range(2):
        assert rows.table()["number"].to_pylist() == list(range(rows.num_rows)) and rows.num_rows == 3 * CHUNK_ROWS + 1


@pytest.mark.parametrize(("memory", "least", "most"), [(1 << 30, 1, 1), (60_000, 4, 4), (3000, 16, 64)])
def test_the_same_keys_meet_in_one_shard(monkeypatch: pytest.MonkeyPatch, memory: int, least: int, most: int) -> None:
    monkeypatch.setattr(spill_file, "MEMORY", memory)
    monkeypatch.setattr(shards, "BITS", 2)
    numbers = list(range(5000))
    joined = Shards({"left": ROWS, "right": ROWS, "empty": ROWS})
    for start in range(0, 5000, 500):
        joined.add("left", table(numbers[start : start + 500]))
    random.Random(0).shuffle(numbers)
    joined.add("right", table(numbers))
    found = list(joined)
    assert least <= len(found) <= most
    assert sum(shard["left"].num_rows for shard in found) == sum(shard["right"].num_rows for shard in found) == 5000
    for shard in found:
        left = shard["left"]["number"].to_numpy()
        assert (np.diff(left) > 0).all() and set(left) == set(shard["right"]["number"].to_pylist())
        assert shard["empty"].schema == ROWS and not shard["empty"].num_rows


def test_what_was_seen_is_known_in_memory_and_beyond() -> None:
    seen = Seen(in_memory=3)
    assert [seen.add(value) for value in "abcdeabcdefa"] == [True] * 5 + [False] * 5 + [True, False]
