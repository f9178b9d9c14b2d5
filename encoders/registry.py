"""The one place that names every encoder. Add a line here and a module to add an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """Where an encoder's class and config live, and which modalities it reads."""

    task: str
    module: str
    encoder_class: str
    config_class: str
    modalities: tuple[str, ...]  # document, image, audio
    unit: str  # what its batches are measured in: pages or seconds
    networks: tuple[str, ...] = ()  # fields of its config that name checkpoints it loads onto a GPU

    def config_type(self) -> type[Any]:
        """The pydantic class of its config; imports nothing heavy."""
        return getattr(import_module(f"{self.module}.config"), self.config_class)  # type: ignore[no-any-return]

    def build(self, config: Any) -> Encoder:
        """The encoder, not yet loaded."""
        return getattr(import_module(f"{self.module}.encoder"), self.encoder_class)(config)  # type: ignore[no-any-return]


_READERS, _FINDERS = ("detector", "recogniser"), ("checkpoint", "text_encoder")

ENCODERS: dict[str, EncoderEntry] = {
    entry.task: entry
    for entry in (
        EncoderEntry("ocr", "encoders.ocr", "OcrEncoder", "OcrConfig", ("document", "image"), "pages", _READERS),
        EncoderEntry(
            "object_detection",
            "encoders.detection",
            "ObjectEncoder",
            "ObjectConfig",
            ("document", "image"),
            "pages",
            _FINDERS,
        ),
        EncoderEntry(
            "gui_detection",
            "encoders.detection",
            "GuiEncoder",
            "GuiConfig",
            ("image",),
            "pages",
            (*_FINDERS, *(f"ocr.{name}" for name in _READERS)),
        ),
        EncoderEntry(
            "speech_to_text",
            "encoders.speech",
            "SpeechEncoder",
            "SpeechConfig",
            ("audio",),
            "seconds",
            ("checkpoint", "speaker_checkpoint"),
        ),
    )
}
