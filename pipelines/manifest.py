"""The manifest: what a run has to do, frozen as Parquet before anything is read.

`listing.parquet` has one row per asset listed, with what the probe saw. `manifest-NNNNN.parquet` have one row
per part; each row group is one batch, so that the batches of a run are the same however often it is resumed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa

from encoders.base import MediaInput
from encoders.failures import Failure, MediaError
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.media.opened import Probe
from encoders.media.opener import MediaOpener
from pipelines.fingerprints import part_id
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
        "state": pa.string(),  # new | unchanged | skipped (no active encoder reads it) | failed (by the probe)
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
    }
)
Known = Mapping[str, tuple[str, str, str]]
"""What `assets` holds: uri -> (etag, perception fingerprint, modality)."""


@dataclass(slots=True)
class Manifest:
    """Rows of the listing and of the parts, before they are frozen."""

    listing: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)

    def units(self, modalities: Iterable[str]) -> tuple[int, float]:
        """Parts and units of some modalities."""
        chosen = [part["units"] for part in self.parts if part["modality"] in set(modalities)]
        return len(chosen), sum(chosen)


class Prober:
    """Looks at assets in killable children, several at once."""

    def __init__(self, opening: OpeningConfig, limits: OpeningLimits, spool: Spool, workers: int) -> None:
        self._opening, self._limits, self._spool, self._workers = opening, limits, spool, workers
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
        if not hasattr(self._local, "opener"):
            self._local.opener = MediaOpener(self._opening, self._limits)
            self._openers.append(self._local.opener)
        try:
            path = self._spool.get(asset.uri, asset.etag)
            return self._local.opener.probe(MediaInput("", asset.uri, "", path=path))  # type: ignore[no-any-return]
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
    known: Known,
    fingerprints: Mapping[str, str],
    config: RunConfig,
    prober: Prober,
    progress: Callable[[int], None] = lambda count: None,
) -> Manifest:
    """List, leave out what the tables hold already, probe the rest, and cut it into parts."""
    manifest = Manifest()
    fresh: list[Asset] = []
    for asset in assets:
        etag, fingerprint, modality = known.get(asset.uri, ("", "", ""))
        if etag == asset.etag and fingerprint == fingerprints.get(modality, fingerprint):
            manifest.listing.append(_listed(asset, "unchanged", modality=modality, fingerprint=fingerprint))
        else:
            fresh.append(asset)
        progress(len(manifest.listing) + len(fresh))
    for asset, seen in prober(fresh):
        if isinstance(seen, Failure):
            row = _listed(asset, "failed", fingerprint=fingerprints.get("document", ""), parts=1)
            manifest.listing.append(row | {"failure": as_row(seen)})
        elif seen.modality not in fingerprints:
            manifest.listing.append(_listed(asset, "skipped", seen, modality=seen.modality))
        else:
            parts = _parts(asset, seen, fingerprints[seen.modality], config)
            manifest.parts += parts
            manifest.listing.append(
                _listed(
                    asset,
                    "new",
                    seen,
                    modality=seen.modality,
                    fingerprint=fingerprints[seen.modality],
                    parts=len(parts),
                )
            )
        manifest.listing[-1]["replaces"] = asset.uri in known
        progress(len(manifest.listing))
    return manifest


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
        }
        for start, stop in ranges
    ]
