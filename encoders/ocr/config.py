"""Settings of the OCR encoder."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from encoders.media.config import OpeningConfig, OpeningLimits


class DetectionConfig(BaseModel):
    """How text lines are found on a page. Shapes a perception."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_side: int = Field(1600, ge=160, description="pages are scaled down to this longer side before detection")
    min_side: int = Field(640, ge=32, description="small images are scaled up to this shorter side")
    pixel_threshold: float = Field(0.3, gt=0, lt=1, description="a pixel above it belongs to a line")
    line_threshold: float = Field(0.5, gt=0, lt=1, description="mean over a line's pixels below which it is dropped")
    unclip: float = Field(1.6, ge=0, description="the network sees shrunken lines; area x unclip / perimeter is added")


class OcrConfig(BaseModel):
    """What the OCR encoder reads with. All but ``limits``, ``engine``, ``threads``, ``block_waits`` and
    ``card_process`` shapes a perception."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opening: OpeningConfig = OpeningConfig()
    limits: OpeningLimits = OpeningLimits()
    detection: DetectionConfig = DetectionConfig()
    detector: str = Field("ocr_detection", description="checkpoint of the line detector")
    recogniser: str = Field("ocr_recognition", description="checkpoint of the line recogniser")
    min_confidence: float = Field(0.5, ge=0, le=1, description="lines read with less confidence are dropped")
    min_other_confidence: float = Field(0.3, ge=0, le=1, description="the same for lines that tesseract reads")
    turn_pages: bool = Field(True, description="recognise pages that are sideways or upside down, and turn them")
    scripts: Literal["auto"] | tuple[str, ...] = Field(
        "auto", description="ISO 15924 codes that pages may be written in; auto looks at each page"
    )
    features: Literal["none", "neck", "backbone"] = Field(
        "none",
        description="recogniser features to return, one row per 8 pixels of a 48 pixel high line: 120 or 384 wide",
    )
    engine: Literal["auto", "onnxruntime", "openvino", "torch"] = Field(
        "auto", description="auto: torch on CUDA, the fastest installed runtime for this processor on CPU"
    )
    threads: int = Field(1, ge=1, description="CPU threads of the networks")
    block_waits: bool = Field(
        False, description="beside a card: all waits for it let the core go, not only those for results; not read yet"
    )

    card_process: bool | None = Field(
        None, description="with torch: five actors share a process that computes for them; None: on CUDA they do"
    )

    def shares_process(self, device: str) -> bool:
        """Whether another process computes for an actor on that device."""
        return device.startswith("cuda") if self.card_process is None else self.card_process

    @property
    def card_clients(self) -> int:
        """Actors that share a process on their card, and its memory: kernels are begun by one thread of it, which 15
        of them kept from half of its card on an H100."""
        return 1 if self.card_process is False else 5

    def with_features(self, width: int | None = None) -> Self:
        """The same, with features [n, width]; without a width those that adapters are trained on. Raises ValueError
        when no layer is so wide."""
        layers = {120: "neck", 384: "backbone"}
        if width is None:
            width = 384 if self.features == "backbone" else 120
        if width not in layers:
            raise ValueError(f"the recogniser has features of {' or '.join(map(str, layers))} numbers, not of {width}")
        return self.model_copy(update={"features": layers[width]})
