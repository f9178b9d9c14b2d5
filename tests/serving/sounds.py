"""A recording made on the spot."""

from __future__ import annotations

import io
import wave
from functools import cache

import numpy as np


@cache
def tone(seconds: float = 3.0) -> bytes:
    """A WAV of a quiet tone, in which nobody speaks."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.sin(np.arange(int(16_000 * seconds)) / 12) * 3000).astype("<i2").tobytes())
    return out.getvalue()
