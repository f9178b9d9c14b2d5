"""Conversions from the files in a carrier to the files that networks are loaded from.

Each takes a folder with sources and writes into an empty folder. The same sources give the same bytes on every machine:
fixed order, no timestamps, no library versions, arithmetic that does not depend on the hardware.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

# Named by module, because most of them import torch and a pull for the CPU runtimes needs none of it.
CONVERSIONS: dict[str, str] = {
    "ppocr_with_characters": "encoders.checkpoints.conversions.ppocr:add_characters",
    "ppocr_detection_to_torch": "encoders.checkpoints.conversions.ppocr:detection_to_torch",
    "ppocr_recognition_to_torch": "encoders.checkpoints.conversions.ppocr:recognition_to_torch",
    "ctranslate2_whisper_to_torch": "encoders.checkpoints.conversions.whisper:whisper_to_torch",
    "gguf_llama_to_torch": "encoders.checkpoints.conversions.gguf_llama:llama_to_torch",
    "add_difference": "encoders.checkpoints.conversions.low_rank:add_difference",
    "resemblyzer_to_safetensors": "encoders.checkpoints.conversions.resemblyzer:speaker_encoder_to_safetensors",
}


def convert(name: str | None, sources: Path, target: Path) -> None:
    """Run the conversion of that name; None copies the sources as they are."""
    if name is None:
        from encoders.checkpoints.conversions.files import copy_all

        copy_all(sources, target)
        return
    module, function = CONVERSIONS[name].split(":")
    getattr(import_module(module), function)(sources, target)
