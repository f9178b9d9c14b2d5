"""Settings of the detection encoders."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.ocr.config import OcrConfig

WIDTH = 390  # of our own network's features: what a thing shows and where, see `candidates.features_of`


class DetectionConfig(BaseModel):
    """What both detection encoders share. All but ``limits`` and ``threads`` shapes a perception."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opening: OpeningConfig = OpeningConfig(ocr="always")
    limits: OpeningLimits = OpeningLimits()
    checkpoint: str = Field(
        "default",
        description="default: our own network; or a folder, s3:// prefix or Hugging Face id of a zero-shot detector",
    )
    text_encoder: str = Field("text_embedding", description="checkpoint that turns phrases into vectors")
    queries: tuple[str, ...] = Field((), max_length=1000, description="phrases to look for; none: everything")
    min_confidence: float = Field(0.3, ge=0, le=1, description="detections with less confidence are dropped")
    overlap: float = Field(0.6, gt=0, le=1, description="of two boxes of one label that overlap more, one is dropped")
    max_detections: int = Field(300, ge=1, description="of one page, the surest")
    features: bool = Field(False, description="return a vector per detection: what it shows, and where")
    threads: int = Field(1, ge=1, description="CPU threads of the networks")

    def with_features(self, width: int | None = None) -> Self:
        """The same, with features; their width is the checkpoint's. Raises ValueError when our own network has none of
        that width."""
        if self.checkpoint == "default" and width not in (None, WIDTH):
            raise ValueError(f"the detector has features of {WIDTH} numbers, not of {width}")
        return self.model_copy(update={"features": True})


class ObjectConfig(DetectionConfig):
    """What the object detector looks with."""


class GuiConfig(DetectionConfig):
    """What the detector of interface elements looks with."""

    ocr: OcrConfig = Field(OcrConfig(turn_pages=False), description="reads elements when a phrase may name their text")
    read_text: bool = Field(True, description="off: phrases are matched by kind and icon alone, OCR never runs")
