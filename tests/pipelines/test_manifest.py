"""The manifest: which assets, cut into which parts, formed into which batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from cluster.pools import Resources, Work, plan_pools
from encoders.failures import Failure, FailureCategory
from encoders.media.opened import Probe
from encoders.registry import ENCODERS
from pipelines.batches import MAX_PARTS, form_batches, form_branches, work_of
from pipelines.manifest import build_manifest, select
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


def manifest(*uris: str, known: dict[str, tuple[str, str, str]] | None = None):
    return build_manifest([asset(uri) for uri in uris], known or {}, FINGERPRINTS, RunConfig(), look)


def ranges(*uris: str) -> list[tuple[float, float | None]]:
    return [(part["range_start"], part["range_stop"]) for part in manifest(*uris).parts]


def test_documents_are_cut_at_32_pages_and_recordings_at_30_minutes() -> None:
    assert ranges("70.pdf") == [(0, 32), (32, 64), (64, 70)]
    assert ranges("32.pdf") == [(0, 32)]
    assert ranges("4000.wav") == [(0, 1800), (1800, 3600), (3600, 4000)]
    assert ranges("3603.wav") == [(0, 1800), (1800, 3603)]  # no part of three seconds
    assert ranges("59.wav") == [(0, None)]  # an estimate must not cut the end off


def test_every_asset_is_listed_whatever_becomes_of_it() -> None:
    built = manifest("3.pdf", "60.wav", "1.png", "x.bin")
    states = {row["uri"]: row["state"] for row in built.listing}
    assert states == {"3.pdf": "new", "60.wav": "new", "1.png": "skipped", "x.bin": "failed"}
    assert {part["uri"] for part in built.parts} == {"3.pdf", "60.wav"}


def test_known_assets_are_probed_again_only_when_they_or_their_encoders_changed() -> None:
    known = {
        "1.pdf": ("e", "doc-1", "document"),
        "2.pdf": ("other", "doc-1", "document"),
        "3.pdf": ("e", "doc-0", "document"),
        "4.wav": ("e", "aud-1", "audio"),
    }
    built = manifest("1.pdf", "2.pdf", "3.pdf", "4.wav", "5.pdf", known=known)
    found = {row["uri"]: (row["state"], row["replaces"]) for row in built.listing}
    assert found == {
        "1.pdf": ("unchanged", False),
        "4.wav": ("unchanged", False),
        "2.pdf": ("new", True),
        "3.pdf": ("new", True),
        "5.pdf": ("new", False),
    }


def test_a_part_keeps_its_id_until_bytes_or_encoders_change() -> None:
    first, again = manifest("3.pdf").parts[0], manifest("3.pdf").parts[0]
    assert first["part_id"] == again["part_id"]
    other = build_manifest([asset("3.pdf", "e2")], {}, FINGERPRINTS, RunConfig(), look).parts[0]
    renewed = build_manifest([asset("3.pdf")], {}, {"document": "doc-2"}, RunConfig(), look).parts[0]
    assert len({first["part_id"], other["part_id"], renewed["part_id"]}) == 3


def test_a_sample_repeats_and_a_limit_limits() -> None:
    assets = [asset(f"{number}.pdf") for number in range(1000)]
    some = list(select(assets, RunConfig(sample=0.1)))
    assert 60 <= len(some) <= 140 and some == list(select(assets, RunConfig(sample=0.1)))
    assert set(some) < set(select(assets, RunConfig(sample=0.3)))
    assert len(list(select(assets, RunConfig(limit=7)))) == 7


def test_batches_are_formed_by_units_not_rows() -> None:
    parts = [{"units": units} for units in (5, 5, 5, 40, 1, 1)]
    assert [[p["units"] for p in batch] for batch in form_batches(parts, 12)] == [[5, 5], [5], [40], [1, 1]]
    assert max(len(batch) for batch in form_batches([{"units": 0.001}] * 1000, 10)) == MAX_PARTS


def test_modalities_with_the_same_encoders_share_a_branch() -> None:
    parts = manifest("3.pdf", "60.wav").parts + [manifest("1.pdf").parts[0] | {"modality": "image"}]
    work = work_of(parts, ENCODERS)
    assert work == [Work("ocr", 2, 4.0, "pages"), Work("speech_to_text", 1, 60.0, "seconds")]
    branches, batches = form_branches(parts, ENCODERS, plan_pools(work, Resources(2)))
    assert [(branch.tasks, branch.modalities) for branch in branches] == [
        (("ocr",), ("document", "image")),
        (("speech_to_text",), ("audio",)),
    ]
    assert sorted(number for branch in branches for number in branch.batches) == list(range(len(batches)))
