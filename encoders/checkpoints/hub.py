"""Checkpoints by Hugging Face id, kept in the hub library's own cache (HF_HOME)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from encoders.checkpoints.errors import CheckpointError

# A repository often holds the same network five times. These are for frameworks that nothing here loads ...
_UNUSED = ["*.msgpack", "*.h5", "*.ot", "*.tflite", "*.gguf", "openvino/*", "coreml/*", "*.mlpackage/*"]
# ... and these are the same weights again in a repository that has safetensors (in one that has not, ``model.bin`` is
# CTranslate2's and ``pytorch_model.bin`` all there is).
_BESIDE_SAFETENSORS = ["*.bin", "*.pt", "*.pth", "model.*.safetensors"]
_ERRORS = (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError)


def fetch(ref: str, *, offline: bool = False) -> Path:
    """The snapshot's folder: the newest one, or the one in the cache when the hub does not answer.

    Raises `CheckpointError` when there is neither.
    """
    repo, wanted = _split(ref)
    if offline:
        return _cached(ref)
    try:
        info = huggingface_hub.HfApi().model_info(repo, revision=wanted)
        names = [sibling.rfilename for sibling in info.siblings or []]
        unused = _UNUSED + (_BESIDE_SAFETENSORS if any(name.endswith(".safetensors") for name in names) else [])
        # By name and not by the commit in `info`: only then does the cache note what the name stood for.
        return Path(huggingface_hub.snapshot_download(repo, revision=wanted, ignore_patterns=unused))
    except _ERRORS as error:
        return _cached(ref, error)


def revision(ref: str, *, offline: bool = False) -> str:
    """The commit that the id stands for: the hub's, or that of the cache when the hub does not answer."""
    repo, wanted = _split(ref)
    if offline:
        return _cached(ref).name
    try:
        return str(huggingface_hub.HfApi().model_info(repo, revision=wanted).sha)
    except _ERRORS as error:
        return _cached(ref, error).name  # snapshots/<commit>


def _cached(ref: str, reason: Exception | None = None) -> Path:
    """The snapshot in the cache; ``reason`` is why the hub was of no use, None when it was not to be asked."""
    repo, wanted = _split(ref)
    local = partial(huggingface_hub.snapshot_download, repo, revision=wanted, local_files_only=True)
    try:
        # The library calls a snapshot incomplete when files are missing that were never asked for, unless told again.
        folder = Path(local(ignore_patterns=_UNUSED + _BESIDE_SAFETENSORS))
        return folder if any(folder.rglob("*.safetensors")) else Path(local(ignore_patterns=_UNUSED))
    except _ERRORS as error:
        said = str(reason).strip().splitlines() if reason else ["not asked, because fetching is off"]
        raise CheckpointError(
            f"The Hugging Face checkpoint {ref} is not in this machine's cache and could not be downloaded. Check the "
            f"id and the network, or give a local folder or an s3:// prefix instead. The hub: {' '.join(said)}"
        ) from (reason or error)


def _split(ref: str) -> tuple[str, str | None]:
    repo, _, wanted = ref.partition("@")
    return repo, wanted or None
