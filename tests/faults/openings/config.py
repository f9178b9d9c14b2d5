"""Config of the openings encoder."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from encoders.media.config import OpeningConfig, OpeningLimits


class OpeningsConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    opening: OpeningConfig = OpeningConfig()
    limits: OpeningLimits = OpeningLimits()
    padding: int = 0  # characters added to the text of every page, for results that are large and cost nothing
    most: int | None = None  # parts at once; more, and memory runs out
