"""Small archives for tests of faults, and the tables of a lake as rows that can be compared."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pymupdf

from pipelines.ledger import read_ledger
from pipelines.storage import Storage
from pipelines.tables import SCHEMAS, open_table, read_table
from tests.faults.arming import Faults

_NOT_COMPARED = {"run_id", "attempts", "read_at", "seconds"}
Rows = dict[str, Counter[str]]


def write_pdf(path: Path, pages: int) -> None:
    """Blank pages; their size makes files of as many pages differ in bytes by name."""
    with pymupdf.open() as document:
        for _ in range(pages):
            document.new_page(width=100 + len(path.name), height=100)
        document.save(path)


def write_archive(folder: Path, pages: Mapping[str, int]) -> Path:
    """PDFs by name and number of pages; 0 makes an empty file, which no probe opens."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in pages.items():
        if count:
            write_pdf(folder / name, count)
        else:
            (folder / name).write_bytes(b"")
        os.utime(folder / name, (1_700_000_000, 1_700_000_000 + count))
    return folder


def lake_rows(out: str | Path) -> Rows:
    """Every table's rows as text, each with how often it is there; what may differ between runs is left out."""
    found: Rows = {}
    for name in SCHEMAS:
        if open_table(str(out), name) is None:
            found[name] = Counter()
            continue
        rows = read_table(str(out), name).to_table().to_pylist()
        found[name] = Counter(json.dumps(_plain(row), sort_keys=True, default=str) for row in rows)
    return found


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in _NOT_COMPARED}
    for failure in kept.get("failures") or ():
        failure.pop("attempt")
    return kept


def lost_and_duplicated(expected: Rows, found: Rows) -> tuple[int, int]:
    """Rows that are missing, and rows that are there too often or should not be there at all."""
    lost = sum((expected[name] - found[name]).total() for name in expected)
    return lost, sum((found[name] - expected[name]).total() for name in expected)


def assert_equal(expected: Rows, out: str | Path) -> None:
    """The tables hold exactly these rows, and the ledger balances with nothing pending."""
    found = lake_rows(out)
    for name in expected:
        assert expected[name] - found[name] == Counter(), f"{name}: lost"
        assert found[name] - expected[name] == Counter(), f"{name}: duplicated or stray"
    ledger = read_ledger(Storage(str(out)))
    assert ledger.balanced, ledger.complaints
    assert ledger.accounts["parts"].terms["pending"] == 0


def parts_redone(faults: Faults) -> int:
    """How many times a part was read again, as counted at the place where encoders are called."""
    read = Counter(part for hit in faults.log("*.read") for part in hit.detail.split())
    return read.total() - len(read)


def seconds_to_recover(faults: Faults) -> float:
    """How long it took until the last part that was read again was in hand again."""
    times: dict[str, list[float]] = {}
    for hit in faults.log("*.read"):
        for part in hit.detail.split():
            times.setdefault(part, []).append(hit.time)
    return max(max(after - before for before, after in pairwise(seen)) for seen in times.values() if len(seen) > 1)
