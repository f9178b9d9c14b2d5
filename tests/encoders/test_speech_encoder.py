"""The speech encoder on real recordings of the demo archive, and on what nobody says."""

from __future__ import annotations

import json
import re
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.base import MediaInput
from encoders.failures import FailureCategory
from encoders.media.config import OpeningConfig
from encoders.results import Speech
from encoders.speech.config import SpeechConfig
from encoders.speech.encoder import SpeechEncoder

EXAMPLES = Path(__file__).parents[2] / "examples"
CALL = "recordings/2024-04-23 call with printer.mp3"
MEMO = "recordings/memo-0031.ogg"
RATE = 16_000


@pytest.fixture(scope="module")
def encoder() -> Iterator[SpeechEncoder]:
    made = SpeechEncoder(SpeechConfig(beam_size=1, features=True))
    made.load()
    yield made
    made.close()


def part(name: str, **more: float) -> MediaInput:
    return MediaInput(name, name, "audio/mpeg", path=EXAMPLES / "archive" / name, **more)  # type: ignore[arg-type]


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9 ]", " ", text.lower().replace("eighty", "80").replace("seventy eight", "78")).split()


def write(path: Path, samples: NDArray[np.float64]) -> MediaInput:
    """A 16-bit WAV of [n] or [channels, n] samples in -1..1."""
    channels = np.atleast_2d(samples)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(len(channels))
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes((np.clip(channels.T, -1, 1) * 32767).astype("<i2").tobytes())
    return MediaInput(path.stem, str(path), "audio/wav", path=path)


def test_a_call_and_a_memo_in_one_batch(encoder: SpeechEncoder) -> None:
    truth = json.loads((EXAMPLES / "truth.json").read_text())
    truth = truth.get("assets", truth)
    call, memo = encoder([part(CALL), part(MEMO)])
    assert (call.status, memo.status) == ("ok", "ok")
    assert isinstance(call.result, Speech)
    assert isinstance(memo.result, Speech)
    assert len(set(words(truth[MEMO]["text"])) - set(words(memo.result.text))) <= 2
    assert len(set(words(truth[CALL]["text"])) - set(words(call.result.text))) <= 3
    assert [speaker.speaker for speaker in memo.result.speakers] == ["SPEAKER_00"]
    assert [speaker.speaker for speaker in call.result.speakers] == ["SPEAKER_00", "SPEAKER_01"]
    assert (call.result.language, call.result.duration) == ("en", pytest.approx(47.2, abs=0.1))
    for chunk in call.result.chunks:  # every chunk lies in the turn of one and the same person
        middle = (chunk.start + chunk.end) / 2
        turn = next(t for t in truth[CALL]["turns"] if t["start"] - 0.3 <= middle <= t["end"] + 0.3)
        assert (chunk.speaker == "SPEAKER_00") == (turn["speaker"] == truth[CALL]["turns"][0]["speaker"])
        assert all(chunk.start <= w.start <= w.end <= chunk.end + 1e-6 for w in chunk.words)
        assert all(w.speaker == chunk.speaker and 0 <= w.confidence <= 1 for w in chunk.words)
        assert chunk.text.count(".") <= 1
    assert [span.item for span in call.spans] == list(range(len(call.result.chunks)))
    assert call.features.shape == (call.spans[-1].stop, 512)
    assert call.features.dtype == np.float16
    assert np.isfinite(call.features).all()


def test_times_count_from_the_start_of_the_asset(encoder: SpeechEncoder) -> None:
    (later,) = encoder([part(CALL, start=20.0, stop=32.0)])
    assert isinstance(later.result, Speech)
    assert later.result.duration == pytest.approx(12.0, abs=0.1)
    assert all(19.5 <= chunk.start < chunk.end <= 32.5 for chunk in later.result.chunks)
    sorry = next(word for chunk in later.result.chunks for word in chunk.words if word.text.startswith("sorry"))
    assert 20.3 <= sorry.start <= 21.5


def test_nothing_is_said_on_silence_noise_and_music(encoder: SpeechEncoder, tmp_path: Path) -> None:
    random, length = np.random.default_rng(3), 300 * RATE
    clips = {"silence": np.zeros(length), "noise": 0.1 * random.standard_normal(length), "music": music(300, random)}
    for perception in encoder([write(tmp_path / f"{name}.wav", clip) for name, clip in clips.items()]):
        assert perception.status == "ok"
        assert isinstance(perception.result, Speech)
        assert perception.result.chunks == ()
        assert perception.result.speakers == ()
        assert (perception.result.text, perception.result.language, perception.result.duration) == ("", "", 300.0)


