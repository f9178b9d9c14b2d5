"""Where checkpoints lie on disk, and how a folder appears there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_CHUNK = 1 << 20


def interlace_home(home: Path | None = None) -> Path:
    """The folder for everything that is fetched: ``home``, else INTERLACE_HOME, else ~/.cache/interlace."""
    return (home or Path(os.environ.get("INTERLACE_HOME") or "~/.cache/interlace")).expanduser().absolute()


def checkpoints_folder(home: Path | None = None) -> Path:
    """The folder that holds one folder per fetched checkpoint."""
    return interlace_home(home) / "checkpoints"


@contextmanager
def exclusive(home: Path | None, name: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of that name, having called ``waiting`` if another process holds it. Freed when a holder dies."""
    folder = interlace_home(home) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_under(folder: Path) -> dict[str, Path]:
    """Relative posix path -> file, without hidden files and folders (.git, .cache), in order."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(piece.startswith(".") for piece in relative.parts):
            found[relative.as_posix()] = path
    return found


def publish(target: Path, fill: Callable[[Path], None]) -> None:
    """Make ``target`` a folder with what ``fill`` writes into an empty one; replaces an older ``target``.

    The caller holds the lock. What an interrupted attempt left behind is removed first; it was never visible
    under the target's name.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (target.with_name(f".{target.name}.{kind}") for kind in ("partial", "old"))
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    partial.mkdir()
    try:
        fill(partial)
        for path in [*partial.rglob("*"), partial]:
            _sync(path)
        if target.exists():
            target.rename(old)  # a folder cannot be renamed over one that is not empty
        partial.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    """Have the bytes on disk before the name: a rename outlives a power cut that unwritten pages do not."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_joined(parts: list[Path], target: Path) -> None:
    """Write the parts one after the other into ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, out, _CHUNK)
