"""Settings of opening: what shapes a page or a window, and the limits that end a hostile file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PIXELS_VERSION = 2
"""What the same settings make of a page, in the fingerprints of all who look at pages: 2 has scans by libjpeg-turbo."""


class OpeningConfig(BaseModel):
    """What shapes what an encoder sees. Part of the perception fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dpi: int = Field(144, ge=36, le=600, description="resolution at which document pages are rendered")
    max_pixels: int = Field(
        40_000_000, ge=10_000, description="pixel budget of one page or image; larger ones are scaled down"
    )
    ocr: Literal["auto", "always", "never"] = Field(
        "auto",
        description="auto reads a page from its text layer when that is sound, always and never do what they say",
    )
    channels: Literal["mix", "split"] = Field("mix", description="stereo calls: mix, or one speaker per channel")


class OpeningLimits(BaseModel):
    """Limits of the child process that opens media. They end a file, they do not shape a perception."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page_seconds: float = Field(30.0, gt=0, description="wall seconds for one page or window")
    cpu_seconds: float = Field(120.0, gt=0, description="CPU seconds for one part")
    memory_gib: float = Field(4.0, gt=0, description="address space of the child above its size at start")
    max_image_pixels: int = Field(2_000_000_000, ge=1, description="refuse images that declare more pixels than this")
    max_pages: int = Field(100_000, ge=1, description="refuse documents that declare more pages than this")
    max_hours: float = Field(100.0, gt=0, description="refuse recordings that declare to be longer than this")
    max_unpacked_gib: float = Field(
        1.0, gt=0, description="refuse office files and e-books that unpack to more than this, and plain text over it"
    )
    parts_per_child: int = Field(500, ge=1, description="a child is replaced after so many parts")
