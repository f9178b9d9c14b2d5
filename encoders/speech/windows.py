"""Cuts a stream of audio into regions of speech, and packs these into windows of up to 30 s for the recogniser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from encoders.speech.activity import FRAME, FRAME_SECONDS, RATE, ActivityStream, RegionFinder

WINDOW_SECONDS = 30.0
_VOICE_EDGE = 0.05
PAD_SECONDS = 0.4  # kept on both sides of a region: whisper drops words that start at the first sample


@dataclass(slots=True)
class Region:
    """A stretch of speech: ``start`` and ``stop`` in seconds from the start of the part, audio padded around it."""

    start: float
    stop: float
    padded_start: float
    samples: NDArray[np.float32]  # [n] from padded_start

    @property
    def voiced(self) -> NDArray[np.float32]:
        """The samples between ``start`` and ``stop``, with little of the padding: others may speak in it."""
        first = max(0, round((self.start - self.padded_start - _VOICE_EDGE) * RATE))
        return self.samples[first : round((self.stop - self.padded_start + _VOICE_EDGE) * RATE)]


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a piece of a window lies in the part: both starts and the length in seconds."""

    window_start: float
    part_start: float
    seconds: float


@dataclass(slots=True)
class Window:
    """Up to 30 s of speech with the longer silences taken out; ``owner`` says whose it is."""

    samples: NDArray[np.float32]
    pieces: tuple[Piece, ...]
    owner: int = 0

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return len(self.samples) / RATE

    def to_part(self, start: float, stop: float) -> tuple[float, float]:
        """A span of the window as seconds of the part; both ends are read in the piece of its middle."""
        middle = (start + stop) / 2
        piece = self.pieces[0]
        for candidate in self.pieces[1:]:
            if candidate.window_start > middle:
                break
            piece = candidate
        low, high = piece.part_start, piece.part_start + piece.seconds
        shift = piece.part_start - piece.window_start
        return min(max(start + shift, low), high), min(max(stop + shift, low), high)


@dataclass(slots=True)
class RegionCutter:
    """Holds only the audio that a region may still need: memory is bounded by the longest region, not the recording."""

    activity: ActivityStream
    threshold: float = 0.5
    finder: RegionFinder = field(init=False)
    probabilities: list[NDArray[np.float32]] = field(default_factory=list)
    seconds: float = 0.0
    _buffer: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    _offset: int = 0  # sample index of the buffer's first sample
    _closed: list[tuple[int, int]] = field(default_factory=list)
    _taken: int = 0  # sample index up to which regions own the audio

    def __post_init__(self) -> None:
        longest = int((WINDOW_SECONDS - 2 * PAD_SECONDS) / FRAME_SECONDS)
        self.finder = RegionFinder(threshold=self.threshold, longest=longest)

    def push(self, samples: NDArray[np.int16]) -> Iterator[Region]:
        """Regions that are complete, padding included."""
        for heard in self.activity.push(samples):
            self._notice(*heard)
            yield from self._emit(False)

    def finish(self) -> Iterator[Region]:
        """The regions still open when the audio ends."""
        *before, last = self.activity.push(np.zeros(0, np.int16), last=True)
        for heard in before:
            self._notice(*heard)
            yield from self._emit(False)
        self._notice(*last)
        self._closed += self.finder.finish()
        yield from self._emit(True)

    def _notice(self, samples: NDArray[np.int16], probabilities: NDArray[np.float32]) -> None:
        self.seconds += len(samples) / RATE
        self._buffer = np.concatenate([self._buffer, samples])
        self.probabilities.append(probabilities)
        self._closed += self.finder.push(probabilities)

    def _emit(self, last: bool) -> Iterator[Region]:
        pad, end = int(PAD_SECONDS * RATE), self._offset + len(self._buffer)
        while self._closed and (last or self._closed[0][1] * FRAME + pad <= end):
            start, stop = (frame * FRAME for frame in self._closed.pop(0))
            stop = min(stop, end)
            # Where two paddings meet, the gap is shared half and half.
            after = self._closed[0][0] * FRAME if self._closed else end
            low = max(start - pad, self._taken, self._offset)
            high = min(stop + pad, end, max(stop, (stop + after) // 2) if after < stop + 2 * pad else end)
            self._taken = high
            own = self._buffer[low - self._offset : high - self._offset].astype(np.float32) / np.float32(32768.0)
            yield Region(start / RATE, stop / RATE, low / RATE, own)
        needed = self._closed[0][0] if self._closed else self.finder.open_since
        keep = max(self._offset, min(end, needed * FRAME - pad))
        self._buffer = self._buffer[keep - self._offset :].copy()
        self._offset = keep


@dataclass(slots=True)
class WindowPacker:
    """Packs regions in order into windows: the encoder's cost is the same for 3 s as for 30 s."""

    owner: int = 0
    _regions: list[Region] = field(default_factory=list)
    _samples: int = 0

    def push(self, region: Region) -> Iterator[Window]:
        """The window that is full, if this region did not fit into it any more."""
        if self._regions and self._samples + len(region.samples) > WINDOW_SECONDS * RATE:
            yield from self.finish()
        self._regions.append(region)
        self._samples += len(region.samples)

    def finish(self) -> Iterator[Window]:
        """What is left."""
        if not self._regions:
            return
        pieces, at = [], 0
        for region in self._regions:
            pieces.append(Piece(at / RATE, region.padded_start, len(region.samples) / RATE))
            at += len(region.samples)
        samples = np.concatenate([region.samples for region in self._regions])[: int(WINDOW_SECONDS * RATE)]
        self._regions, self._samples = [], 0
        yield Window(samples, tuple(pieces), self.owner)
