"""The ledger over random outcomes: it agrees with what happened, and with nothing else."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import books, shards, spill_file
from pipelines.lease import Lease
from pipelines.ledger import Ledger, read_ledger
from pipelines.manifest import LISTING, MANIFEST, Manifest
from pipelines.publish import publish
from pipelines.runfiles import RunFiles
from pipelines.storage import Storage
from pipelines.tables import ANSWERS, PARTS, data_paths, open_table, read_table, rows_to_table

PAGES = 3  # of a part
OUTCOMES = ("ok", "partial", "failed", "pending")


@dataclass(frozen=True)
class Outcome:
    """What becomes of one asset: of each part, or of the whole when there are none to read."""

    audio: bool
    parts: tuple[str, ...]
    whole: str = ""  # skipped, or failed by the probe


readable = st.builds(Outcome, st.booleans(), st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=3).map(tuple))
unreadable = st.builds(Outcome, st.just(False), st.just(()), st.sampled_from(["skipped", "failed"]))
archives = st.lists(st.one_of(readable, readable, unreadable), min_size=1, max_size=5)


def listed(number: int, asset: Outcome) -> dict[str, Any]:
    audio = asset.audio
    row = {"uri": f"asset-{number}", "etag": "e", "modality": "audio" if audio else "document", "replaces": False}
    row |= {"perception_fingerprint": "f", "state": asset.whole or "new", "size": 1, "media_type": "x/y"}
    pages = 0 if audio or asset.whole == "failed" else PAGES * max(1, len(asset.parts))
    parts = len(asset.parts) or (asset.whole == "failed")
    return row | {"pages": pages, "seconds": 10.0 * len(asset.parts) if audio else 0.0, "parts": int(parts)}


def part(number: int, index: int, asset: Outcome) -> dict[str, Any]:
    size = 10.0 if asset.audio else float(PAGES)
    row = {name: listed(number, asset)[name] for name in ("uri", "etag", "modality", "perception_fingerprint")}
    row |= {"part_id": f"asset-{number}#{index}", "range_start": size * index, "range_stop": size * (index + 1)}
    return row | {"units": size, "parts": len(asset.parts), "batch": 0}


def read(manifest: dict[str, Any], status: str) -> dict[str, Any]:
    """The row of a part that ended so; a partial document lacks its last page."""
    failed = {"category": "corrupt", "stage": "ocr", "page": None}
    row = {name: manifest.get(name) for name in PARTS.names} | {"status": status, "failures": [], "run_id": "run"}
    first = int(manifest["range_start"])
    if manifest["modality"] == "audio":
        row["speech"] = {"duration": manifest["units"]} if status != "failed" else None
    else:
        row["pages"] = [{"page": first + n + 1} for n in range(PAGES)] if status != "failed" else []
    if status == "partial":
        lost = row["pages"].pop()["page"] if row["pages"] else None
        row["failures"] = [failed | {"page": lost}]
    elif status == "failed":
        row["failures"] = [failed]
    return row


def write(folder: str, archive: list[Outcome]) -> Storage:
    """OUT after a run in which that happened; unfinished when anything is pending."""
    storage = Storage(folder)
    files = RunFiles(storage, "run")
    listing = [listed(number, asset) for number, asset in enumerate(archive)]
    parts = [part(n, index, asset) for n, asset in enumerate(archive) for index in range(len(asset.parts))]
    for number, row in enumerate(parts):
        row["batch"] = number
    files.freeze(Manifest(rows_to_table(listing, LISTING), rows_to_table(parts, MANIFEST)))
    status = {f"asset-{n}#{index}": s for n, asset in enumerate(archive) for index, s in enumerate(asset.parts)}
    unopened = [row | {"range_start": None, "modality": ""} for row in listing if row["state"] == "failed"]
    done = [read(row, status[row["part_id"]]) for row in parts if status[row["part_id"]] != "pending"]
    named = ("uri", "etag", "modality", "perception_fingerprint")
    broken = {"category": "empty", "stage": "probe", "page": None}
    for row in unopened:
        failed = {name: row[name] for name in named} | {"part_id": row["uri"] + "#", "status": "failed", "pages": []}
        done.append(failed | {"failures": [broken], "run_id": "run"})
    for row in done:
        files.commit({"parts": rows_to_table([row], PARTS), "answers": ANSWERS.empty_table()})
    state = {"run_id": "run", "started": "2026-01-01T00:00:00+00:00", "signature": ""}
    files.write_state(state | ({} if "pending" in status.values() else {"finished": "2026-01-01T00:00:01+00:00"}))
    with Lease(storage, "test") as lease:
        publish(files, lease)
    return storage


def counted(archive: list[Outcome]) -> dict[str, Counter[str]]:
    """What the ledger must say, from the outcomes alone. An asset with a pending part is pending as a whole."""
    terms: dict[str, Counter[str]] = {unit: Counter() for unit in ("assets", "parts", "pages", "audio_seconds")}
    names = {"ok": "done", "partial": "partial", "failed": "failed"}
    for asset in archive:
        if asset.whole:
            terms["assets"][asset.whole] += 1
            terms["parts"]["failed"] += asset.whole == "failed"
            terms["pages"]["skipped"] += PAGES * (asset.whole == "skipped")
            continue
        pending = "pending" in asset.parts
        one = len(set(asset.parts)) == 1
        terms["assets"]["pending" if pending else names[asset.parts[0]] if one else "partial"] += 1
        for status in asset.parts:
            term = "pending" if pending else names[status]
            terms["parts"][term] += 1
            if asset.audio:
                terms["audio_seconds"][term] += 10
            elif pending or status == "failed":
                terms["pages"][term] += PAGES
            else:
                terms["pages"]["failed"] += status == "partial"
                terms["pages"]["done"] += PAGES - (status == "partial")
    return {unit: +counter for unit, counter in terms.items()}


def terms_of(ledger: Ledger) -> dict[str, Counter[str]]:
    return {
        unit: Counter({term: int(value) for term, value in account.terms.items() if value})
        for unit, account in ledger.accounts.items()
    }


@contextmanager
def memory(fits: bool) -> Iterator[None]:
    """Whether tables fit in memory; else they are joined by shards."""
    before = spill_file.MEMORY, books.FOLDED, shards.BITS
    try:
        if not fits:
            spill_file.MEMORY, books.FOLDED, shards.BITS = 400, 0, 2
        yield
    finally:
        spill_file.MEMORY, books.FOLDED, shards.BITS = before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(archive=archives, choose=st.randoms(use_true_random=False), fits=st.booleans())
def test_the_ledger_is_what_happened_and_notices_what_is_removed(
    archive: list[Outcome], choose: Any, fits: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, memory(fits):
        storage = write(folder, archive)
        if not any("pending" not in asset.parts and asset.whole != "skipped" for asset in archive):
            return  # nothing is published, so there are no tables yet
        ledger = read_ledger(storage)
        assert ledger.balanced, ledger.complaints
        assert terms_of(ledger) == counted(archive)
        rows = read_table(storage, "parts").to_table().to_pylist()
        victim = choose.randrange(len(rows))
        overwrite(storage, [row for number, row in enumerate(rows) if number != victim])
        assert not read_ledger(storage).balanced
        overwrite(storage, [*rows, rows[victim]])
        assert not read_ledger(storage).balanced
        paged = [row for row in rows if row["pages"]]
        if paged:
            page = choose.choice(paged)["pages"]
            page.pop(choose.randrange(len(page)))
            overwrite(storage, rows)
            assert not read_ledger(storage).balanced


def test_rows_deleted_by_another_program_unbalance_the_ledger_and_can_be_put_back() -> None:
    """deltalake writes what is left of a file anew, with views in place of strings, for which Arrow has no lookups."""
    with tempfile.TemporaryDirectory() as folder:
        storage = write(folder, [Outcome(False, ("ok", "partial")), Outcome(True, ("ok",)), Outcome(False, ("ok",))])
        tables = {name: read_table(storage, name).to_table() for name in ("parts", "assets")}
        write_deltalake(
            storage.table_uri("parts"), tables["parts"], mode="overwrite"
        )  # one file, so that rows are left
        assert read_ledger(storage).balanced
        for name, rows in tables.items():
            DeltaTable(storage.table_uri(name)).delete("uri = 'asset-0'")
            assert (
                pa.string_view() in pq.read_schema(f"{folder}/{name}/{data_paths(open_table(storage, name))[0]}").types
            )
            ledger = read_ledger(storage)
            assert not ledger.balanced
            assert ledger.accounts[name].terms["done"] == 2 and ledger.accounts[name].terms["partial"] == 0
            gone = rows.filter(pc.equal(rows["uri"], "asset-0"))
            write_deltalake(storage.table_uri(name), gone, mode="append")
            ledger = read_ledger(storage)
            assert ledger.balanced, ledger.complaints


def overwrite(storage: Storage, rows: list[dict[str, Any]]) -> None:
    write_deltalake(storage.table_uri("parts"), rows_to_table(rows, PARTS), mode="overwrite")
