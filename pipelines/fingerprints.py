"""What shapes a perception, as one hash per modality, and the ids derived from it."""

from __future__ import annotations

import hashlib

from encoders.base import Encoder
from encoders.registry import ENCODERS, EncoderEntry
from pipelines.settings import SettingsTree


def active_encoders(settings: SettingsTree) -> dict[str, EncoderEntry]:
    """The encoders that this run asks for, in the registry's order."""
    return {task: entry for task, entry in ENCODERS.items() if task in settings.run.tasks}


def build_encoder(entry: EncoderEntry, settings: SettingsTree) -> Encoder:
    """An encoder with its config from the settings, not loaded."""
    return entry.build(settings.encoder(entry.task))


def perception_fingerprints(settings: SettingsTree) -> dict[str, str]:
    """Per modality, a hash of every encoder that reads it and of how its parts are cut. Loads no checkpoint.

    A modality that no active encoder reads is absent: its assets are skipped.
    """
    cut = {"document": settings.run.pages_per_part, "image": settings.run.pages_per_part}
    found: dict[str, str] = {}
    encoders = {task: (entry, build_encoder(entry, settings)) for task, entry in active_encoders(settings).items()}
    for modality in ("document", "image", "audio"):
        readers = [
            f"{task}={enc.fingerprint()}" for task, (entry, enc) in encoders.items() if modality in entry.modalities
        ]
        if readers:
            part = cut.get(modality, settings.run.seconds_per_part)
            found[modality] = _digest([modality, str(part), *readers])
    return found


def part_id(uri: str, etag: str, start: float, stop: float, fingerprint: str) -> str:
    """The id that a part keeps from manifest to table."""
    return _digest([uri, etag, f"{start:g}", f"{stop:g}", fingerprint])


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
