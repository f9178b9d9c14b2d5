"""What shapes a perception, as one hash per modality, and the ids derived from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from encoders.checkpoints.resolve import checkpoint_digest
from encoders.registry import ENCODERS, EncoderEntry
from pipelines.settings import RunConfig, SettingsTree


def active_encoders(settings: SettingsTree) -> dict[str, EncoderEntry]:
    """The encoders that this run asks for, in the registry's order."""
    return {task: entry for task, entry in ENCODERS.items() if task in settings.run.tasks}


def encoder_fingerprints(entries: Mapping[str, EncoderEntry], configs: Mapping[str, Any]) -> dict[str, str]:
    """Per task, a hash of its encoder's checkpoints and of the settings that shape what it reads. Loads none."""
    return {task: entry.build(configs[task]).fingerprint() for task, entry in entries.items()}


def perception_fingerprints(
    entries: Mapping[str, EncoderEntry], encoders: Mapping[str, str], run: RunConfig, kept: Mapping[str, str]
) -> dict[str, str]:
    """Per modality, a hash of every encoder that reads it and of how its parts are cut. ``encoders``: those of
    `encoder_fingerprints`; ``kept``: the checkpoints of adapters whose soft tokens are stored, by task.

    A modality that no active encoder reads is absent: its assets are skipped.
    """
    shapes = dict(encoders)
    for task in entries:
        if task in kept:
            shapes[task] += f"+{checkpoint_digest(kept[task])}"
        if run.keep_features:
            shapes[task] += "+features"
    found: dict[str, str] = {}
    for modality in ("document", "image", "audio"):
        readers = [f"{task}={shapes[task]}" for task, entry in entries.items() if modality in entry.modalities]
        if readers:
            part = run.seconds_per_part if modality == "audio" else run.pages_per_part
            found[modality] = _digest([modality, str(part), *readers])
    return found


def part_id(uri: str, etag: str, start: float, stop: float, fingerprint: str) -> str:
    """The id that a part keeps from manifest to table."""
    return _digest([uri, etag, f"{start:g}", f"{stop:g}", fingerprint])


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
