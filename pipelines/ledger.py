"""The ledger: listed = done + partial + failed + skipped + pending, in assets, parts, pages and audio seconds.

Every term is counted from its own durable source: listed and skipped from the listings, pending from the manifests
minus the commits, and done, partial and failed from the rows of the published tables. Nothing is derived from
another term, so a row or a page that goes missing anywhere makes the two sides differ.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pipelines.runfiles import RunFiles, list_runs
from pipelines.storage import Storage
from pipelines.tables import read_columns, require_tables

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
    listed, leaving = _latest_listing(runs)
    expected = _expected_parts(runs, listed)
    ledger = Ledger({unit: Account(unit) for unit in ("assets", "parts", "pages", "audio_seconds")}, Counter(), [])
    _count_listed(ledger, listed, expected)
    seen = _count_parts(ledger, storage, listed, leaving, expected)
    published = _count_assets(ledger, storage, listed, leaving)
    _count_pending(ledger, listed, expected, seen, published)
    for account in ledger.accounts.values():
        if not account.balanced:
            total = sum(account.terms.values())
            ledger.complaints.append(f"{account.unit}: {account.listed:g} listed, but {total:g} accounted for")
    return ledger


def _latest_listing(runs: list[RunFiles]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Per uri the newest row, with ``open`` when its run is unfinished, and the uris that an unfinished run is pruning.

    `unchanged` rows refer back to the run that read the asset. A run that another one closed stands for the assets that
    it published, and for no others.
    """
    listed: dict[str, dict[str, Any]] = {}
    leaving: set[str] = set()
    for files in runs:
        state, plans = files.state(), files.plans()
        announced = {uri for plan in plans for uri in plan["assets"]}
        deleted = {uri for plan in plans for uri in plan.get("deleted", ())}
        unfinished = not state.get("finished")
        leaving |= deleted if unfinished else set()
        for row in files.listing().to_pylist():
            uri, kind = row["uri"], row["state"]
            if kind == "deleted":
                if uri in deleted:
                    listed.pop(uri, None)
            elif kind == "unchanged" and uri in listed:
                continue
            elif not state.get("superseded") or kind in ("unchanged", "skipped") or uri in announced:
                listed[uri] = row | {"run_id": files.run_id, "open": unfinished}
                leaving.discard(uri)
    return listed, leaving


def _version(row: dict[str, Any]) -> tuple[str, str]:
    """What tells one reading of an asset from another: its bytes, and the encoders."""
    return row["etag"], row["perception_fingerprint"]


