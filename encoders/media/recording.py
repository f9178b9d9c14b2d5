"""Recordings by PyAV (FFmpeg): 16 kHz int16 windows, streamed, on the clock of the file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from encoders.failures import Failure, FailureCategory, MediaError
from encoders.media.opened import AudioWindow, Probe
from encoders.media.opening import Event, Source
from encoders.media.protocol import MAX_CHANNELS, SAMPLE_RATE, WINDOW_SECONDS, Extent

av.logging.set_level(None)

_DEMUXERS = {
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/mp4": "mp4",
    "video/mp4": "mp4",
    "video/quicktime": "mp4",
    "video/x-matroska": "matroska",
    "video/webm": "matroska",
    "video/x-msvideo": "avi",
}
PREROLL = 1.0  # seconds decoded before a range, so that codecs with memory (MP3, Opus) have settled at its start
JUMP = 0.25  # seconds by which a frame may be off the clock before we believe the file and not the count
MAX_GAP = 3600.0  # seconds of silence put in for one hole; a longer jump is a lying timestamp
COUNT_SECONDS = 10.0  # wall time for counting packets in a probe
WINDOW = WINDOW_SECONDS * SAMPLE_RATE


def probe(source: Source, media_type: str) -> Probe:
    """Seconds and channels: the container's word if its end is where it says, else by counting packets."""
    with _open(source, media_type) as container:
        stream = _stream(container)
        channels = int(stream.codec_context.channels) if stream.codec_context else 0
        seconds = _declared(container, stream)
        estimated = False
        if seconds is None or not _ends_there(container, stream, seconds):
            seconds, estimated = _count(source, media_type)
    if seconds <= 0:
        raise MediaError(FailureCategory.EMPTY, "the recording has no samples")
    return Probe(media_type, "audio", seconds=seconds, channels=channels, estimated=estimated)


def opened(source: Source, media_type: str) -> Iterator[Event]:
    """The windows of the request's range."""
    request = source.request
    with _open(source, media_type) as container:
        stream = _stream(container)
        declared = _declared(container, stream)
        stop = request.stop if request.stop is not None else float("inf")
        yield Extent(request.start, min(stop, (declared or 0.0) + 1.0) if request.stop is None else stop)
        clock = _Clock(container, stream, request.start, request.channels == "split")
        yield from _windows(clock, request.start, stop)
    if clock.heard == 0 and clock.bad:
        raise MediaError(FailureCategory.CORRUPT, f"none of its {clock.bad} packets of sound can be decoded")
    if clock.heard == 0 and request.start == 0:
        raise MediaError(FailureCategory.EMPTY, "the recording has no samples")
    if clock.bad > clock.good:
        message = f"{clock.bad} of {clock.bad + clock.good} packets of sound could not be decoded"
        yield Failure(FailureCategory.CORRUPT, "open", message)


def _windows(clock: _Clock, start: float, stop: float) -> Iterator[Event]:
    held: list[NDArray[np.int16]] = []
    count, sent = 0, 0
    left = np.inf if stop == float("inf") else round((stop - start) * SAMPLE_RATE)
    yield float(start)
    for block in clock.blocks():
        block = block[:, : int(min(left, block.shape[1]))]
        left -= block.shape[1]
        held.append(block)
        count += block.shape[1]
        while count >= WINDOW:
            samples = np.concatenate(held, axis=1)
            yield AudioWindow(start + sent / SAMPLE_RATE, np.ascontiguousarray(samples[:, :WINDOW]))
            held, count, sent = [samples[:, WINDOW:]], count - WINDOW, sent + WINDOW
            if left > 0 or count:
                yield float(start + sent / SAMPLE_RATE)
        if left <= 0:
            break
    if count:
        yield AudioWindow(start + sent / SAMPLE_RATE, np.concatenate(held, axis=1))


