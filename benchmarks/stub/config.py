"""Config of the stub encoder."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StubConfig(BaseModel):
    """It has no settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")
