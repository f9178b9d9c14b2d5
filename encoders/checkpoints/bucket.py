"""Checkpoints under an s3:// prefix, copied once per state of the listing."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from encoders.checkpoints.errors import CheckpointError, HashMismatch
from encoders.checkpoints.home import checkpoints_folder, exclusive, file_sha256, publish

_RECORD = ".listing.json"  # hidden: not part of a folder's digest


@dataclass(frozen=True, slots=True)
class _Object:
    key: str
    path: str  # relative to the prefix
    size: int
    etag: str


def fetch(ref: str, *, home: Path | None = None, offline: bool = False) -> Path:
    """The folder with the prefix's objects; downloads them when the listing has changed. Raises `CheckpointError`."""
    if offline:
        return _newest(ref, home)
    objects = _listing(ref)
    target = _folder(ref, objects, home)
    if not target.is_dir():
        try:
            with exclusive(home, target.name):
                if not target.is_dir():
                    publish(target, lambda folder: _download(ref, objects, folder))
        except OSError as error:
            raise CheckpointError(
                f"{ref} cannot be copied to {target}: {error}. INTERLACE_HOME names the place."
            ) from error
    return target


def digest(ref: str, *, home: Path | None = None, offline: bool = False) -> str:
    """sha256 over names, sizes and ETags of the objects (offline: of those that were copied last)."""
    if offline:
        return str(json.loads((_newest(ref, home) / _RECORD).read_text(encoding="utf-8"))["digest"])
    return _digest(_listing(ref))


def _digest(objects: list[_Object]) -> str:
    lines = "".join(f"{item.etag} {item.size} {item.path}\n" for item in objects)
    return hashlib.sha256(lines.encode()).hexdigest()


def _folder(ref: str, objects: list[_Object], home: Path | None) -> Path:
    name = PurePosixPath(ref).name or "checkpoint"
    return checkpoints_folder(home) / f"s3-{name}-{_digest(objects)[:12]}"


def client() -> Any:
    """An S3 client for checkpoints."""
    import boto3
    from botocore.config import Config

    # Endpoint, region and credentials come from where every S3 tool takes them (AWS_ENDPOINT_URL, AWS_PROFILE, ...).
    # A store of one's own seldom resolves bucket.host, which boto3 would use for an endpoint that is a name.
    path_style = {"addressing_style": "path"} if os.environ.get("AWS_ENDPOINT_URL") else {}
    return boto3.client("s3", config=Config(s3=path_style))


def split(ref: str) -> tuple[str, str]:
    """The bucket of s3://bucket/prefix, and the prefix with a slash at its end. Raises `CheckpointError`."""
    name, _, prefix = ref.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if not name or not prefix:
        raise CheckpointError(f"{ref} is not a checkpoint: expected s3://bucket/prefix.")
    return name, f"{prefix}/"


def _listing(ref: str) -> list[_Object]:
    """The objects below the prefix by path. Raises `CheckpointError` for an unreachable or empty prefix."""
    from botocore.exceptions import BotoCoreError, ClientError

    name, prefix = split(ref)
    objects = []
    try:
        for page in client().get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix):
            for entry in page.get("Contents", []):
                path = entry["Key"].removeprefix(prefix)
                if not path or path.endswith("/"):
                    continue  # folder markers that consoles write
                if ".." in PurePosixPath(path).parts or path.startswith("/"):
                    raise CheckpointError(f"{ref} holds the object {entry['Key']!r}, whose name leaves the folder.")
                objects.append(_Object(entry["Key"], path, entry["Size"], entry["ETag"].strip('"')))
    except (BotoCoreError, ClientError) as error:
        raise CheckpointError(
            f"The checkpoint {ref} cannot be listed: {error}. Check the bucket's name, the credentials and "
            f"AWS_ENDPOINT_URL."
        ) from error
    if not objects:
        raise CheckpointError(f"There is nothing under {ref}/: check the prefix.")
    return sorted(objects, key=lambda item: item.path)


def _download(ref: str, objects: list[_Object], folder: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    name, _ = split(ref)
    store = client()
    try:
        for item in objects:
            target = folder / item.path
            target.parent.mkdir(parents=True, exist_ok=True)
            store.download_file(name, item.key, str(target))
    except (BotoCoreError, ClientError) as error:
        raise CheckpointError(f"The checkpoint {ref} could not be downloaded: {error}.") from error
    _check_sums(ref, folder)
    if _listing(ref) != objects:
        raise CheckpointError(f"{ref} was changed while it was downloaded; run again once the upload has ended.")
    record = {"ref": ref.rstrip("/"), "digest": _digest(objects)}
    (folder / _RECORD).write_text(json.dumps(record), encoding="utf-8")


def _check_sums(ref: str, folder: Path) -> None:
    """Compare the files with SHA256SUMS, as `sha256sum` writes it, when the prefix has one."""
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        return
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, _, path = line.partition(" ")
        file = folder / path.strip().removeprefix("*").removeprefix("./")
        found = file_sha256(file) if file.is_file() else "missing"
        if found != expected:
            advice = "Upload the file again, or SHA256SUMS when the file is right."
            raise HashMismatch(f"{ref.rstrip('/')}/{file.relative_to(folder)}", expected, found, advice)


def _newest(ref: str, home: Path | None) -> Path:
    """The copy of this prefix that was made last."""
    folders = [
        record.parent
        for record in checkpoints_folder(home).glob(f"s3-*/{_RECORD}")
        if json.loads(record.read_text(encoding="utf-8"))["ref"] == ref.rstrip("/")
    ]
    if not folders:
        raise CheckpointError(f"{ref} has not been copied to this machine, and fetching is off.")
    return max(folders, key=lambda folder: folder.stat().st_mtime)
