"""The sound of a recording on the clock of its file: 16 kHz int16, without gaps, whatever the packets say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from encoders.media.protocol import MAX_CHANNELS, SAMPLE_RATE, WINDOW_SECONDS

Samples = NDArray[np.int16]

PREROLL = 1.0
"""Seconds decoded before a range, so that codecs with memory (MP3, Opus) have settled at its start."""
JUMP = 0.25
"""Seconds by which a frame may be off the clock before we believe the file and not the count of samples."""
MAX_GAP = 3600.0
"""Seconds of silence put in for one hole; a longer jump is a lying timestamp."""
JOINED = 1
"""Seconds of frames that are converted at once: one by one they cost two to four times what decoding does."""
MAX_SILENCE = 4 * 3600.0
"""Seconds of silence put into one part in all; a few kilobytes of jumping timestamps could else sound for years."""
MAX_REPEAT = 5.0
"""Seconds that a frame may lie behind the clock and count as a repetition; farther back, timestamps have restarted."""


class Timeline:
    """Decodes from ``start`` seconds on. ``good`` and ``bad`` count frames that do and packets that do not decode."""

    def __init__(self, container: Any, stream: Any, start: float, split: bool) -> None:
        self.start = start
        self.good = self.bad = 0
        channels = int(stream.codec_context.channels)
        self.channels = channels if split and channels <= MAX_CHANNELS else 1
        # To the layout that the stream declares: damaged frames come with any number of channels.
        self._layout = stream.codec_context.layout if self.channels > 1 else "mono"
        self._container, self._stream = container, stream
        self._zero = origin(container, stream)
        self._first = start
        self._may_be_no_number = stream.codec_context.name.startswith(("pcm_f32", "pcm_f64"))
        self._converter: _Converter | None = None

    def blocks(self) -> Iterator[Samples]:
        """Blocks [channels, n] that follow each other without a gap, the first one at ``start``."""
        if self.start > 0:
            target = max(self.start - PREROLL, 0.0) + self._zero
            self._container.seek(int(target / self._stream.time_base), stream=self._stream, backward=True)
        skip: int | None = None
        for block in self._placed():
            if skip is None:
                skip = max(round((self.start - self._first) * SAMPLE_RATE), 0)
            if skip < block.shape[1]:
                yield block[:, skip:]
            skip = max(skip - block.shape[1], 0)

    def _placed(self) -> Iterator[Samples]:
        """Blocks without a gap from `_first` on, which lies at or before ``start``."""
        position: float | None = None  # where the next frame belongs
        shift = silence = 0.0
        for frame in self._frames():
            told: float | None = frame.time
            seconds = told - self._zero if told is not None else position or 0.0
            if position is None:
                position = self._first = min(seconds, self.start)  # a track may also begin after the range does
            lead = seconds + shift - position
            if not -MAX_REPEAT <= lead <= min(MAX_GAP, MAX_SILENCE - silence):
                shift, lead = shift - lead, 0.0
            if lead < -JUMP:
                continue
            if lead > JUMP:
                yield from self._held_back()
                yield from self._silence(lead)
                position += lead
                silence += lead
            converter = self._converter
            if converter is None or not converter.takes(frame):
                yield from self._held_back()
                converter = self._begun(frame)
                if converter is None:
                    continue
            if converter.enough:
                yield from self._converted(converter)
            self.good += 1
            position += frame.samples / converter.rate
        yield from self._held_back()

    def _frames(self) -> Iterator[Any]:
        """Frames that decode; packets that do not are counted and passed over."""
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.error.EOFError:
                    return
                except av.error.FFmpegError:
                    self.bad += 1
                    continue
                yield from frames
        except av.error.EOFError:
            return
        except av.error.FFmpegError:  # the container cannot be followed any further
            self.bad += 1

    def _begun(self, frame: Any) -> _Converter | None:
        """What converts this frame, the first one of its form; None when it cannot be converted."""
        try:
            self._converter = _Converter(frame, self._layout, self._may_be_no_number)
        except av.error.FFmpegError:
            self.bad += 1
        return self._converter

    def _held_back(self) -> list[Samples]:
        """What frames before a gap, or before others of another form, have left; nothing is held any more."""
        if self._converter is None:
            return []
        left = self._converted(self._converter, last=True)
        self._converter = None
        return left

    def _converted(self, converter: _Converter, last: bool = False) -> list[Samples]:
        """What that has made by now; silence for as long if memory runs out over it."""
        try:
            converter.convert(last)
        except av.error.FFmpegError:
            self.bad += 1
            self._converter = None
            converter.made += self._silence(converter.at_work)
        made, converter.made = converter.made, []
        return made

    def _silence(self, seconds: float) -> Iterator[Samples]:
        left, most = round(seconds * SAMPLE_RATE), WINDOW_SECONDS * SAMPLE_RATE
        while left > 0:
            yield np.zeros((self.channels, min(left, most)), np.int16)
            left -= most


class _Converter:
    """Frames of one form to 16 kHz int16, many at a time. Raises FFmpegError, and is not made of a form that cannot be
    converted."""

    def __init__(self, frame: Any, layout: Any, mend: bool) -> None:
        self.rate: int = frame.sample_rate
        self.made: list[Samples] = []
        self.enough = False  # is held to be worth converting
        self.at_work = 0.0  # seconds of what is converted now
        self._layout, self._mend = frame.layout.name, mend
        self._joined = av.AudioFifo()
        self._resampler = av.AudioResampler("s16p", layout, SAMPLE_RATE)
        self._held = 0
        self._hold(frame)
        self.convert()

    def takes(self, frame: Any) -> bool:
        """Whether it is of that form; it is held then."""
        if frame.layout.name != self._layout:
            return False
        try:
            self._hold(frame)
        except ValueError:  # its samples are others, or its clock ticks otherwise
            return False
        return True

    def convert(self, last: bool = False) -> None:
        """All that is held, to ``made``; with ``last`` what the resampler has kept for what might follow as well."""
        for frame in (self._joined.read(), None) if last else (self._joined.read(),):
            self.at_work = frame.samples / self.rate if frame is not None else 0.0
            if self._mend and frame is not None:
                frame = _finite(frame)
            pieces = self._resampler.resample(frame)
            self.made += [piece.to_ndarray() for piece in pieces if piece is not None and piece.samples]
        self._held, self.enough = 0, False

    def _hold(self, frame: Any) -> None:
        frame.pts = None  # it is where it belongs; the queue would want it to follow the one before to the tick
        self._joined.write(frame)
        self._held += frame.samples
        self.enough = self._held >= JOINED * self.rate


def origin(container: Any, stream: Any) -> float:
    """The timestamp that counts as second 0 of the asset."""
    if container.start_time is not None:
        return float(container.start_time / av.time_base)
    return float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0


def _finite(frame: Any) -> Any:
    """The frame with silence for samples that are not numbers, which a resampler would turn into noise."""
    samples = frame.to_ndarray()
    if np.isfinite(samples).all():
        return frame
    mended = av.AudioFrame.from_ndarray(np.nan_to_num(samples, posinf=0, neginf=0), frame.format.name, frame.layout)
    mended.sample_rate, mended.pts, mended.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mended
