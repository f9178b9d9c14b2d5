"""The manifest: which assets, cut into which parts, formed into which batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from cluster.planning import plan_pools
from cluster.pools import Resources, Work
from encoders.failures import Failure, FailureCategory
from encoders.media.opened import Probe
from encoders.registry import ENCODERS
from pipelines.batches import MAX_PARTS, Forming, form_branches, work_of
from pipelines.changes import KNOWN
from pipelines.manifest import Manifest, build_manifest, select
from pipelines.row_file import RowFile
from pipelines.settings import RunConfig
from pipelines.sources import Asset

FINGERPRINTS = {"document": "doc-1", "audio": "aud-1"}


def asset(uri: str, etag: str = "e") -> Asset:
    return Asset(uri, 1, etag, datetime(2024, 1, 1, tzinfo=UTC))


def look(assets: Iterable[Asset]) -> Iterator[tuple[Asset, Probe | Failure]]:
    """What the prober would see, by name: N.pdf has N pages, N.wav N seconds."""
    for found in assets:
        stem, _, kind = found.uri.partition(".")
        if kind == "pdf":
            yield found, Probe("application/pdf", "document", pages=int(stem))
        elif kind == "wav":
            yield found, Probe("audio/wav", "audio", seconds=float(stem), estimated=stem.endswith("9"))
        elif kind == "png":
            yield found, Probe("image/png", "image", pages=1)
        else:
            yield found, Failure(FailureCategory.UNSUPPORTED, "probe", "no encoder reads it")


def known(*rows: tuple[str, str, str, str]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(KNOWN.names, row, strict=True)) for row in rows], schema=KNOWN)


def manifest(
    *uris: str,
    etag: str = "e",
    fingerprints: dict[str, str] = FINGERPRINTS,
    tables: pa.Table | None = None,
    **more: Any,
) -> Manifest:
    held = [] if tables is None else [tables]
    return build_manifest([asset(uri, etag) for uri in uris], held, fingerprints, RunConfig(), look, **more)


def rows(found: RowFile, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in found.table().select(names).to_pylist()]


def ranges(*uris: str) -> list[tuple[float, float | None]]:
    return rows(manifest(*uris).parts, "range_start", "range_stop")


def test_documents_are_cut_at_32_pages_and_recordings_at_30_minutes() -> None:
    assert ranges("70.pdf") == [(0, 32), (32, 64), (64, 70)]
    assert ranges("32.pdf") == [(0, 32)]
    assert ranges("4000.wav") == [(0, 1800), (1800, 3600), (3600, 4000)]
    assert ranges("3603.wav") == [(0, 1800), (1800, 3603)]  # no part of three seconds
    assert ranges("59.wav") == [(0, None)]  # an estimate must not cut the end off


def test_every_asset_is_listed_whatever_becomes_of_it() -> None:
    built = manifest("3.pdf", "60.wav", "1.png", "x.bin")
    assert dict(rows(built.listing, "uri", "state")) == {
        "3.pdf": "new",
        "60.wav": "new",
        "1.png": "skipped",
        "x.bin": "failed",
    }
    assert set(built.parts.table()["uri"].to_pylist()) == {"3.pdf", "60.wav"}


def test_known_assets_are_probed_again_only_when_they_or_their_encoders_changed() -> None:
    tables = known(
        ("1.pdf", "e", "doc-1", "document"),
        ("2.pdf", "other", "doc-1", "document"),
        ("3.pdf", "e", "doc-0", "document"),
        ("4.wav", "e", "aud-1", "audio"),
        ("6.png", "e", "", "image"),  # skipped before, because nothing reads images
        ("7.bin", "e", "doc-1", ""),  # no probe could open it
    )
    told: list[Counter[str]] = []
    uris = ("1.pdf", "2.pdf", "3.pdf", "4.wav", "5.pdf", "6.png", "7.bin")
    built = manifest(*uris, tables=tables, fresh=told.append)
    assert sorted(rows(built.listing, "uri", "state", "replaces")) == [
        ("1.pdf", "unchanged", False),
        ("2.pdf", "new", True),
        ("3.pdf", "new", True),
        ("4.wav", "unchanged", False),
        ("5.pdf", "new", False),
        ("6.png", "unchanged", False),
        ("7.bin", "unchanged", False),
    ]
    assert told == [{"new": 1, "changed": 1, "reread": 1}]
    assert manifest("6.png", tables=tables, fingerprints={"image": "i"}).count("new") == 1
    assert manifest("1.pdf", "4.wav", tables=tables).nothing_new


def test_a_part_keeps_its_id_until_bytes_or_encoders_change() -> None:
    def made(**more: Any) -> str:
        (found,) = manifest("3.pdf", **more).parts.table()["part_id"].to_pylist()
        return str(found)

    assert made() == made()
    assert len({made(), made(etag="e2"), made(fingerprints={"document": "doc-2"})}) == 3


def test_a_sample_repeats_and_a_limit_limits() -> None:
    assets = [asset(f"{number}.pdf") for number in range(1000)]
    some = list(select(assets, RunConfig(sample=0.1)))
    assert 60 <= len(some) <= 140 and some == list(select(assets, RunConfig(sample=0.1)))
    assert set(some) < set(select(assets, RunConfig(sample=0.3)))
    assert len(list(select(assets, RunConfig(limit=7)))) == 7


def form_batches(units: list[float], budget: float, actors: int) -> list[int]:
    forming = Forming(sum(units), budget, actors)
    return forming.numbers(units[:5]) + forming.numbers(units[5:])


def test_batches_are_formed_by_units_not_rows() -> None:
    numbers = form_batches([1.0] * 1000, 16, 2)
    sizes = list(Counter(numbers).values())
    assert sizes[:8] == [2, 2, 4, 4, 8, 8, 16, 16]  # early rows, then full batches
    assert max(sizes) == 16 and sizes[-1] <= 2  # and the actors end together
    assert numbers == sorted(numbers)
    assert form_batches([40.0, 40.0, 40.0], 12, 1) == [0, 1, 2]
    assert max(Counter(form_batches([0.001] * 1000, 10, 1)).values()) == MAX_PARTS


def test_modalities_with_the_same_encoders_share_a_branch() -> None:
    built = manifest("3.pdf", "60.wav", "1.png", fingerprints=FINGERPRINTS | {"image": "i"}).parts
    entries = {task: ENCODERS[task] for task in ("ocr", "speech_to_text")}
    work = work_of(built, entries)
    assert work == [Work("ocr", 2, 4.0, "pages"), Work("speech_to_text", 1, 60.0, "seconds")]
    branches, parts = form_branches(built, entries, plan_pools(work, Resources(2)))
    assert [(branch.tasks, branch.modalities) for branch in branches] == [
        (("ocr",), ("document", "image")),
        (("speech_to_text",), ("audio",)),
    ]
    numbers = [number for branch in branches for number in branch.batches]
    assert numbers == sorted(set(parts.table()["batch"].to_pylist())) == list(range(len(numbers)))
    assert set(parts.table()["part_id"].to_pylist()) == set(built.table()["part_id"].to_pylist())
