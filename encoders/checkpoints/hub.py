"""Checkpoints by Hugging Face id, kept in the hub library's own cache (HF_HOME)."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from encoders.checkpoints.errors import CheckpointError

# Weights for frameworks that nothing here loads; a repository often holds the same network five times.
_UNUSED = ["*.msgpack", "*.h5", "*.ot", "*.tflite", "*.gguf", "openvino/*", "coreml/*", "*.mlpackage/*"]


def fetch(ref: str, *, offline: bool = False) -> Path:
    """The snapshot's folder, downloaded unless it is in the cache. Raises `CheckpointError`."""
    repo, revision = _split(ref)
    try:
        folder = huggingface_hub.snapshot_download(
            repo, revision=revision, ignore_patterns=_UNUSED, local_files_only=offline
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise _refusal(ref, error) from error
    return Path(folder)


def revision(ref: str, *, offline: bool = False) -> str:
    """The commit that the id stands for now (offline: that was downloaded last). Raises `CheckpointError`."""
    if offline:
        return fetch(ref, offline=True).name  # snapshots/<commit>
    repo, wanted = _split(ref)
    try:
        commit = huggingface_hub.HfApi().model_info(repo, revision=wanted).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError):
        return fetch(ref, offline=True).name
    return str(commit)


def _split(ref: str) -> tuple[str, str | None]:
    repo, _, wanted = ref.partition("@")
    return repo, wanted or None


def _refusal(ref: str, error: Exception) -> CheckpointError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return CheckpointError(
        f"The Hugging Face checkpoint {ref} is not in this machine's cache and could not be downloaded. "
        f"Check the id and the network, or give a local folder or an s3:// prefix instead. The hub said: {reason}"
    )
