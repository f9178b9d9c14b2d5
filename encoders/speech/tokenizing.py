"""Text and token ids of a whisper checkpoint in transformers' form."""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers
from faster_whisper.tokenizer import Tokenizer


class WhisperTokenizers:
    """One tokenizer a language; ``languages`` are the codes that the network tells apart, with their token ids."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
        self.languages: dict[str, int] = {
            name.strip("<|>"): index for name, index in generation.get("lang_to_id", {}).items()
        }
        self.alignment_heads: list[tuple[int, int]] = [(layer, head) for layer, head in generation["alignment_heads"]]
        self._made: dict[str, Tokenizer] = {}

    def __call__(self, language: str) -> Tokenizer:
        """The tokenizer that prompts for transcribing that language."""
        if language not in self._made:
            self._made[language] = Tokenizer(
                self._tokenizer, bool(self.languages), task="transcribe", language=language
            )
        return self._made[language]
