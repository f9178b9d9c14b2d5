"""What opening hands to an encoder: one page at a time, or one window of audio at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.results import Line

Segment = tuple[float, float, float, float]
"""A ruling line x0, y0, x1, y1 in page pixels."""


@dataclass(slots=True)
class OpenedPage:
    """A page as pixels, as its sound text layer, or both.

    ``lines`` is None when the page has no sound text layer and must be read from ``image``; ``image`` is
    None when the text layer suffices. Everything is in pixels of ``width`` x ``height``.
    """

    page: int  # from 1
    width: int
    height: int
    image: NDArray[np.uint8] | None  # [height, width, 3] RGB
    lines: list[Line] | None = None  # unordered, role unset
    rules: tuple[Segment, ...] = ()  # ruling lines drawn as vectors


@dataclass(slots=True)
class AudioWindow:
    """Consecutive audio at 16 kHz: ``samples`` is [channels, n] int16, starting at ``start`` seconds."""

    start: float
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Probe:
    """The cheap first look: media type by content, and how much there is to do."""

    media_type: str
    modality: str  # document | image | audio
    pages: int = 0
    seconds: float = 0.0
    channels: int = 0
    estimated: bool = False  # seconds are extrapolated: cut parts by them, but leave the last one open-ended
