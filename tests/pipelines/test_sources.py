"""Sources: what is listed, what is refused, and that fetching notices changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.failures import FailureCategory, InterlaceError, MediaError
from pipelines import sources
from pipelines.sources import fetch, list_assets, split_s3
from pipelines.spool import Spool
from pipelines.storage import s3_client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ["a.pdf", "b/c.png", "b/.hidden", ".git/config", "odd names/it's «so» 😀.txt", "new\nline.txt"]
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "in"


def names(*sources: str | Path, exclude: str | None = None) -> list[str]:
    return [Path(asset.uri).name for asset in list_assets([str(source) for source in sources], exclude=exclude)]


def test_a_folder_is_walked_without_hidden_files(folder: Path) -> None:
    assert sorted(names(folder)) == ["a.pdf", "c.png", "it's «so» 😀.txt", "new\nline.txt"]


def test_globs_files_and_overlaps_list_each_asset_once(folder: Path) -> None:
    assert names(folder / "**" / "*.p*", folder / "a.pdf", folder) == sorted(names(folder / "**" / "*.p*")) + [
        name for name in names(folder) if not name.endswith((".pdf", ".png"))
    ]


def test_out_inside_the_source_is_left_out(folder: Path) -> None:
    assert "c.png" not in names(folder, exclude=str(folder / "b"))


def test_a_list_of_paths_is_followed_and_prose_is_an_asset(folder: Path) -> None:
    listing = folder.parent / "list.txt"
    listing.write_text("in/a.pdf\nin/b/c.png\n")
    assert names(listing) == ["a.pdf", "c.png"]
    assert names(f"@{listing}") == ["a.pdf", "c.png"]
    prose = folder.parent / "prose.txt"
    prose.write_text("Dear reader,\nthis is not a list.\n")
    assert names(prose) == ["prose.txt"]


@pytest.mark.parametrize("source", ["nowhere", "*.nothing", "@missing.txt", "s3://no-such-bucket-here/x"])
def test_what_is_not_there_is_a_clear_error(folder: Path, source: str, s3: str) -> None:
    with pytest.raises(InterlaceError) as caught:
        list(list_assets([source if source.startswith(("s3", "@")) else str(folder / source)]))
    assert source.strip("@*") in str(caught.value)


def test_s3_prefixes_globs_and_many_folders(s3: str) -> None:
    bucket, _ = split_s3(s3)
    keys = [f"in/{folder:02d}/{number}.txt" for folder in range(25) for number in range(3)]
    for key in [*keys, "in-other/x.txt", "in/.hidden"]:
        s3_client().put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert sorted(asset.uri for asset in list_assets([f"{s3}/in"])) == sorted(f"{s3}/{key}" for key in keys)
    assert len(names(f"{s3}/in/0*/1.txt")) == 10
    assert names(f"{s3}/in/07/2.txt") == ["2.txt"]
    asset = next(list_assets([f"{s3}/in/07/2.txt"]))
    assert asset.size == len("in/07/2.txt") and fetch(asset.uri, asset.etag) == b"in/07/2.txt"


def test_large_folders_are_listed_by_turns_and_each_key_once(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, _ = split_s3(s3)
    keys = [f"in/{folder}/{number}.txt" for folder in range(5) for number in range(8 * folder)]
    for key in [*keys, "in/top.txt"]:
        s3_client().put_object(Bucket=bucket, Key=key, Body=b"")
    whole = names(f"{s3}/in")
    assert len(whole) == len(keys) + 1
    monkeypatch.setattr(sources, "PAGE_KEYS", 3)
    monkeypatch.setattr(sources, "PAGES", 2)
    by_turns = [asset.uri.removeprefix(f"{s3}/in/") for asset in list_assets([f"{s3}/in"])]
    assert sorted(by_turns) == sorted(asset.uri.removeprefix(f"{s3}/in/") for asset in list_assets([f"{s3}/in", s3]))
    assert len(by_turns) == len(whole)
    turns = [name.partition("/")[0] for name in by_turns]
    assert turns.index("3") < len(turns) - turns[::-1].index("2")  # one folder began before the one before it had ended


def test_a_changed_asset_is_not_read_as_the_listed_one(folder: Path, s3: str) -> None:
    bucket, _ = split_s3(s3)
    s3_client().put_object(Bucket=bucket, Key="x", Body=b"one")
    listed = [next(list_assets([f"{s3}/x"])), next(list_assets([str(folder / "a.pdf")]))]
    s3_client().put_object(Bucket=bucket, Key="x", Body=b"two")
    (folder / "a.pdf").write_text("other bytes")
    for asset in listed:
        with pytest.raises(MediaError) as caught:
            Spool(folder.parent / "spool").get(asset.uri, asset.etag)
        assert caught.value.category is FailureCategory.DOWNLOAD_FAILED


def test_the_spool_fetches_once_and_keeps_to_its_size(tmp_path: Path, s3: str) -> None:
    bucket, _ = split_s3(s3)
    for number in range(4):
        s3_client().put_object(Bucket=bucket, Key=f"k{number}", Body=bytes(400_000))
    assets = list(list_assets([f"{s3}/k*"]))
    spool = Spool(tmp_path / "spool", max_bytes=1_000_000)
    first = spool.get(assets[0].uri, assets[0].etag)
    s3_client().delete_object(Bucket=bucket, Key="k0")
    assert spool.get(assets[0].uri, assets[0].etag) == first
    for asset in assets[1:]:
        spool.get(asset.uri, asset.etag)
    kept = [path for path in (tmp_path / "spool").iterdir() if len(path.name) == 40]
    assert sum(path.stat().st_size for path in kept) <= 1_000_000
