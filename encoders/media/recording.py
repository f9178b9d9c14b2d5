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
from encoders.media.protocol import SAMPLE_RATE, WINDOW_SECONDS, Extent
from encoders.media.timeline import Timeline, origin

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
_PROTOCOLS = {"protocol_whitelist": "file"}  # nothing in a file makes FFmpeg open a connection
COUNT_SECONDS = 10.0  # wall time for counting packets in a probe
WINDOW = WINDOW_SECONDS * SAMPLE_RATE


def probe(source: Source, media_type: str) -> Probe:
    """Seconds and channels: the container's word if its end is where it says, else by counting packets."""
    with _open(source, media_type) as container:
        stream = _stream(container)
        channels = int(stream.codec_context.channels) if stream.codec_context else 0
        declared = _declared(container, stream)
        seconds, estimated = declared or 0.0, False
        guessed = media_type in ("audio/aac", "audio/mpeg") and not _has_length_header(source.path)
        if not seconds or guessed or not _ends_there(container, stream, seconds):
            seconds, estimated = _count(source, media_type)
    if seconds <= 0:
        if declared:
            raise MediaError(FailureCategory.CORRUPT, f"none of the {declared:.1f} s of sound it declares can be found")
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
        clock = Timeline(container, stream, request.start, request.channels == "split")
        yield from _windows(clock, request.start, stop)
    if clock.good == 0 and clock.bad:
        raise MediaError(FailureCategory.CORRUPT, f"none of its {clock.bad} packets of sound can be decoded")
    if clock.good == 0 and request.start == 0:
        raise MediaError(FailureCategory.EMPTY, "the recording has no samples")
    if clock.bad > clock.good:
        message = f"{clock.bad} of {clock.bad + clock.good} packets of sound could not be decoded"
        yield Failure(FailureCategory.CORRUPT, "open", message)


def _windows(clock: Timeline, start: float, stop: float) -> Iterator[Event]:
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


def _open(source: Source, media_type: str) -> Any:
    # The demuxer is named: FFmpeg's own guess would also follow playlists to other files and to the network.
    try:
        return av.open(source.path, format=_DEMUXERS[media_type], metadata_errors="replace", options=_PROTOCOLS)
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


def _declared(container: Any, stream: Any) -> float | None:
    if stream.duration is not None:
        late = float((stream.start_time or 0) * stream.time_base) - origin(container, stream)
        return float(stream.duration * stream.time_base) + max(late, 0.0)
    return float(container.duration / av.time_base) if container.duration is not None else None


def _has_length_header(path: str) -> bool:
    """Whether an MP3 says how long it is; without that, and for AAC, FFmpeg guesses from the first bit rates."""
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(10)
        if head.startswith(b"ID3"):  # seven bits a byte
            file.seek(10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]))
        else:
            file.seek(0)
        frame = file.read(256)
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


def _ends_there(container: Any, stream: Any, seconds: float) -> bool:
    """Whether sound is found where the container says that the track ends."""
    zero = origin(container, stream)
    try:
        container.seek(int((max(seconds - 2.0, 0.0) + zero) / stream.time_base), stream=stream, backward=True)
        last = 0.0
        for number, packet in enumerate(container.demux(stream)):
            if packet.pts is not None:
                last = float((packet.pts + (packet.duration or 0)) * packet.time_base) - zero
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
