"""What every row of the table is given: decoders in their modes, what was read or who reads, and how much to ask."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from benchmarks.hybrid import material
from benchmarks.hybrid.asking import Panel
from benchmarks.hybrid.columns import Softener
from benchmarks.hybrid.confidences import Value
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.perceived import Reader
from pipelines.train.hybrid.documents import Faces
from pipelines.train.hybrid.reading import Vocabulary

OUT = Path("bench-out/hybrid")
TEXTS = Path(".train/texts/sentences.txt.gz")
SPEECH = Path(".train/speech/evaluation")
FONTS = (Path(".train/fonts"), Path("/usr/share/fonts"))


@dataclass(frozen=True)
class Setting:
    """``limit``: at most so many documents, lines or recordings in each row; None: what the row is made for.
    ``kit``: a folder of what was read before, see `benchmarks.hybrid.kit`. ``values``: what the decoder said of the
    generated documents and how sure it was, by column, for the row about that."""

    panel: Panel
    receipts: Path
    limit: int | None = None
    device: str = "cpu"
    out: Path = OUT
    fonts: tuple[Path, ...] = FONTS
    texts: Path = TEXTS
    speech_folder: Path = SPEECH
    kit: Path | None = None
    values: dict[str, list[Value]] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Namespace, device: str) -> Self:
        """As the command's options say, in a process on a device."""
        workers = options.workers or (2 if device == "cpu" else 1)
        panel = Panel(options.columns, Softener(options.adapters, device, options.checkpoint), device, workers)
        return cls(
            panel,
            options.receipts,
            options.limit,
            device,
            options.out,
            tuple(options.fonts),
            options.texts,
            options.speech,
            options.kit,
        )

    def material(self, section: str, make: Callable[[], list[Material]]) -> list[Material]:
        """What is asked about in a section: from the kit where that has it, else made now."""
        if self.kit is not None and material.there(self.kit, section):
            return material.load(self.kit, section, self.limit)
        return make()

    @cached_property
    def faces(self) -> Faces:
        """What generated pages are set in."""
        return Faces(self.fonts)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """English sentences and words, when `texts` is there."""
        return Vocabulary.of(self.texts) if self.texts.exists() else None

    def count(self, made_for: int) -> int:
        """How many of something a row takes."""
        return made_for if self.limit is None else min(self.limit, made_for)

    @cached_property
    def ocr(self) -> Reader:
        """The OCR encoder with the features that adapters read."""
        from encoders.ocr.config import OcrConfig
        from encoders.ocr.encoder import OcrEncoder

        return Reader(OcrEncoder(OcrConfig().with_features(120)), self.out / "perceived", self.device)

    @cached_property
    def speech(self) -> Reader:
        """The speech encoder, with features and speakers."""
        from encoders.speech.config import SpeechConfig
        from encoders.speech.encoder import SpeechEncoder

        return Reader(SpeechEncoder(SpeechConfig(features=True)), self.out / "perceived", self.device)
