"""Sources: what assets there are, and their bytes. Folders, globs, files, s3:// prefixes, and lists of uris."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from encoders.failures import FailureCategory, InterlaceError, MediaError
from encoders.heartbeat import beat
from pipelines.seen import Seen
from pipelines.storage import local_path, refuse_credentials, s3_client

LISTERS = 16  # prefixes listed at once; one S3 listing answers about 1,000 keys every 100 ms
PAGES, PAGE_KEYS = 4, 1000  # of one prefix that are listed ahead, and the keys of one
BLOCK = 4 << 20  # bytes read at once
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Asset:
    """One object in storage. ``etag`` changes when the bytes do: the store's own, or size and time of a local file."""

    uri: str  # an absolute path, or s3://bucket/key
    size: int
    etag: str
    modified: datetime


def list_assets(sources: Sequence[str], *, exclude: str | None = None) -> Iterator[Asset]:
    """Every asset of the sources, each once, in order of listing; nothing below ``exclude`` (OUT itself).

    Raises InterlaceError when a source does not exist or cannot be listed.
    """
    below = None if exclude is None else exclude.rstrip("/") + "/"
    seen = Seen() if len(sources) > 1 or any(map(_may_repeat, sources)) else None
    for source in sources:
        for asset in _list_source(source):
            inside = below is not None and (asset.uri == exclude or asset.uri.startswith(below))
            if not inside and (seen is None or seen.add(asset.uri)):
                yield asset


def _may_repeat(source: str) -> bool:
    """Whether one source may have an asset twice: a list of uris, or a pattern that reaches a file by two ways."""
    return not source.startswith("s3://") and not local_path(source).is_dir()


def _list_source(source: str) -> Iterator[Asset]:
    refuse_credentials(source)
    if source.startswith("@"):
        return _list_file(Path(source[1:]))
    if source.startswith("s3://"):
        return _list_s3(source)
    path = local_path(source)
    if path.is_dir():
        return _list_folder(path)
    if path.is_file():
        return _list_file(path) if _names_assets(path) else iter([_local(path)])
    if _GLOB & set(source):
        return _list_glob(path)
    raise InterlaceError(
        f"source {source} does not exist; give a folder, a glob, a file, s3://bucket/prefix or @FILE (one uri a line)"
    )


def _local(path: Path) -> Asset:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InterlaceError(
            f"the name {os.fsencode(path)!r} is not UTF-8, so no table can hold it; rename it"
        ) from error
    stat = path.stat()
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, UTC)
    return Asset(str(path), stat.st_size, f"{stat.st_size:x}-{stat.st_mtime_ns:x}", modified)


def _list_folder(folder: Path) -> Iterator[Asset]:
    inside = folder.resolve()
    for root, folders, files in os.walk(folder, onerror=_unlisted):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "lost+found")
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file() and _belongs(path, inside):  # is_file passes over sockets
                with suppress(FileNotFoundError):  # it was deleted meanwhile
                    yield _local(path)


def _unlisted(error: OSError) -> None:
    """A folder that cannot be read must not pass for an empty one: its assets would be left out, or be pruned."""
    if not isinstance(error, FileNotFoundError):  # it was deleted meanwhile
        raise InterlaceError(f"cannot list {error.filename}: {error.strerror}; check its permissions") from error


def _belongs(path: Path, folder: Path) -> bool:
    """Whether a file is one of its source's own: a link may not lead out of it, to whatever else this user can read."""
    return not path.is_symlink() or path.resolve().is_relative_to(folder)


def _list_glob(pattern: Path) -> Iterator[Asset]:
    paths = [Path(p) for p in sorted(glob.glob(str(pattern.absolute()), recursive=True))]  # noqa: PTH207  absolute pattern
    if not paths:
        raise InterlaceError(f"no file matches {pattern}; quote the pattern if your shell expands it")
    for path in paths:
        if path.is_file():
            yield _local(path)


def _names_assets(path: Path) -> bool:
    """Whether a text file is a list of assets: every line of its first 4 kB is an s3:// uri or an existing path."""
    if path.suffix.lower() not in (".txt", ".lst", ".list", ".uris"):
        return False
    head = path.read_bytes()[:4096].decode("utf-8", "replace").splitlines()
    lines = [line.strip() for line in (head[:-1] if len(head) > 1 and path.stat().st_size > 4096 else head)]
    lines = [line for line in lines if line]
    return bool(lines) and all(line.startswith("s3://") or _exists(path, line) for line in lines)


def _exists(listing: Path, line: str) -> bool:
    try:
        return (listing.parent / line).is_file()
    except (OSError, ValueError):  # a line of prose can be longer than a file name may be
        return False


