"""The ledger: listed = done + partial + failed + skipped + pending, in assets, parts, pages and audio seconds.

Every term is counted from its own durable source: listed and skipped from the listings, pending from the manifests
minus the commits, and done, partial and failed from the rows of the published tables. Nothing is derived from
another term, so a row or a page that goes missing anywhere makes the two sides differ. Everything is counted on
columns: as Python dicts, listings and manifests took the driver 3 kB a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest import LISTING, MANIFEST
from pipelines.runfiles import RunFiles, list_runs
from pipelines.storage import Storage
from pipelines.tables import open_table, read_columns, require_tables

TERMS = ("done", "partial", "failed", "skipped", "pending")
_STATUS = {"ok": "done", "partial": "partial", "failed": "failed"}
_TOLERANCE = 0.02  # of the audio seconds of a part: containers round their duration
_ESTIMATED = 0.5  # the same where the container does not say it and the probe could only estimate


@dataclass(slots=True)
class Account:
    """One unit of the ledger."""

    unit: str
    listed: float = 0
    terms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TERMS, 0.0))
    tolerance: float = 0.0

    @property
    def balanced(self) -> bool:
        """Whether both sides agree."""
        return abs(self.listed - sum(self.terms.values())) <= self.tolerance


@dataclass(slots=True)
class Ledger:
    """The four accounts, failures by category, and a sentence for whatever does not add up."""

    accounts: dict[str, Account]
    categories: Counter[str]
    complaints: list[str]

    @property
    def balanced(self) -> bool:
        """Whether every account balances and nothing else is wrong."""
        return not self.complaints and all(account.balanced for account in self.accounts.values())

    @property
    def failed_parts(self) -> int:
        """Parts without a result or with only some of it."""
        return int(self.accounts["parts"].terms["failed"] + self.accounts["parts"].terms["partial"])


def read_ledger(storage: Storage) -> Ledger:
    """Count everything. Raises InterlaceError when OUT was never written."""
    require_tables(storage)
    runs = list_runs(storage)
    listed, leaving, _ = _latest_listing(runs)
    expected = _expected_parts(runs, listed)
    ledger = Ledger({unit: Account(unit) for unit in ("assets", "parts", "pages", "audio_seconds")}, Counter(), [])
    _count_listed(ledger, listed, expected)
    seen = _count_parts(ledger, storage, listed, leaving, expected)
    published = _count_assets(ledger, storage, listed, leaving)
    _count_pending(ledger, listed, expected, seen, published, _announced(storage, runs))
    for account in ledger.accounts.values():
        if not account.balanced:
            total = sum(account.terms.values())
            ledger.complaints.append(f"{account.unit}: {account.listed:g} listed, but {total:g} accounted for")
    return ledger


def idle_runs(runs: list[RunFiles]) -> list[RunFiles]:
    """Finished runs without which the ledger reads the same: they had nothing to read, and listed what was known."""
    _, _, idle = _latest_listing(runs)
    found = [files for files in runs if files.run_id in idle and files.state().get("finished")]
    return [files for files in found if not files.manifest(["part_id"]).num_rows]


_LISTED = ["uri", "etag", "perception_fingerprint", "pages", "seconds", "parts", "state"]
_EXPECTED = ["part_id", "uri", "etag", "perception_fingerprint", "modality", "range_stop", "units"]


def _latest_listing(runs: list[RunFiles]) -> tuple[pa.Table, set[str], set[str]]:
    """Per uri the newest row, with ``open`` when its run is unfinished, the uris that an unfinished run is pruning, and
    the runs whose listing changed nothing.

    `unchanged` rows refer back to the run that read the asset. A run that another one closed stands for the assets that
    it published, and for no others.
    """
    listed = LISTING.empty_table().select(_LISTED).append_column("open", pa.array([], pa.bool_()))
    leaving: set[str] = set()
    idle: set[str] = set()
    for files in runs:
        state, plans = files.state(), files.plans()
        announced = _strings({uri for plan in plans for uri in plan["assets"]})
        deleted = {uri for plan in plans for uri in plan.get("deleted", ())}
        unfinished = not state.get("finished")
        leaving |= deleted if unfinished else set()
        rows = files.listing(_LISTED)
        kind = rows["state"]
        gone = rows["uri"].filter(pc.equal(kind, "deleted"))
        gone = gone.filter(pc.is_in(gone, value_set=_strings(deleted)))
        if len(gone):
            listed = listed.filter(pc.invert(pc.is_in(listed["uri"], value_set=gone)))
        known = pc.and_(pc.equal(kind, "unchanged"), pc.is_in(rows["uri"], value_set=listed["uri"]))
        counts = pc.invert(pc.or_(pc.equal(kind, "deleted"), known))
        if state.get("superseded"):
            stands = pc.is_in(kind, value_set=pa.array(["unchanged", "skipped"]))
            counts = pc.and_(counts, pc.or_(stands, pc.is_in(rows["uri"], value_set=announced)))
        rows = rows.filter(counts)
        leaving -= set(rows["uri"].filter(pc.is_in(rows["uri"], value_set=_strings(leaving))).to_pylist())
        if not rows.num_rows and not len(gone):
            idle.add(files.run_id)
        rows = rows.append_column("open", pa.array(np.full(rows.num_rows, unfinished)))
        listed = _last_of_each("uri", pa.concat_tables([listed, rows]))
    return listed, leaving, idle


def _last_of_each(name: str, rows: pa.Table) -> pa.Table:
    """The last row of each value in a column."""
    codes = pc.dictionary_encode(rows[name].combine_chunks()).indices.to_numpy()
    last = np.zeros(codes.max(initial=-1) + 1, np.int64)
    last[codes] = np.arange(len(codes))  # of an index that comes again, the last assignment stands
    return rows if len(last) == len(codes) else rows.take(pa.array(np.sort(last)))


def _newest(rows: pa.Table, listed: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
    """For each row the newest listing of its asset, all null when it is not listed, and whether it is that version."""
    newest = listed.take(pc.index_in(rows["uri"], value_set=listed["uri"]))
    names = ("etag", "perception_fingerprint")
    same = pc.and_(*(pc.equal(pc.fill_null(rows[name], ""), pc.fill_null(newest[name], "")) for name in names))
    return newest, pc.and_(same, pc.is_valid(newest["uri"]))


def _expected_parts(runs: list[RunFiles], listed: pa.Table) -> pa.Table:
    """Manifest rows of every part that the newest listing of its asset still asks for, each once, with ``open``."""
    tables = [MANIFEST.empty_table().select(_EXPECTED).append_column("open", pa.array([], pa.bool_()))]
    for files in runs:
        rows = files.manifest(_EXPECTED)
        newest, same = _newest(rows, listed)
        tables.append(rows.append_column("open", newest["open"]).filter(same))
    return _last_of_each("part_id", pa.concat_tables(tables))


def _count_listed(ledger: Ledger, listed: pa.Table, expected: pa.Table) -> None:
    accounts = ledger.accounts
    accounts["assets"].listed = listed.num_rows
    for unit, name in (("pages", "pages"), ("audio_seconds", "seconds"), ("parts", "parts")):
        accounts[unit].listed = _sum(listed[name])
    skipped = listed.filter(pc.equal(listed["state"], "skipped"))
    accounts["assets"].terms["skipped"] = skipped.num_rows
    accounts["pages"].terms["skipped"] = _sum(skipped["pages"])
    accounts["audio_seconds"].terms["skipped"] = _sum(skipped["seconds"])
    audio = expected.filter(pc.equal(expected["modality"], "audio"))
    exact = audio["units"].filter(pc.is_valid(audio["range_stop"]))
    estimated = audio["units"].filter(pc.is_null(audio["range_stop"]))
    accounts["audio_seconds"].tolerance = 0.5 * audio.num_rows + _TOLERANCE * _sum(exact) + _ESTIMATED * _sum(estimated)


def _count_parts(
    ledger: Ledger, storage: Storage, listed: pa.Table, leaving: set[str], expected: pa.Table
) -> pa.ChunkedArray:
    """Count the rows of `parts`; returns the ids found, and the uris of assets that no probe could open.

    Rows of an older version do not count while the run that replaces them is unfinished.
    """
    names = ["part_id", "uri", "etag", "perception_fingerprint", "status", "modality"]
    leaves = [*names, "pages.page", "speech.duration", "failures.category", "failures.page"]
    found: list[pa.Array] = []
    stray = 0
    for rows in _together(read_columns(storage, "parts", leaves)):
        newest, same = _newest(rows, listed)
        where = pc.index_in(rows["part_id"], value_set=expected["part_id"])
        stray += _stray(rows["uri"], newest, leaving)
        unopened = pc.and_(pc.equal(newest["state"], "new"), pc.is_null(where))  # it could not be opened before
        replaced = pc.and_(newest["open"], pc.or_(pc.invert(same), unopened))
        counts = pc.and_(pc.is_valid(newest["uri"]), pc.invert(pc.fill_null(replaced, False)))
        rows = rows.append_column("units", expected["units"].take(where)).filter(counts)
        unread = rows["uri"].filter(pc.equal(newest["state"].filter(counts), "failed"))
        found += [*rows["part_id"].chunks, *unread.chunks]
        _add_counts(ledger.accounts["parts"], rows["status"])
        categories = pc.value_counts(pc.struct_field(pc.list_flatten(rows["failures"]), "category"))
        ledger.categories.update({item["values"]: item["counts"] for item in categories.to_pylist()})
        _count_units(ledger, rows)
    if stray:
        ledger.complaints.append(f"parts holds {stray} rows of assets that no run has listed")
    seen = pa.chunked_array(found, pa.string())
    counted = pc.value_counts(seen)
    twice = counted.filter(pc.greater(counted.field("counts"), 1))
    if len(twice):
        ledger.complaints.append(f"{len(twice)} parts have more than one row, {twice[0].as_py()['values']} among them")
    return seen


def _count_units(ledger: Ledger, rows: pa.Table) -> None:
    """Pages and audio seconds of some parts; ``units`` is what the manifest says of each."""
    is_audio = pc.equal(rows["modality"], "audio")
    audio = rows.filter(is_audio)
    read = pc.struct_field(audio["speech"], "duration")
    terms = ledger.accounts["audio_seconds"].terms
    terms["failed"] += _sum(audio["units"].filter(pc.is_null(read)))
    for status, term in _STATUS.items():
        terms[term] += _sum(read.filter(pc.equal(audio["status"], status)))
    paged = rows.filter(pc.invert(pc.fill_null(is_audio, False)))
    terms = ledger.accounts["pages"].terms
    terms["done"] += _sum(pc.list_value_length(paged["pages"]))
    failures = pc.fill_null(pc.greater(pc.list_value_length(paged["failures"]), 0), False)
    for row in paged.filter(failures).select(["status", "pages", "failures", "units"]).to_pylist():  # few
        pages = {page["page"] for page in row["pages"] or ()}
        broken = {failure["page"] for failure in row["failures"] if failure["page"] is not None} - pages
        whole = row["status"] == "failed" and not pages and not broken
        terms["failed"] += (row["units"] or 0) if whole else len(broken)


def _count_assets(ledger: Ledger, storage: Storage, listed: pa.Table, leaving: set[str]) -> pa.ChunkedArray:
    """Count the rows of `assets`; returns the uris whose newest version is there."""
    stray = 0
    published: list[pa.Array] = []
    for rows in _together(read_columns(storage, "assets", ["uri", "etag", "perception_fingerprint", "status"])):
        newest, same = _newest(rows, listed)
        stray += _stray(rows["uri"], newest, leaving)
        current = rows.filter(same)
        _add_counts(ledger.accounts["assets"], current["status"])
        published += current["uri"].chunks
    if stray:
        ledger.complaints.append(f"assets holds {stray} rows that no run has listed")
    return pa.chunked_array(published, pa.string())


def _announced(storage: Storage, runs: list[RunFiles]) -> dict[str, pa.Array]:
    """Table -> the assets that unfinished runs have published there: by the plans up to the version that its log says.

    Not by its rows: a row that went missing must not pass for one that is still to come.
    """
    found: dict[str, set[str]] = {"parts": set(), "assets": set()}
    for files in runs:
        if files.state().get("finished"):
            continue
        plans = files.plans()
        for name, uris in found.items():
            table = open_table(storage, name)
            version = (table.transaction_version(files.run_id) or 0) if table is not None else 0
            uris.update(uri for plan in plans[:version] for uri in plan["assets"])
    return {name: _strings(uris) for name, uris in found.items()}


def _count_pending(
    ledger: Ledger,
    listed: pa.Table,
    expected: pa.Table,
    seen: pa.ChunkedArray,
    published: pa.ChunkedArray,
    announced: dict[str, pa.Array],
) -> None:
    """What unfinished runs have listed and not published, whether or not the work is committed. A part or an asset that
    a retry reads again is in the tables already, as a failure."""

    def without(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
        return rows.filter(pc.invert(pc.is_in(rows[name], value_set=values)))

    terms = {unit: account.terms for unit, account in ledger.accounts.items()}
    assets = listed.filter(pc.and_(listed["open"], pc.is_in(listed["state"], value_set=pa.array(["new", "failed"]))))
    terms["assets"]["pending"] += without(without(assets, "uri", published), "uri", announced["assets"]).num_rows
    unread = assets.filter(pc.equal(assets["state"], "failed"))
    terms["parts"]["pending"] += _sum(without(without(unread, "uri", seen), "uri", announced["parts"])["parts"])
    parts = without(without(expected.filter(expected["open"]), "part_id", seen), "uri", announced["parts"])
    terms["parts"]["pending"] += parts.num_rows
    audio = pc.equal(parts["modality"], "audio")
    terms["audio_seconds"]["pending"] += _sum(parts["units"].filter(audio))
    terms["pages"]["pending"] += _sum(parts["units"].filter(pc.invert(audio)))


def _together(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Small tables put together: every lookup hashes the whole manifest anew."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        if rows >= _ROWS:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


_ROWS = 100_000


def _stray(uris: pa.ChunkedArray, newest: pa.Table, leaving: set[str]) -> int:
    """Rows of assets that are not listed and that nobody is pruning."""
    unlisted = uris.filter(pc.is_null(newest["uri"]))
    return int(_sum(pc.invert(pc.is_in(unlisted, value_set=_strings(leaving)))))


def _strings(values: Iterable[str]) -> pa.Array:
    return pa.array(sorted(values), pa.string())


def _add_counts(account: Account, statuses: pa.ChunkedArray) -> None:
    for item in pc.value_counts(statuses).to_pylist():
        account.terms[_STATUS[item["values"]]] += item["counts"]


def _sum(values: pa.ChunkedArray) -> float:
    return float(pc.sum(values).as_py() or 0)