def _expected_parts(runs: list[RunFiles], listed: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """part_id -> manifest row of every part that the newest listing of its asset still asks for."""
    columns = ["part_id", "uri", "etag", "modality", "range_start", "range_stop", "units", "perception_fingerprint"]
    expected: dict[str, dict[str, Any]] = {}
    for files in runs:
        for row in files.manifest(columns).to_pylist():
            newest = listed.get(row["uri"])
            if newest and _version(newest) == _version(row):
                expected[row["part_id"]] = row
    return expected


def _count_listed(ledger: Ledger, listed: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> None:
    accounts = ledger.accounts
    accounts["assets"].listed = len(listed)
    for row in listed.values():
        accounts["pages"].listed += row["pages"]
        accounts["audio_seconds"].listed += row["seconds"]
        accounts["parts"].listed += row["parts"]
        if row["state"] == "skipped":
            accounts["assets"].terms["skipped"] += 1
            accounts["pages"].terms["skipped"] += row["pages"]
            accounts["audio_seconds"].terms["skipped"] += row["seconds"]
    audio = [row for row in expected.values() if row["modality"] == "audio"]
    rates = [_TOLERANCE if row["range_stop"] is not None else _ESTIMATED for row in audio]
    accounts["audio_seconds"].tolerance = sum(0.5 + rate * row["units"] for rate, row in zip(rates, audio, strict=True))


def _count_parts(
    ledger: Ledger,
    storage: Storage,
    listed: dict[str, dict[str, Any]],
    leaving: set[str],
    expected: dict[str, dict[str, Any]],
) -> set[str]:
    """Count the rows of `parts`; returns the ids found, and the uris of assets that no probe could open.

    Rows of an older version do not count while the run that replaces them is unfinished.
    """
    names = ("part_id", "uri", "etag", "perception_fingerprint", "status", "modality")
    leaves = [*names, "pages.page", "speech.duration", "failures.category", "failures.page"]
    seen: Counter[str] = Counter()
    stray = 0
    for rows in read_columns(storage, "parts", leaves):  # a dataset keeps 300 kB of metadata for every file
        for row in rows.to_pylist():
            pages = [page["page"] for page in row["pages"] or ()]
            newest = listed.get(row["uri"])
            if newest is None:
                stray += row["uri"] not in leaving
                continue
            replaced = _version(newest) != _version(row) or (
                newest["state"] == "new" and row["part_id"] not in expected  # it could not be opened before
            )
            if newest["open"] and replaced:
                continue
            seen[row["part_id"]] += 1
            ledger.accounts["parts"].terms[_STATUS[row["status"]]] += 1
            _count_units(ledger, row, pages, expected.get(row["part_id"]))
            ledger.categories.update(failure["category"] for failure in row["failures"])
            if newest["state"] == "failed":
                seen[row["uri"]] += 1
    if stray:
        ledger.complaints.append(f"parts holds {stray} rows of assets that no run has listed")
    twice = [part for part, count in seen.items() if count > 1]
    if twice:
        ledger.complaints.append(f"{len(twice)} parts have more than one row, {twice[0]} among them")
    return set(seen)


def _count_units(ledger: Ledger, row: dict[str, Any], pages: list[int], expected: dict[str, Any] | None) -> None:
    if row["modality"] == "audio":
        read = row["speech"]["duration"] if row["speech"] is not None else None
        term = _STATUS[row["status"]] if read is not None else "failed"
        ledger.accounts["audio_seconds"].terms[term] += read if read is not None else (expected or {}).get("units", 0)
        return
    broken = {failure["page"] for failure in row["failures"] if failure["page"] is not None} - set(pages)
    if row["status"] == "failed" and not pages and not broken and expected:
        ledger.accounts["pages"].terms["failed"] += expected["units"]
        return
    ledger.accounts["pages"].terms["done"] += len(set(pages))
    ledger.accounts["pages"].terms["failed"] += len(broken)


def _count_assets(ledger: Ledger, storage: Storage, listed: dict[str, dict[str, Any]], leaving: set[str]) -> set[str]:
    """Count the rows of `assets`; returns the uris whose newest version is there."""
    stray = 0
    published: Counter[str] = Counter()
    columns = ["uri", "etag", "perception_fingerprint", "status"]
    for rows in read_columns(storage, "assets", columns):
        for row in rows.to_pylist():
            newest = listed.get(row["uri"])
            if newest is None:
                stray += row["uri"] not in leaving
            elif _version(newest) == _version(row):
                ledger.accounts["assets"].terms[_STATUS[row["status"]]] += 1
                published[row["uri"]] += 1
    if stray:
        ledger.complaints.append(f"assets holds {stray} rows that no run has listed")
    return set(published)


def _count_pending(
    ledger: Ledger,
    listed: dict[str, dict[str, Any]],
    expected: dict[str, dict[str, Any]],
    seen: set[str],
    published: set[str],
) -> None:
    """What unfinished runs have listed and the tables do not hold yet, whether or not the work is committed."""
    terms = {unit: account.terms for unit, account in ledger.accounts.items()}
    for uri, row in listed.items():
        if not row["open"] or row["state"] not in ("new", "failed"):
            continue
        terms["assets"]["pending"] += uri not in published
        if row["state"] == "failed" and uri not in seen:
            terms["parts"]["pending"] += row["parts"]
    for part_id, part in expected.items():
        if part_id not in seen and listed[part["uri"]]["open"]:
            terms["parts"]["pending"] += 1
            terms["audio_seconds" if part["modality"] == "audio" else "pages"]["pending"] += part["units"]
