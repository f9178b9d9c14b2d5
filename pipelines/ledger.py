"""The ledger: listed = done + partial + failed + skipped + pending, in assets, parts, pages and audio seconds.

Every term is counted from its own durable source: listed and skipped from the listings, pending from the manifests
minus the commits, and done, partial and failed from the rows of the published tables. Nothing is derived from
another term, so a row or a page that goes missing anywhere makes the two sides differ. Everything is counted on
columns, for some assets after others when they are many: as Python dicts, listings and manifests took 3 kB a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.books import Books
from pipelines.latest import Latest, last_of_each, strings
from pipelines.manifest import MANIFEST
from pipelines.runfiles import RunFiles, list_runs
from pipelines.storage import Storage
from pipelines.tables import ASSETS, PARTS, open_table, read_columns, require_tables

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


@dataclass(slots=True)
class _Wrong:
    """What must not be, over all shards."""

    stray_parts: int = 0
    stray_assets: int = 0
    twice: int = 0
    example: str = ""

    def complaints(self) -> Iterator[str]:
        if self.stray_parts:
            yield f"parts holds {self.stray_parts} rows of assets that no run has listed"
        if self.twice:
            yield f"{self.twice} parts have more than one row, {self.example} among them"
        if self.stray_assets:
            yield f"assets holds {self.stray_assets} rows that no run has listed"


def read_ledger(storage: Storage) -> Ledger:
    """Count everything. Raises InterlaceError when OUT was never written."""
    require_tables(storage)
    runs = list_runs(storage)
    ledger = Ledger({unit: Account(unit) for unit in ("assets", "parts", "pages", "audio_seconds")}, Counter(), [])
    wrong = _Wrong()
    books = Books(runs, {"manifest": _EXPECTED, "parts": _PARTS, "assets": _ASSETS, "announced": _ANNOUNCED})
    _fill(books, storage, runs)
    for latest, rows in books:
        expected = _expected_parts(rows["manifest"], latest.listed)
        _count_listed(ledger, latest.listed, expected)
        seen = _count_parts(ledger, rows["parts"], latest, expected, wrong)
        published = _count_assets(ledger, rows["assets"], latest, wrong)
        _count_pending(ledger, latest.listed, expected, seen, published, rows["announced"])
    ledger.complaints += wrong.complaints()
    for account in ledger.accounts.values():
        if not account.balanced:
            total = sum(account.terms.values())
            ledger.complaints.append(f"{account.unit}: {account.listed:g} listed, but {total:g} accounted for")
    return ledger


def idle_runs(runs: list[RunFiles]) -> list[RunFiles]:
    """Finished runs without which the ledger reads the same: they had nothing to read, and listed what was known."""
    idle = {files.run_id for files in runs}
    for latest, _ in Books(runs):
        idle &= latest.idle
    return [files for files in runs if files.run_id in idle and files.state().get("finished") and not files.has_parts()]


_EXPECTED = pa.schema(
    [
        MANIFEST.field(name)
        for name in ("part_id", "uri", "etag", "perception_fingerprint", "modality", "range_stop", "units")
    ]
)
_PARTS = pa.schema(
    [
        *(PARTS.field(name) for name in ("part_id", "uri", "etag", "modality", "status", "perception_fingerprint")),
        pa.field("pages", pa.list_(pa.struct({"page": pa.int32()}))),
        pa.field("speech", pa.struct({"duration": pa.float64()})),
        pa.field("failures", pa.list_(pa.struct({"category": pa.string(), "page": pa.int32()}))),
    ]
)
_LEAVES = [*_PARTS.names[:6], "pages.page", "speech.duration", "failures.category", "failures.page"]
_ASSETS = pa.schema([ASSETS.field(name) for name in ("uri", "etag", "status", "perception_fingerprint")])
_ANNOUNCED = pa.schema({"uri": pa.string(), "table": pa.string()})


def _fill(books: Books, storage: Storage, runs: list[RunFiles]) -> None:
    for files in runs:
        for rows in files.manifest_tables(_EXPECTED.names):
            books.shards.add("manifest", rows)
        if not files.state().get("finished"):
            for name, uris in _announced(storage, files):
                books.shards.add("announced", pa.table([uris, pa.repeat(name, len(uris))], schema=_ANNOUNCED))
    for rows in read_columns(storage, "parts", _LEAVES):
        books.shards.add("parts", rows.select(_PARTS.names).cast(_PARTS))
    for rows in read_columns(storage, "assets", _ASSETS.names):
        books.shards.add("assets", rows.select(_ASSETS.names))


def _announced(storage: Storage, files: RunFiles) -> Iterator[tuple[str, pa.Array]]:
    """Table and assets that an unfinished run has published there: by the plans up to the version that its log says.

    Not by its rows: a row that went missing must not pass for one that is still to come.
    """
    for name in ("parts", "assets"):
        table = open_table(storage, name)
        version = (table.transaction_version(files.run_id) or 0) if table is not None else 0
        for uris in files.announced(version):
            yield name, uris


def _newest(rows: pa.Table, listed: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
    """For each row the newest listing of its asset, all null when it is not listed, and whether it is that version."""
    newest = listed.take(pc.index_in(rows["uri"], value_set=listed["uri"]))
    names = ("etag", "perception_fingerprint")
    same = pc.and_(*(pc.equal(pc.fill_null(rows[name], ""), pc.fill_null(newest[name], "")) for name in names))
    return newest, pc.and_(same, pc.is_valid(newest["uri"]))


def _expected_parts(rows: pa.Table, listed: pa.Table) -> pa.Table:
    """Manifest rows of every part that the newest listing of its asset still asks for, each once, with ``open``."""
    newest, same = _newest(rows, listed)
    return last_of_each("part_id", rows.append_column("open", newest["open"]).filter(same))


def _count_listed(ledger: Ledger, listed: pa.Table, expected: pa.Table) -> None:
    accounts = ledger.accounts
    accounts["assets"].listed += listed.num_rows
    for unit, name in (("pages", "pages"), ("audio_seconds", "seconds"), ("parts", "parts")):
        accounts[unit].listed += _sum(listed[name])
    skipped = listed.filter(pc.equal(listed["state"], "skipped"))
    accounts["assets"].terms["skipped"] += skipped.num_rows
    accounts["pages"].terms["skipped"] += _sum(skipped["pages"])
    accounts["audio_seconds"].terms["skipped"] += _sum(skipped["seconds"])
    audio = expected.filter(pc.equal(expected["modality"], "audio"))
    exact = audio["units"].filter(pc.is_valid(audio["range_stop"]))
    estimated = audio["units"].filter(pc.is_null(audio["range_stop"]))
    accounts["audio_seconds"].tolerance += (
        0.5 * audio.num_rows + _TOLERANCE * _sum(exact) + _ESTIMATED * _sum(estimated)
    )


def _count_parts(ledger: Ledger, rows: pa.Table, latest: Latest, expected: pa.Table, wrong: _Wrong) -> pa.ChunkedArray:
    """Count the rows of `parts`; returns the ids found, and the uris of assets that no probe could open.

    Rows of an older version do not count while the run that replaces them is unfinished.
    """
    newest, same = _newest(rows, latest.listed)
    where = pc.index_in(rows["part_id"], value_set=expected["part_id"])
    wrong.stray_parts += _stray(rows["uri"], newest, latest.leaving)
    unopened = pc.and_(pc.equal(newest["state"], "new"), pc.is_null(where))  # it could not be opened before
    replaced = pc.and_(newest["open"], pc.or_(pc.invert(same), unopened))
    counts = pc.and_(pc.is_valid(newest["uri"]), pc.invert(pc.fill_null(replaced, False)))
    rows = rows.append_column("units", expected["units"].take(where)).filter(counts)
    unread = rows["uri"].filter(pc.equal(newest["state"].filter(counts), "failed"))
    _add_counts(ledger.accounts["parts"], rows["status"])
    categories = pc.value_counts(pc.struct_field(pc.list_flatten(rows["failures"]), "category"))
    ledger.categories.update({item["values"]: item["counts"] for item in categories.to_pylist()})
    _count_units(ledger, rows)
    seen = pa.chunked_array([*rows["part_id"].chunks, *unread.chunks], pa.string())
    counted = pc.value_counts(seen)
    twice = counted.filter(pc.greater(counted.field("counts"), 1))
    wrong.twice += len(twice)
    wrong.example = wrong.example or (twice[0].as_py()["values"] if len(twice) else "")
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


def _count_assets(ledger: Ledger, rows: pa.Table, latest: Latest, wrong: _Wrong) -> pa.ChunkedArray:
    """Count the rows of `assets`; returns the uris whose newest version is there."""
    newest, same = _newest(rows, latest.listed)
    wrong.stray_assets += _stray(rows["uri"], newest, latest.leaving)
    current = rows.filter(same)
    _add_counts(ledger.accounts["assets"], current["status"])
    return current["uri"]


def _count_pending(
    ledger: Ledger,
    listed: pa.Table,
    expected: pa.Table,
    seen: pa.ChunkedArray,
    published: pa.ChunkedArray,
    announced: pa.Table,
) -> None:
    """What unfinished runs have listed and not published, whether or not the work is committed. A part or an asset that
    a retry reads again is in the tables already, as a failure."""

    def without(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
        return rows.filter(pc.invert(pc.is_in(rows[name], value_set=values)))

    there = {name: announced["uri"].filter(pc.equal(announced["table"], name)) for name in ("parts", "assets")}
    terms = {unit: account.terms for unit, account in ledger.accounts.items()}
    assets = listed.filter(pc.and_(listed["open"], pc.is_in(listed["state"], value_set=pa.array(["new", "failed"]))))
    terms["assets"]["pending"] += without(without(assets, "uri", published), "uri", there["assets"]).num_rows
    unread = assets.filter(pc.equal(assets["state"], "failed"))
    terms["parts"]["pending"] += _sum(without(without(unread, "uri", seen), "uri", there["parts"])["parts"])
    parts = without(without(expected.filter(expected["open"]), "part_id", seen), "uri", there["parts"])
    terms["parts"]["pending"] += parts.num_rows
    audio = pc.equal(parts["modality"], "audio")
    terms["audio_seconds"]["pending"] += _sum(parts["units"].filter(audio))
    terms["pages"]["pending"] += _sum(parts["units"].filter(pc.invert(audio)))


def _stray(uris: pa.ChunkedArray, newest: pa.Table, leaving: set[str]) -> int:
    """Rows of assets that are not listed and that nobody is pruning."""
    unlisted = uris.filter(pc.is_null(newest["uri"]))
    return int(_sum(pc.invert(pc.is_in(unlisted, value_set=strings(leaving)))))


def _add_counts(account: Account, statuses: pa.ChunkedArray) -> None:
    for item in pc.value_counts(statuses).to_pylist():
        account.terms[_STATUS[item["values"]]] += item["counts"]


def _sum(values: pa.ChunkedArray) -> float:
    return float(pc.sum(values).as_py() or 0)
