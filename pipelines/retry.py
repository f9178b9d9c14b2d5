"""`retry`: parts that failed are read again and their rows replaced in place; what was read stays as it is.

A part that could not be read is read alone, with its attempt counted on. An asset that no probe could open has no
parts yet: it is probed again and, when that works, read as a new one. Failures that speak of the file itself come back
the same, so they are retried only by name; those that may pass are, at most MAX_ATTEMPTS times and each time later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.failures import FailureCategory, InterlaceError
from pipelines.manifest import LISTING, MANIFEST, Manifest, build_manifest
from pipelines.progress import Progress
from pipelines.row_file import RowFile
from pipelines.run import Run
from pipelines.runfiles import list_runs
from pipelines.settings import SettingsTree, UsageError, is_known, leaves
from pipelines.sources import Asset
from pipelines.storage import Storage
from pipelines.tables import read_rows, require_tables, rows_to_table

MAX_ATTEMPTS = 5
BACKOFF = timedelta(minutes=1)  # after the first attempt, doubled after every further one
PASSING = tuple(category.value for category in FailureCategory if category.transient)
_COLUMNS = ["part_id", "uri", "etag", "modality", "media_type", "range_start", "range_stop", "perception_fingerprint"]


def last_settings(storage: Storage) -> dict[str, Any]:
    """The settings of the newest run, by path: what failed is read as the rest was. Raises InterlaceError."""
    require_tables(storage)
    for files in reversed(list_runs(storage)):
        state = files.state()
        if state.get("verb", "run") == "run":
            return {path: value for path, value in leaves(state["settings"]) if is_known(path)}
    raise InterlaceError(f"{storage.out} has tables but no record of a run, so there is nothing to retry")


class Retry(Run):
    """A run over failed parts."""

    verb = "retry"
    closes = ("retry",)  # its parts are published, so no unfinished run still reads them

    def __init__(
        self,
        settings: SettingsTree,
        out: str,
        progress: Progress,
        *,
        categories: Collection[str] = PASSING,
        max_attempts: int = MAX_ATTEMPTS,
        now: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(settings, (), out, progress, **options)
        unknown = set(categories) - {category.value for category in FailureCategory}
        if unknown:
            names = ", ".join(category.value for category in FailureCategory)
            raise UsageError(f"{', '.join(sorted(unknown))} is no category; there are: {names}")
        require_tables(self.storage)
        self._categories, self._max_attempts, self._now = set(categories), max_attempts, now
        self._attempts: dict[str, int] = {}  # of assets that no probe could open

    def scan(self, fingerprints: dict[str, str] | None = None) -> Manifest:
        """The failed parts that are due, and failed assets probed again."""
        fingerprints = fingerprints or self.fingerprints()
        unopened: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        for row in self._due(fingerprints):
            (unopened if row["range_start"] is None else parts).append(row)
        self._attempts = {row["uri"]: row["attempts"] for row in unopened}
        probed = self._probe_again(sorted(self._attempts), fingerprints)
        again = self._read_again(parts)
        listing = RowFile(LISTING, [*probed.listing.tables(), *again.listing.tables()])
        return Manifest(listing, RowFile(MANIFEST, [*probed.parts.tables(), *again.parts.tables()]))

    def _due(self, fingerprints: dict[str, str]) -> Iterator[dict[str, Any]]:
        later: list[datetime] = []
        spent = other = 0
        leaving, unfinished = self._leaving(), 0
        columns = [*_COLUMNS, "failures", "attempts", "read_at"]
        failed = read_rows(self.storage, "parts", columns=columns, filter=pc.field("status") != "ok")
        for row in failed.to_pylist():
            if not self._categories & {failure["category"] for failure in row["failures"]}:
                continue
            if row["uri"] in leaving:
                unfinished += 1
                continue
            attempts = row["attempts"] or 1
            due = (row["read_at"] or datetime.fromtimestamp(0, UTC)) + BACKOFF * 2 ** (attempts - 1)
            if row["range_start"] is not None and row["perception_fingerprint"] not in fingerprints.values():
                other += 1
            elif attempts >= self._max_attempts:
                spent += 1
            elif not self._now and due > datetime.now(UTC):
                later.append(due)
            else:
                yield row | {"attempts": attempts}
        if later:
            self.progress.note(f"{len(later)} parts are not due before {min(later):%H:%M:%S} UTC; --now does not wait")
        if unfinished:
            self.progress.note(f"{unfinished} parts are of assets that an unfinished run replaces; resume that first")
        if spent:
            self.progress.note(
                f"{spent} parts failed {self._max_attempts} times and stay so; --max-attempts raises that"
            )
        if other:
            self.progress.note(
                f"{other} parts were read with other encoders or settings; interlace run reads them again"
            )

    def _leaving(self) -> set[str]:
        """Assets that an unfinished run is about to replace: they changed, so what failed is not there any more."""
        uris: set[str] = set()
        for files in self.earlier:
            if not files.state().get("finished"):
                listing = files.listing(["uri", "replaces"])
                published = {uri for found in files.announced() for uri in found.to_pylist()}
                uris |= set(listing.filter(listing["replaces"])["uri"].to_pylist()) - published
        return uris

    def _probe_again(self, uris: list[str], fingerprints: dict[str, str]) -> Manifest:
        rows = [Asset(row["uri"], row["size"], row["etag"], row["modified"]) for row in self._assets(uris)]
        manifest = build_manifest(rows, (), fingerprints, self.settings.run, self._prober())
        listing, parts = manifest.listing.table(), manifest.parts.table()
        replaces = pa.repeat(pa.scalar(True), listing.num_rows)
        listing = listing.set_column(LISTING.get_field_index("replaces"), LISTING.field("replaces"), replaces)
        before = pa.array([self._attempts[uri] for uri in parts["uri"].to_pylist()], pa.int32())
        column = MANIFEST.get_field_index("earlier_attempts")
        parts = parts.set_column(column, MANIFEST.field("earlier_attempts"), before)
        return Manifest(RowFile(LISTING, [listing]), RowFile(MANIFEST, [parts]))

    def _read_again(self, failed: list[dict[str, Any]]) -> Manifest:
        assets = {row["uri"]: row for row in self._assets(sorted({row["uri"] for row in failed}))}
        parts = []
        for row in failed:
            asset = assets[row["uri"]]
            whole = asset["seconds"] if row["modality"] == "audio" else asset["pages"]
            stop = whole if row["range_stop"] is None else row["range_stop"]
            more = {"parts": asset["parts"], "units": max(0.0, stop - row["range_start"]), "batch": 0}
            parts.append({name: row[name] for name in _COLUMNS} | more | {"earlier_attempts": row["attempts"]})
        more = {"state": "retried", "replaces": False, "failure": None}
        listing = [{name: row.get(name) for name in LISTING.names} | more for row in assets.values()]
        return Manifest(
            RowFile(LISTING, [rows_to_table(listing, LISTING)]), RowFile(MANIFEST, [rows_to_table(parts, MANIFEST)])
        )

    def _assets(self, uris: list[str]) -> list[dict[str, Any]]:
        chosen = pc.field("uri").isin(pa.array(uris, pa.string()))
        rows: list[dict[str, Any]] = read_rows(self.storage, "assets", filter=chosen).to_pylist()
        return rows

    def _asked(self, fingerprints: dict[str, str]) -> list[Any]:
        return [self.verb, fingerprints, sorted(self._categories)]

    def _earlier_attempts(self, uri: str) -> int:
        return self._attempts.get(uri, 0)
