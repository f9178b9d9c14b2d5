"""Node-local copies of remote assets: fetched once per node, found again by every part and actor there."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from pathlib import Path

from filelock import FileLock

from encoders.failures import FailureCategory, MediaError
from pipelines.sources import _local, fetch_blocks


class Spool:
    """A folder of fetched bytes with a size limit; the least recently used go first.

    Local assets are not copied. A file that another process evicts between `get` and opening reads as
    download_failed, which is retried; open files survive eviction.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = 20 * 2**30) -> None:
        self.folder = folder or Path(tempfile.gettempdir()) / f"interlace-spool-{os.getuid()}"
        self.max_bytes = max_bytes

    def get(self, uri: str, etag: str) -> Path:
        """Where the bytes lie on this node. Raises MediaError(download_failed)."""
        if not uri.startswith("s3://"):
            path = Path(uri)
            try:
                same = _local(path).etag == etag
            except OSError as error:
                raise MediaError(FailureCategory.DOWNLOAD_FAILED, f"cannot read {uri}: {error.strerror}") from error
            if not same:
                raise MediaError(FailureCategory.DOWNLOAD_FAILED, f"{uri} changed after it was listed; run again")
            return path
        name = hashlib.sha256(f"{uri}\0{etag}".encode()).hexdigest()[:40]
        target = self.folder / name
        if target.exists():
            os.utime(target)
            return target
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self.folder / f"{name[:2]}.lock"):
            if not target.exists():
                self._fetch(uri, etag, target)
        return target

    def _fetch(self, uri: str, etag: str, target: Path) -> None:
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with partial.open("wb") as file:
                for block in fetch_blocks(uri, etag):
                    file.write(block)
            self._make_room(partial.stat().st_size)
            partial.replace(target)
        except OSError as error:
            message = f"cannot keep {uri} in {self.folder}: {error.strerror}"
            raise MediaError(FailureCategory.DOWNLOAD_FAILED, message) from error
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        entries = [
            (e.stat().st_atime, e.stat().st_size, Path(e.path)) for e in os.scandir(self.folder) if len(e.name) == 40
        ]
        excess = sum(entry[1] for entry in entries) + size - self.max_bytes
        for _, length, path in sorted(entries):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= length
