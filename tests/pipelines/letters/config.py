"""Config of the letters encoder."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class LettersConfig(BaseModel):
    """Where the encoder notes what it was called with, for tests that count work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: Path
    seconds: float = 0.0
    checkpoint: str = "letters-1"
