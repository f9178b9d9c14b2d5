"""Recordings: every container and codec, windows and ranges, channels, and every way in which sound can be bad."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from encoders.failures import Failure, FailureCategory, MediaError
from encoders.media.config import OpeningConfig
from encoders.media.opened import AudioWindow
from encoders.media.opener import MediaOpener
from encoders.media.timeline import Timeline
from tests.encoders.media_files import item, noise, sound

FORMATS = [
    ("a.wav", "wav", "pcm_s16le", 44100, "audio/wav"),
    ("a.wav", "wav", "pcm_mulaw", 8000, "audio/wav"),
    ("a.flac", "flac", "flac", 44100, "audio/flac"),
    ("a.mp3", "mp3", "libmp3lame", 44100, "audio/mpeg"),
    ("a.ogg", "ogg", "libopus", 48000, "audio/ogg"),
    ("a.m4a", "ipod", "aac", 44100, "audio/mp4"),
    ("a.aac", "adts", "aac", 44100, "audio/aac"),
    ("a.mp4", "mp4", "aac", 44100, "video/mp4"),
    ("a.mov", "mov", "aac", 44100, "video/quicktime"),
    ("a.mkv", "matroska", "aac", 44100, "video/x-matroska"),
    ("a.webm", "webm", "libopus", 48000, "video/webm"),
]


@pytest.fixture(scope="module")
def opener() -> Iterator[MediaOpener]:
    with MediaOpener() as opener:
        yield opener


@pytest.fixture(scope="module")
def split() -> Iterator[MediaOpener]:
    with MediaOpener(OpeningConfig(channels="split")) as opener:
        yield opener


def windows(opener: MediaOpener, path: Path, start: float = 0, stop: float | None = None) -> list[AudioWindow]:
    found = list(opener.audio(item(path, start, stop)))
    assert all(isinstance(window, AudioWindow) for window in found), found
    return found  # type: ignore[return-value]


def joined(found: list[AudioWindow]) -> NDArray[np.int16]:
    return np.concatenate([window.samples for window in found], axis=1)


def categories(opener: MediaOpener, path: Path) -> list[FailureCategory | str]:
    return [v.category if isinstance(v, Failure) else "window" for v in opener.audio(item(path))]


def loudness(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Loudness of each whole second of the first channel."""
    whole = samples[0, : samples.shape[1] // 16000 * 16000].reshape(-1, 16000).astype(float)
    return np.sqrt((whole[:, 2000:-2000] ** 2).mean(axis=1)) / 32768


@pytest.mark.parametrize(("name", "container", "codec", "rate", "media_type"), FORMATS)
def test_formats(
    split: MediaOpener, tmp_path: Path, name: str, container: str, codec: str, rate: int, media_type: str
) -> None:
    video = media_type.startswith("video")
    path = sound(tmp_path / name, container, codec, rate, noise(36, rate, 2), video=video)
    probe = split.probe(item(path))
    assert (probe.media_type, probe.modality, probe.channels, probe.estimated) == (media_type, "audio", 2, False)
    assert abs(probe.seconds - 36) < 0.1
    found = windows(split, path)
    assert [window.start for window in found][:2] == [0, 30]
    assert found[0].samples.shape == (2, 480_000) and found[0].samples.dtype == np.int16
    samples = joined(found)
    assert abs(samples.shape[1] / 16000 - 36) < 0.1
    expected = (0.1 + 0.05 * (np.arange(36) % 7)) / np.sqrt(2)
    assert np.abs(loudness(samples)[:36] - expected).max() < 0.02  # every second is where it belongs
    assert np.abs(samples[0, 1000:2000].astype(int) - samples[1, 1000:2000]).max() > 1000  # two voices, kept apart
    part = joined(windows(split, path, 7, 33.5))
    assert part.shape[1] == round(26.5 * 16000)
    assert np.abs(loudness(part)[:26] - expected[7:33]).max() < 0.02


def test_channels_are_mixed_unless_split(opener: MediaOpener, split: MediaOpener, tmp_path: Path) -> None:
    stereo = noise(2, 16000, 2)
    stereo[1] = 0
    path = sound(tmp_path / "a.wav", "wav", "pcm_s16le", 16000, stereo)
    mixed, kept = joined(windows(opener, path)), joined(windows(split, path))
    assert mixed.shape == (1, 32000) and kept.shape == (2, 32000)
    assert not kept[1].any()
    assert np.abs(mixed[0].astype(int) - kept[0] // 2).max() <= 2


def test_windows_of_parts_follow_each_other(opener: MediaOpener, tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav", "wav", "pcm_s16le", 16000, noise(65, 16000, 1))
    whole = joined(windows(opener, path))
    parts = [windows(opener, path, 0, 32), windows(opener, path, 32, 64), windows(opener, path, 64)]
    assert [window.start for part in parts for window in part] == [0, 30, 32, 62, 64]
    assert np.array_equal(np.concatenate([joined(part) for part in parts], axis=1), whole)
    assert windows(opener, path, 200) == []


def test_samples_that_are_not_numbers_are_silence(opener: MediaOpener, tmp_path: Path) -> None:
    samples = noise(3, 16000, 1)
    samples[:, 16000:24000] = np.nan
    samples[:, 24000] = np.inf
    found = joined(windows(opener, sound(tmp_path / "a.wav", "wav", "pcm_f32le", 16000, samples)))
    assert not found[0, 16000:24001].any() and found[0, :16000].any() and found[0, 24001:].any()


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_frames_converted_together_are_those_converted_one_by_one(
    split: MediaOpener, tmp_path: Path, rate: int, channels: int
) -> None:
    path = sound(tmp_path / "a.mp3", "mp3", "libmp3lame", rate, noise(4, rate, channels))
    with av.open(str(path)) as container:
        one = av.AudioResampler("s16p", {1: "mono", 2: "stereo"}[channels], 16000)
        pieces = [piece.to_ndarray() for frame in container.decode(audio=0) for piece in one.resample(frame)]
        pieces += [piece.to_ndarray() for piece in one.resample(None)]
    assert np.array_equal(joined(windows(split, path)), np.concatenate(pieces, axis=1))


def test_sound_that_changes_its_form(opener: MediaOpener, tmp_path: Path) -> None:
    forms = [(44100, 2), (22050, 1), (44100, 2)]
    whole = [sound(tmp_path / f"{n}.mp3", "mp3", "libmp3lame", *(r, noise(5, r, c))) for n, (r, c) in enumerate(forms)]
    path = tmp_path / "a.mp3"
    path.write_bytes(b"".join(one.read_bytes() for one in whole))
    samples = joined(windows(opener, path))
    alone = np.concatenate([loudness(joined(windows(opener, one)))[:5] for one in whole])
    assert abs(samples.shape[1] / 16000 - 15) < 0.4
    assert np.abs(loudness(samples)[:15] - alone).max() < 0.05


def test_memory_that_runs_out_over_some_sound_leaves_the_rest_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sound(tmp_path / "a.wav", "wav", "pcm_s16le", 16000, noise(12, 16000, 1))
    converted, calls = av.AudioResampler, []

    class Short:
        def __init__(self, *how: Any) -> None:
            self._inner = converted(*how)

        def resample(self, frame: Any) -> Any:
            calls.append(frame)
            if len(calls) == 5:
                raise av.error.MemoryError(12, "Cannot allocate memory")
            return self._inner.resample(frame)

    monkeypatch.setattr(av, "AudioResampler", Short)
    with av.open(str(path)) as container:
        clock = Timeline(container, container.streams.audio[0], 0.0, False)
        samples = np.concatenate(list(clock.blocks()), axis=1)
    lost = calls[4].samples
    assert clock.bad == 1 and samples.shape == (1, 12 * 16000)
    silent = np.flatnonzero(np.diff(np.concatenate([[0], samples[0] == 0, [0]])))
    assert (np.diff(silent)[::2]).max() >= lost - 2
    expected = (0.1 + 0.05 * (np.arange(12) % 7)) / np.sqrt(2)
    assert np.abs(loudness(samples)[7:] - expected[7:]).max() < 0.02


def test_three_hours_stream_in_bounded_memory(opener: MediaOpener, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    seconds = 3 * 3600
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + seconds * 8000, b"WAVE", b"fmt ", 16, 7, 1, 8000, 8000, 1, 8, b"data", seconds * 8000)  # fmt: skip  # noqa: E501
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + seconds * 8000)
    assert opener.probe(item(path)).seconds == seconds
    assert opener._child is not None
    child, most, total = psutil.Process(opener._child.pid), 0, 0
    before = child.memory_info().rss
    for window in opener.audio(item(path, seconds - 1200)):
        assert isinstance(window, AudioWindow)
        total += window.samples.shape[1]
        most = max(most, child.memory_info().rss)
    assert total == 1200 * 16000
    assert most - before < 24 << 20


def test_files_without_sound(opener: MediaOpener, tmp_path: Path) -> None:
    silent = sound(tmp_path / "silent.mp4", "mp4", "aac", 44100, np.zeros((2, 0), np.float32), video=True)
    with pytest.raises(MediaError, match="no audio track") as caught:
        opener.probe(item(silent))
    assert caught.value.category is FailureCategory.UNSUPPORTED
    void = sound(tmp_path / "void.wav", "wav", "pcm_s16le", 16000, noise(1, 16000, 1))
    data = void.read_bytes()
    void.write_bytes(data[: data.find(b"data") + 4] + struct.pack("<I", 0))
    assert categories(opener, void) == [FailureCategory.EMPTY]
    with pytest.raises(MediaError) as caught:
        opener.probe(item(void))
    assert caught.value.category is FailureCategory.EMPTY


def test_damaged_recordings(opener: MediaOpener, tmp_path: Path) -> None:
    path = sound(tmp_path / "a.m4a", "ipod", "aac", 16000, noise(20, 16000, 1))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])  # its index was at the end
    assert categories(opener, path) == [FailureCategory.CORRUPT]

    path = sound(tmp_path / "a.flac", "flac", "flac", 16000, noise(20, 16000, 1))
    data = path.read_bytes()
    path.write_bytes(data[:200] + os.urandom(len(data) - 200))
    with pytest.raises(MediaError) as caught:
        opener.probe(item(path))
    assert caught.value.category is FailureCategory.CORRUPT

    # A third of the sound is gone; the rest stays where it was.
    path = sound(tmp_path / "a.mkv", "matroska", "libmp3lame", 16000, noise(30, 16000, 1))
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 2000] = bytes(2000)
    path.write_bytes(data)
    samples = joined(windows(opener, path))
    expected = (0.1 + 0.05 * (np.arange(30) % 7)) / np.sqrt(2)
    assert samples.shape[1] > 29 * 16000
    assert np.abs(loudness(samples)[20:28] - expected[20:28]).max() < 0.02


def test_a_header_that_lies_about_its_length(opener: MediaOpener, tmp_path: Path) -> None:
    path = sound(tmp_path / "a.flac", "flac", "flac", 16000, noise(5, 16000, 1))
    data = bytearray(path.read_bytes())
    data[22:26] = struct.pack(">I", 16000 * 36000)  # ten hours
    path.write_bytes(data)
    assert abs(opener.probe(item(path)).seconds - 5) < 0.1
    assert joined(windows(opener, path)).shape == (1, 80_000)


def test_modalities_are_not_mixed_up(opener: MediaOpener, tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav", "wav", "pcm_s16le", 16000, noise(1, 16000, 1))
    (failure,) = opener.pages(item(path))
    assert isinstance(failure, Failure) and failure.category is FailureCategory.UNSUPPORTED
    text = tmp_path / "a.txt"
    text.write_text("words")
    assert categories(opener, text) == [FailureCategory.UNSUPPORTED]
