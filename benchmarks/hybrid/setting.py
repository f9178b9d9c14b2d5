"""What every row of the table is given: decoders in their modes, encoders with features, and how much to ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks.hybrid.asking import Panel, Reply
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
    ``replies``: of sections that others look at too, by section and column."""

    panel: Panel
    receipts: Path
    limit: int | None = None
    device: str = "cpu"
    out: Path = OUT
    fonts: tuple[Path, ...] = FONTS
    texts: Path = TEXTS
    speech_folder: Path = SPEECH
    replies: dict[str, dict[str, list[Reply]]] = field(default_factory=dict)

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