def _list_file(path: Path) -> Iterator[Asset]:
    for line in filter(None, map(str.strip, _lines(path))):
        yield from _list_source(line if line.startswith("s3://") else str(path.absolute().parent / line))


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise InterlaceError(f"cannot read the list of assets {path}: {error}") from error


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// uri."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _list_s3(source: str) -> Iterator[Asset]:
    bucket, key = split_s3(source)
    cut = min((key.index(mark) for mark in _GLOB if mark in key), default=None)
    client = s3_client()
    try:
        found = False
        if cut is not None:
            listed = _list_parallel(client, bucket, key[:cut])
        elif key and not key.endswith("/"):  # s3://b/2024 means the folder 2024 or the object 2024, not 2024-old/
            listed = chain(_list_object(client, bucket, key), _list_parallel(client, bucket, f"{key}/"))
        else:
            listed = _list_parallel(client, bucket, key)
        for asset in listed:
            if cut is None or fnmatch.fnmatchcase(asset.uri.removeprefix(f"s3://{bucket}/"), key):
                found = True
                yield asset
    except Exception as error:
        raise InterlaceError(
            f"cannot list {source}: {error}; check the bucket, credentials and AWS_ENDPOINT_URL"
        ) from error
    if not found and key and cut != 0:
        raise InterlaceError(f"nothing lies under {source}")


def _list_object(client: Any, bucket: str, key: str) -> Iterator[Asset]:
    """The object of this very name: if there is one, it is the first in order."""
    page = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return (asset for asset in _assets(bucket, page) if asset.uri == f"s3://{bucket}/{key}")


def _list_parallel(client: Any, bucket: str, prefix: str) -> Iterator[Asset]:
    """One level is listed first, page by page; the folders of each page are then listed side by side."""
    with ThreadPoolExecutor(LISTERS) as pool:
        for page in _pages(client, bucket, prefix, "/"):
            yield from _assets(bucket, page)
            folders = (_pages(client, bucket, common["Prefix"]) for common in page.get("CommonPrefixes", ()))
            for found in _side_by_side(pool, folders):
                yield from _assets(bucket, found)


def _side_by_side(pool: ThreadPoolExecutor, folders: Iterator[Iterator[Any]]) -> Iterator[Any]:
    """The pages of some folders: in their order when they are small, and by turns, some pages of each, when they are
    not, so that a few at a time are in memory and all listers have work."""
    under_way: deque[tuple[Iterator[Any], Future[list[Any]]]] = deque()

    def begin(pages: Iterator[Any] | None) -> None:
        if pages is not None:
            under_way.append((pages, pool.submit(lambda: list(islice(pages, PAGES)))))

    for _ in range(LISTERS):
        begin(next(folders, None))
    try:
        while under_way:
            pages, future = under_way.popleft()
            found = future.result()
            begin(pages if len(found) == PAGES else next(folders, None))
            yield from found
    finally:
        for _, future in under_way:
            future.cancel()


def _pages(client: Any, bucket: str, prefix: str, delimiter: str = "") -> Iterator[Any]:
    asked = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter, "PaginationConfig": {"PageSize": PAGE_KEYS}}
    return iter(client.get_paginator("list_objects_v2").paginate(**asked))


def _assets(bucket: str, page: Any) -> Iterator[Asset]:
    for item in page.get("Contents", ()):
        name = item["Key"].rpartition("/")[2]
        if name and not name.startswith("."):
            yield Asset(f"s3://{bucket}/{item['Key']}", item["Size"], item["ETag"].strip('"'), item["LastModified"])


def fetch(uri: str, etag: str | None = None) -> bytes:
    """The bytes of an asset. Raises MediaError(download_failed) when they are gone or differ from ``etag``."""
    return b"".join(fetch_blocks(uri, etag))


def fetch_blocks(uri: str, etag: str | None = None) -> Iterator[bytes]:
    """The same, `BLOCK` bytes at a time, so that memory does not depend on the size of an asset."""
    try:
        if not uri.startswith("s3://"):
            path = Path(uri.removeprefix("file://"))
            if etag is not None and _local(path).etag != etag:
                raise MediaError(FailureCategory.DOWNLOAD_FAILED, f"{uri} changed after it was listed; run again")
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block
            return
        bucket, key = split_s3(uri)
        conditions = {"IfMatch": etag} if etag else {}
        body = s3_client().get_object(Bucket=bucket, Key=key, **conditions)["Body"]
        for block in body.iter_chunks(BLOCK):
            beat()
            yield block
    except MediaError:
        raise
    except Exception as error:
        raise MediaError(FailureCategory.DOWNLOAD_FAILED, f"cannot read {uri}: {error}") from error