class _Clock:
    """Decoded sound from ``start`` seconds on, as blocks [channels, n] that follow each other without a gap."""

    def __init__(self, container: Any, stream: Any, start: float, split: bool) -> None:
        self.container, self.stream = container, stream
        self.start = start
        channels = int(stream.codec_context.channels)
        self.channels = channels if split and channels <= MAX_CHANNELS else 1
        self.good = self.bad = self.heard = 0
        self._resampler: Any = None
        self._format: tuple[Any, ...] | None = None
        self._origin = _origin(container, stream)
        self._position: float | None = None  # seconds of the next input sample, by the file's clock

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """Blocks at 16 kHz, the first one starting at ``start``."""
        if self.start > 0:
            self._seek(max(self.start - PREROLL, 0.0))
        skip = None
        for seconds, frame in self._frames():
            if skip is None:  # the seek lands before the range; or the track starts after the range does
                skip = max(round((self.start - seconds) * SAMPLE_RATE), 0)
                yield from self._silence(seconds - self.start)
            elif self._position is not None and seconds - self._position > JUMP:
                yield from self._after(skip, self._resampled(None))
                skip = 0
                yield from self._silence(seconds - self._position)
            self._position = seconds + frame.samples / frame.sample_rate
            pieces = self._resampled(frame)
            yield from self._after(skip, pieces)
            skip = max(skip - sum(piece.shape[1] for piece in pieces), 0)
        yield from self._after(skip or 0, self._resampled(None))

    def _after(self, skip: int, pieces: list[NDArray[np.int16]]) -> Iterator[NDArray[np.int16]]:
        for piece in pieces:
            if skip < piece.shape[1]:
                self.heard += piece.shape[1] - skip
                yield piece[:, skip:]
            skip = max(skip - piece.shape[1], 0)

    def _seek(self, seconds: float) -> None:
        base = self.stream.time_base
        self.container.seek(int((seconds + self._origin) / base), stream=self.stream, backward=True)

    def _frames(self) -> Iterator[tuple[float, Any]]:
        """Frames that decode, with their time; packets that do not are counted and passed over."""
        expected: float | None = None
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError as error:
                self.bad += 1
                if not isinstance(error, av.error.InvalidDataError) or self.bad > 100_000:
                    return
                continue
            for frame in frames:
                self.good += 1
                seconds = float(frame.pts * frame.time_base) - self._origin if frame.pts is not None else None
                if seconds is None or (expected is not None and not -JUMP <= seconds - expected <= MAX_GAP):
                    seconds = expected if expected is not None else 0.0
                expected = seconds + frame.samples / frame.sample_rate
                yield seconds, frame

    def _resampled(self, frame: Any | None) -> list[NDArray[np.int16]]:
        """A frame at 16 kHz; None flushes."""
        out: list[Any] = []
        if frame is not None:
            form = (frame.format.name, frame.layout.name, frame.sample_rate)
            if form != self._format:
                out += self._resampler.resample(None) if self._resampler is not None else []
                layout = "mono" if self.channels == 1 else frame.layout
                self._resampler = av.AudioResampler(format="s16p", layout=layout, rate=SAMPLE_RATE)
                self._format = form
            if frame.format.name.startswith(("flt", "dbl")) and self.stream.codec_context.name.startswith("pcm_f"):
                frame = _finite(frame)
        if self._resampler is not None:
            out += self._resampler.resample(frame)
            if frame is None:
                self._resampler = self._format = None
        return [self._shaped(piece.to_ndarray()) for piece in out if piece is not None and piece.samples]

    def _shaped(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Always as many channels as the stream declared, also where its layout changes midway."""
        if samples.shape[0] == self.channels:
            return samples
        shaped = np.zeros((self.channels, samples.shape[1]), np.int16)
        shaped[: samples.shape[0]] = samples[: self.channels]
        return shaped

    def _silence(self, seconds: float) -> Iterator[NDArray[np.int16]]:
        left = round(seconds * SAMPLE_RATE)
        while left > 0:
            yield np.zeros((self.channels, min(left, WINDOW)), np.int16)
            left -= WINDOW


def _finite(frame: Any) -> Any:
    """The frame with silence for samples that are not numbers, which a resampler would turn into noise."""
    samples = frame.to_ndarray()
    if np.isfinite(samples).all():
        return frame
    mended = av.AudioFrame.from_ndarray(np.nan_to_num(samples, posinf=0, neginf=0), frame.format.name, frame.layout)
    mended.sample_rate, mended.pts, mended.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mended


def _open(source: Source, media_type: str) -> Any:
    # The demuxer is named: FFmpeg's own guess would also follow playlists to other files and to the network.
    try:
        return av.open(source.path, format=_DEMUXERS[media_type], metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise MediaError(FailureCategory.CORRUPT, f"not a readable {media_type} file: {error.strerror}") from None


def _stream(container: Any) -> Any:
    if not container.streams.audio:
        what = "it has pictures but no audio track" if container.streams.video else "it has no audio track"
        raise MediaError(FailureCategory.UNSUPPORTED, what)
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise MediaError(FailureCategory.UNSUPPORTED, "its audio codec is not known")
    if not stream.codec_context.sample_rate or not stream.codec_context.channels:
        raise MediaError(FailureCategory.CORRUPT, "its audio track declares no sample rate or no channels")
    stream.thread_type = "NONE"
    return stream


def _origin(container: Any, stream: Any) -> float:
    """The timestamp that counts as second 0."""
    if container.start_time is not None:
        return float(container.start_time / av.time_base)
    return float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0


def _declared(container: Any, stream: Any) -> float | None:
    if stream.duration is not None:
        late = float((stream.start_time or 0) * stream.time_base) - _origin(container, stream)
        return float(stream.duration * stream.time_base) + max(late, 0.0)
    return float(container.duration / av.time_base) if container.duration is not None else None


def _ends_there(container: Any, stream: Any, seconds: float) -> bool:
    """Whether sound is found where the container says that the track ends."""
    origin = _origin(container, stream)
    try:
        container.seek(int((max(seconds - 2.0, 0.0) + origin) / stream.time_base), stream=stream, backward=True)
        last = 0.0
        for number, packet in enumerate(container.demux(stream)):
            if packet.pts is not None:
                last = float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin
            if last >= seconds - 0.5 or number > 2000:
                break
    except av.error.FFmpegError:
        return False
    return abs(last - seconds) <= max(2.0, 0.01 * seconds)


def _count(source: Source, media_type: str) -> tuple[float, bool]:
    """Seconds by the packets of the track, not decoded; True when time was up and the rest is by bytes."""
    size, begun, seconds = os.path.getsize(source.path), time.monotonic(), 0.0  # noqa: PTH202
    with _open(source, media_type) as container:
        stream = _stream(container)
        try:
            for number, packet in enumerate(container.demux(stream)):
                seconds += float((packet.duration or 0) * packet.time_base)
                if number % 256 == 255 and packet.pos and time.monotonic() - begun > COUNT_SECONDS:
                    return seconds * size / packet.pos, True
        except av.error.FFmpegError:
            pass
    return seconds, False