def music(seconds: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Chords, a melody with vibrato, and drums, half a second a beat."""
    chords = ((220, 262, 330), (175, 220, 262), (196, 247, 294), (131, 165, 196))
    time = np.arange(RATE // 2) / RATE
    fade, beats = np.exp(-3 * time), []
    for beat in range(seconds * 2):
        chord = chords[beat // 4 % 4]
        tones = sum(np.sin(2 * np.pi * tone * partial * time) / partial for tone in chord for partial in (1, 2, 3))
        melody = np.sin(2 * np.pi * 2 * chord[random.integers(3)] * time + 0.5 * np.sin(12 * np.pi * time))
        drum = np.sin(2 * np.pi * 60 * time) if beat % 2 else random.standard_normal(len(time))
        beats.append((0.15 * tones + 0.2 * melody) * fade + 0.3 * drum * np.exp(-15 * time))
    return 0.4 * np.concatenate(beats)


def test_failures_are_values_and_cost_only_their_part(encoder: SpeechEncoder, tmp_path: Path) -> None:
    (tmp_path / "broken.mp3").write_bytes(b"ID3 this is not a recording" * 100)
    broken = MediaInput("broken", "broken.mp3", "audio/mpeg", path=tmp_path / "broken.mp3")
    empty = MediaInput("empty", "empty.wav", "audio/wav", data=b"")
    bad, nothing, good = encoder([broken, empty, part(MEMO, start=0.0, stop=7.0)])
    assert (bad.status, nothing.status, good.status) == ("failed", "failed", "ok")
    assert bad.failures[0].category in {FailureCategory.CORRUPT, FailureCategory.UNSUPPORTED}
    assert nothing.failures[0].category == FailureCategory.EMPTY
    assert isinstance(good.result, Speech)
    assert "calm" in good.result.text


def test_a_network_that_fails_is_a_failure_of_the_part(encoder: SpeechEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no kernel for this device")

    monkeypatch.setattr(encoder._engine, "generate", fail)
    (perception,) = encoder([part(MEMO)])
    assert perception.failures[0].category == FailureCategory.MODEL_FAILED
    assert "no kernel" in perception.failures[0].message


def test_memory_that_runs_out_halves_the_batch_for_good(
    encoder: SpeechEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [part(MEMO, start=0, stop=4), part(MEMO, start=4, stop=8)]
    engine, sizes = encoder._engine, list[int]()
    assert engine is not None
    encode, room = engine.encode, 1

    def bounded(windows: Sequence[NDArray[np.float32]]) -> object:
        sizes.append(len(windows))
        if len(windows) > room:
            raise MemoryError("out of memory")
        return encode(windows)

    monkeypatch.setattr(engine, "encode", bounded)
    monkeypatch.setattr(engine, "fits", None)
    seen = encoder(short)
    assert [one.status for one in seen] == ["ok", "ok"] and all(one.result.text for one in seen)  # type: ignore
    assert sizes == [2, 1, 1] and engine.fits == room
    encoder(short)
    assert sizes == [2, 1, 1, 1, 1]  # more is not tried again


def test_channels_of_a_call_are_its_speakers(encoder: SpeechEncoder, tmp_path: Path) -> None:
    opened = [window.samples[0] for window in encoder._opener.audio(part(MEMO))]  # type: ignore[union-attr]
    voice = np.concatenate(opened)[: 14 * RATE] / 32768.0
    half = 7 * RATE  # the same voice on both channels, one half each: only the channel tells them apart
    stereo = np.stack(
        [np.where(np.arange(len(voice)) < half, voice, 0), np.where(np.arange(len(voice)) < half, 0, voice)]
    )
    item = write(tmp_path / "call.wav", stereo)
    split = SpeechEncoder(SpeechConfig(beam_size=1, language="en", opening=OpeningConfig(channels="split")))
    split.load()
    (perception,) = split([item])
    split.close()
    assert isinstance(perception.result, Speech)
    by = {chunk.speaker: chunk for chunk in perception.result.chunks}
    assert set(by) == {"SPEAKER_00", "SPEAKER_01"}
    assert all((chunk.end <= 7.3) == (chunk.speaker == "SPEAKER_00") for chunk in perception.result.chunks)


def test_fingerprint_is_of_what_shapes_the_transcript() -> None:
    base = SpeechEncoder(SpeechConfig()).fingerprint()
    assert SpeechEncoder(SpeechConfig(threads=4, batch_windows=2)).fingerprint() == base
    assert SpeechEncoder(SpeechConfig(opening=OpeningConfig(dpi=72))).fingerprint() == base
    assert SpeechEncoder(SpeechConfig(beam_size=2)).fingerprint() != base
    assert SpeechEncoder(SpeechConfig(speakers=False)).fingerprint() != base
