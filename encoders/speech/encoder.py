"""`SpeechEncoder`: recordings to words with times, confidences and speakers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from encoders.base import MediaInput, Perception
from encoders.checkpoints.pull import Progress
from encoders.checkpoints.resolve import checkpoint_digest, checkpoint_format, resolve
from encoders.media.opener import MediaOpener
from encoders.speech.config import SpeechConfig

if TYPE_CHECKING:  # these import torch, which a driver that only asks for the fingerprint does not need
    from encoders.speech.activity import Activity
    from encoders.speech.engine import WhisperEngine
    from encoders.speech.voices import Voices

_VERSION = 2  # raise it when the same networks and settings start to give other results


class SpeechEncoder:
    """See `encoders.base.Encoder`. Audio streams through: memory does not grow with the length of a recording."""

    name: ClassVar[str] = "speech_to_text"

    def __init__(self, config: SpeechConfig | None = None) -> None:
        self.config = config or SpeechConfig()
        self._opener: MediaOpener | None = None
        self._activity: Activity | None = None
        self._voices: Voices | None = None
        self._engine: WhisperEngine | None = None

    def fetch(self, device: str = "cpu", progress: Progress | None = None) -> None:
        """See `Encoder`."""
        config = self.config
        for name in (config.activity_checkpoint, *((config.speaker_checkpoint,) if config.speakers else ())):
            resolve(name, progress=progress)
        _whisper(config, device, progress)

    def load(self, device: str = "cpu", *, lazily: bool = False) -> None:
        """Load the networks. CPU: CTranslate2; CUDA: the static-cache torch engine. Raises CheckpointError."""
        import torch

        config = self.config
        torch.set_num_threads(config.threads)
        self._engine, self._voices, self._activity = _networks(config, device)
        self._opener = MediaOpener(config.opening, config.limits)

    def __call__(self, parts: Sequence[MediaInput]) -> list[Perception]:
        """Read the parts; windows of different parts are decoded in the same batch."""
        from encoders.speech.reader import SpeechReader

        assert self._engine is not None and self._opener is not None and self._activity is not None, "load first"
        return SpeechReader(self.config, self._opener, self._activity, self._voices, self._engine)(parts)

    def fingerprint(self) -> str:
        """Hash of the three checkpoints and the settings that shape a transcript."""
        config = self.config
        roles = [config.checkpoint, config.activity_checkpoint]
        roles += [config.speaker_checkpoint] if config.speakers else []
        content = {
            "encoder": self.name,
            "version": _VERSION,
            "checkpoints": [checkpoint_digest(role) for role in roles],
            "settings": config.shaping(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def parameters(self) -> dict[str, int]:
        """Parameter count of the loaded networks."""
        loaded = {
            self.config.checkpoint: self._engine,
            self.config.activity_checkpoint: self._activity,
            self.config.speaker_checkpoint: self._voices,
        }
        return {name: network.parameters() for name, network in loaded.items() if network is not None}

    def close(self) -> None:
        """Free the networks and end the opener's child."""
        if self._opener is not None:
            self._opener.close()
        self._opener = self._activity = self._voices = self._engine = None


def _networks(config: SpeechConfig, device: str) -> tuple[WhisperEngine, Voices | None, Activity]:
    """Whisper, the voices if they are wanted, and voice activity: in this process, or in the one that computes on the
    card, which may leave activity to this one."""
    from encoders.speech.activity import ActivityNetwork

    folder = resolve(config.speaker_checkpoint) if config.speakers else None
    activity = next(iter(sorted(resolve(config.activity_checkpoint).rglob("*.onnx"))))
    shape = {"window": config.speaker.window, "hop": config.speaker.hop}
    if config.shares_process(device):
        from encoders.card.service import ServiceSpec
        from encoders.speech.card_engine import CardEngine

        whisper = _whisper(config, device)
        files = {"checkpoint": str(whisper), "speaker": str(folder) if folder else None, "activity": str(activity)}
        arguments = {**files, "threads": config.threads, **shape}
        made = CardEngine(ServiceSpec("encoders.speech.card_service:SpeechCardService", device, arguments), whisper)
        return made, made.voices, made.activity or ActivityNetwork(activity)
    from encoders.speech.voices import VoiceEncoder

    voices = VoiceEncoder(folder, device=device, **shape) if folder else None
    return _engine(config, device), voices, ActivityNetwork(activity)


def _engine(config: SpeechConfig, device: str) -> WhisperEngine:
    """CTranslate2 on CPU, torch on CUDA; a checkpoint given as a folder or id in either format runs where it can."""
    folder = _whisper(config, device)
    if device == "cpu" and checkpoint_format(folder) == "ctranslate2":
        from encoders.speech.ctranslate2_engine import CTranslate2Engine

        return CTranslate2Engine(
            folder, compute_type=config.compute_type, beam_size=config.beam_size, threads=config.threads
        )
    from encoders.speech.torch_engine import TorchEngine

    return TorchEngine(folder, device=device, threads=config.threads)


def _whisper(config: SpeechConfig, device: str, progress: Progress | None = None) -> Path:
    """Where the recogniser's checkpoint for that device lies; fetches what is not here yet. Variants are those of a
    default: other checkpoints have one form."""
    return resolve(config.checkpoint, variant="ctranslate2" if device == "cpu" else "torch", progress=progress)
