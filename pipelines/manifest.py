"""The manifest: what a run has to do, frozen as Parquet before anything is read.

`listing.parquet` has one row per asset listed, with what the probe saw. `manifest-NNNNN.parquet` have one row
per part; each row group is one batch, so that the batches of a run are the same however often it is resumed.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.base import MediaInput
from encoders.failures import Failure, MediaError
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.media.opened import Probe
from encoders.media.opener import MediaOpener
from pipelines.changes import compare
from pipelines.fingerprints import part_id
from pipelines.passwords import Passwords
from pipelines.settings import RunConfig
from pipelines.sources import Asset
from pipelines.spool import Spool
from pipelines.table_builder import TableBuilder
from pipelines.tables import FAILURE, as_row

LISTING = pa.schema(
    {
        "uri": pa.string(),
        "etag": pa.string(),
        "size": pa.int64(),
        "modified": pa.timestamp("us", tz="UTC"),
        "media_type": pa.string(),
        "modality": pa.string(),
        "pages": pa.int32(),
        "seconds": pa.float64(),
        "parts": pa.int32(),
        # new | unchanged | skipped (no active encoder reads it) | failed (by the probe) | deleted (from its source)
        # | retried (parts of it are read again)
        "state": pa.string(),
        "replaces": pa.bool_(),  # the tables hold rows of an older version
        "perception_fingerprint": pa.string(),
        "failure": FAILURE,
    }
)
MANIFEST = pa.schema(
    {
        "part_id": pa.string(),
        "uri": pa.string(),
        "etag": pa.string(),
        "modality": pa.string(),
        "media_type": pa.string(),
        "range_start": pa.float64(),
        "range_stop": pa.float64(),
        "perception_fingerprint": pa.string(),
        "parts": pa.int32(),  # of the whole asset: 1 means that it can be answered in the stream
        "units": pa.float64(),  # pages, or seconds
        "batch": pa.int32(),
        "earlier_attempts": pa.int32(),  # of runs before this one; null and 0 mean none
    }
)
_FOUND = pa.schema([LISTING.field(name) for name in ("uri", "etag", "size", "modified")])


@dataclass(frozen=True, slots=True)
class Manifest:
    """The listing and the parts, before they are frozen, with the schemas LISTING and MANIFEST."""

    listing: pa.Table
    parts: pa.Table

    @property
    def nothing_new(self) -> bool:
        """Whether every asset is as the tables have it."""
        return bool(self.count("unchanged") == self.listing.num_rows)

    def count(self, *states: str) -> int:
        """Assets in these states."""
        return int(pc.sum(pc.is_in(self.listing["state"], value_set=pa.array(states))).as_py() or 0)


class Prober:
    """Looks at assets in killable children, several at once."""

    def __init__(
        self,
        opening: OpeningConfig,
        limits: OpeningLimits,
        spool: Spool,
        workers: int,
        passwords: Passwords | None = None,
        times: dict[str, tuple[int, int]] | None = None,
    ) -> None:
        """``times`` learns when each uri was looked at, where somebody traces it."""
        self._opening, self._limits, self._spool, self._workers = opening, limits, spool, workers
        self._passwords = passwords or Passwords()
        self._times = times
        self._local = threading.local()
        self._openers: list[MediaOpener] = []

    def __call__(self, assets: Iterable[Asset]) -> Iterator[tuple[Asset, Probe | Failure]]:
        """Every asset with what was seen, in order; at most a few hundred are looked at ahead."""
        todo = iter(assets)
        with ThreadPoolExecutor(self._workers) as pool:
            while window := list(islice(todo, 64 * self._workers)):
                yield from zip(window, pool.map(self._probe, window), strict=True)
        self.close()

    def _probe(self, asset: Asset) -> Probe | Failure:
        start = time.time_ns()
        try:
            return self._look(asset)
        finally:
            if self._times is not None:
                self._times[asset.uri] = start, time.time_ns()

    def _look(self, asset: Asset) -> Probe | Failure:
        if not hasattr(self._local, "opener"):
            self._local.opener = MediaOpener(self._opening, self._limits)
            self._openers.append(self._local.opener)
        try:
            path = self._spool.get(asset.uri, asset.etag)
            password = self._passwords.of(asset.uri)
            seen: Probe = self._local.opener.probe(MediaInput("", asset.uri, "", path=path, password=password))
            return seen
        except MediaError as error:
            return error.failure("probe")

    def close(self) -> None:
        """End the children."""
        for opener in self._openers:
            opener.close()
        self._openers.clear()


def select(assets: Iterable[Asset], config: RunConfig) -> Iterator[Asset]:
    """The assets that --sample and --limit leave; the sample depends on the uri alone, so it repeats."""
    if config.sample is not None:
        bound = int(config.sample * 2**64)
        assets = (a for a in assets if int.from_bytes(hashlib.sha256(a.uri.encode()).digest()[:8], "big") < bound)
    return islice(assets, config.limit)


def build_manifest(
    assets: Iterable[Asset],
    known: pa.Table,
    fingerprints: Mapping[str, str],
    config: RunConfig,
    prober: Callable[[Iterable[Asset]], Iterator[tuple[Asset, Probe | Failure]]],
    progress: Callable[[int], None] = lambda count: None,
    fresh: Callable[[Counter[str]], None] = lambda states: None,
) -> Manifest:
    """List, leave out what is known already, probe the rest, and cut it into parts.

    ``known`` has the columns of `pipelines.changes.KNOWN`. ``fresh`` is told, before anything is opened, how many
    assets are new, changed, or read again because their encoders are other ones.
    """
    found = _found(assets, progress)
    compared = compare(found, known, fingerprints)
    unchanged = pc.equal(compared["state"], "unchanged")
    listing, parts = TableBuilder(LISTING), TableBuilder(MANIFEST)
    listing.add_table(_unchanged(found.filter(unchanged), compared.filter(unchanged)))
    found, states = found.filter(pc.invert(unchanged)), compared["state"].filter(pc.invert(unchanged))
    if found.num_rows:
        fresh(Counter({item["values"]: item["counts"] for item in pc.value_counts(states).to_pylist()}))
    replaces = (state.as_py() != "new" for state in states)
    done = compared.num_rows - found.num_rows
    for (asset, seen), replaced in zip(prober(_assets(found)), replaces, strict=True):
        own: list[dict[str, Any]] = []
        if isinstance(seen, Failure):
            row = _listed(asset, "failed", fingerprint=fingerprints.get("document", ""), parts=1)
            row["failure"] = as_row(seen)
        elif seen.modality not in fingerprints:
            row = _listed(asset, "skipped", seen, modality=seen.modality)
        else:
            fingerprint = fingerprints[seen.modality]
            own = _parts(asset, seen, fingerprint, config)
            row = _listed(asset, "new", seen, modality=seen.modality, fingerprint=fingerprint, parts=len(own))
        listing.append(row | {"replaces": replaced})
        for part in own:
            parts.append(part)
        done += 1
        progress(done)
    return Manifest(listing.table(), parts.table())


def _found(assets: Iterable[Asset], progress: Callable[[int], None]) -> pa.Table:
    """The listing as columns, while it comes in."""
    found = TableBuilder(_FOUND)
    for count, asset in enumerate(assets, 1):
        found.append({name: getattr(asset, name) for name in _FOUND.names})
        progress(count)
    return found.table()


def _assets(found: pa.Table) -> Iterator[Asset]:
    for batch in found.to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            yield Asset(**row)


def _unchanged(found: pa.Table, compared: pa.Table) -> pa.Table:
    """Rows of the listing for assets that are not opened."""
    columns = {name: found[name] for name in found.column_names}
    columns |= {name: compared[name] for name in compared.column_names}
    constant = {"media_type": "", "pages": 0, "seconds": 0.0, "parts": 0, "replaces": False, "failure": None}
    for name, value in constant.items():
        columns[name] = pa.repeat(pa.scalar(value, LISTING.field(name).type), found.num_rows)
    return pa.table([columns[name] for name in LISTING.names], schema=LISTING)


def _listed(
    asset: Asset, state: str, seen: Probe | None = None, *, modality: str = "", fingerprint: str = "", parts: int = 0
) -> dict[str, Any]:
    return {
        "uri": asset.uri,
        "etag": asset.etag,
        "size": asset.size,
        "modified": asset.modified,
        "media_type": seen.media_type if seen else "",
        "modality": modality,
        "pages": seen.pages if seen else 0,
        "seconds": seen.seconds if seen else 0.0,
        "parts": parts,
        "state": state,
        "replaces": False,
        "perception_fingerprint": fingerprint,
        "failure": None,
    }


def _parts(asset: Asset, seen: Probe, fingerprint: str, config: RunConfig) -> list[dict[str, Any]]:
    step = config.seconds_per_part if seen.modality == "audio" else config.pages_per_part
    whole = seen.seconds if seen.modality == "audio" else float(seen.pages)
    starts = [0.0]
    while starts[-1] + step < whole:
        starts.append(starts[-1] + step)
    if len(starts) > 1 and seen.modality == "audio" and whole - starts[-1] < 5:
        starts.pop()  # a tail of a few seconds is read with the part before it
    ranges = list(zip(starts, [*starts[1:], whole], strict=True))
    return [
        {
            "part_id": part_id(asset.uri, asset.etag, start, stop, fingerprint),
            "uri": asset.uri,
            "etag": asset.etag,
            "modality": seen.modality,
            "media_type": seen.media_type,
            "range_start": start,
            "range_stop": None if seen.estimated and stop == whole else stop,  # an estimate must not cut the end off
            "perception_fingerprint": fingerprint,
            "parts": len(ranges),
            "units": stop - start,
            "batch": 0,
            "earlier_attempts": 0,
        }
        for start, stop in ranges
    ]


def failed_row(listed: dict[str, Any], run_id: str, earlier_attempts: int) -> dict[str, Any]:
    """The row in `parts` of an asset that the probe could not open: it has no pages, but it is a row."""
    return {
        "part_id": part_id(listed["uri"], listed["etag"], 0, 0, listed["perception_fingerprint"]),
        "status": "failed",
        "failures": [listed["failure"] | {"attempt": earlier_attempts + 1}],
        "pages": [],
        "text": "",
        "attempts": earlier_attempts + 1,
        "read_at": datetime.now(UTC),
        "run_id": run_id,
        **{name: listed[name] for name in ("uri", "etag", "modality", "media_type", "perception_fingerprint")},
    }
