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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from encoders.base import MediaInput
from encoders.failures import Failure, MediaError
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.media.opened import Probe
from encoders.media.opener import MediaOpener
from pipelines.changes import STATES, Compared, compare_all
from pipelines.fingerprints import part_id
from pipelines.passwords import Passwords
from pipelines.row_file import RowFile
from pipelines.settings import RunConfig
from pipelines.sources import Asset
from pipelines.spool import Spool
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

    listing: RowFile
    parts: RowFile

    @property
    def nothing_new(self) -> bool:
        """Whether every asset is as the tables have it."""
        return self.count("unchanged") == self.listing.num_rows

    def count(self, *states: str) -> int:
        """Assets in these states."""
        chosen = pa.array(states, pa.string())
        return sum(pc.is_in(rows["state"], value_set=chosen).true_count for rows in self.listing.to_batches())


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
    known: Iterable[pa.Table],
    fingerprints: Mapping[str, str],
    config: RunConfig,
    prober: Callable[[Iterable[Asset]], Iterator[tuple[Asset, Probe | Failure]]],
    progress: Callable[[int], None] = lambda count: None,
    fresh: Callable[[Counter[str]], None] = lambda states: None,
) -> Manifest:
    """List, leave out what is known already, probe the rest, and cut it into parts.

    ``known`` has the columns of `pipelines.changes.KNOWN`. ``fresh`` is told, before anything is opened, how many
    assets are new, changed, or read again because their encoders are other ones. Memory holds some bytes an asset; the
    rest is in temporary files.
    """
    found = _found(assets, progress)
    compared = compare_all(found, known, fingerprints)
    listing, parts = RowFile(LISTING), RowFile(MANIFEST)
    for rows, places in _those(found, compared.state == STATES.index("unchanged")):
        listing.add(_unchanged(rows, compared, places))
    states = Counter(compared.counts())
    done = states.pop("unchanged", 0)
    if states:
        fresh(states)
    others = compared.state != STATES.index("unchanged")
    probed = prober(_assets(rows for rows, _ in _those(found, others)))
    for (asset, seen), state in zip(probed, compared.state[others], strict=True):
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
        listing.append(row | {"replaces": STATES[state] != "new"})
        for part in own:
            parts.append(part)
        done += 1
        progress(done)
    return Manifest(listing, parts)


def _found(assets: Iterable[Asset], progress: Callable[[int], None]) -> RowFile:
    """The listing as columns, while it comes in."""
    found = RowFile(_FOUND)
    for count, asset in enumerate(assets, 1):
        found.append({name: getattr(asset, name) for name in _FOUND.names})
        progress(count)
    return found


def _those(found: RowFile, chosen: np.ndarray) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """Some rows of the listing, with their places in it."""
    first = 0
    for batch in found.to_batches():
        own = chosen[first : first + batch.num_rows]
        if own.any():
            yield batch if own.all() else batch.filter(pa.array(own)), first + np.flatnonzero(own)
        first += batch.num_rows


def _assets(batches: Iterable[pa.RecordBatch]) -> Iterator[Asset]:
    for batch in batches:
        for row in batch.to_pylist():
            yield Asset(**row)


def _unchanged(found: pa.RecordBatch, compared: Compared, places: np.ndarray) -> pa.Table:
    """Rows of the listing for assets that are not opened."""
    columns = {name: found[name] for name in found.schema.names} | compared.known(places)
    constant = {"media_type": "", "pages": 0, "seconds": 0.0, "parts": 0, "replaces": False, "failure": None}
    for name, value in (constant | {"state": "unchanged"}).items():
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


def failed_rows(listing: RowFile, run_id: str, earlier: Callable[[str], int]) -> Iterator[list[dict[str, Any]]]:
    """The rows in `parts` of assets that the probe could not open, some thousands at a time: they have no pages, but
    they are rows. ``earlier`` tells how often an asset was tried before."""
    for rows in listing.tables():
        failed = rows.filter(pc.equal(rows["state"], "failed")).to_pylist()
        if failed:
            yield [_failed_row(row, run_id, earlier(row["uri"])) for row in failed]


def _failed_row(listed: dict[str, Any], run_id: str, earlier_attempts: int) -> dict[str, Any]:
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
