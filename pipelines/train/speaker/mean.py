"""Make the mean of voices that `encoders.speech.voices.centred` takes away.

    python -m pipelines.train.speaker.mean encoders/speech/voice_mean.safetensors

Generated voices only: espeak-ng's variants, and hibari-tts' voice at nine speeds (so of nine pitches and sizes); each
as it is and as a microphone across the room hears it. Needs espeak-ng, hibari-tts and soundfile; takes a minute.
"""

from __future__ import annotations

import argparse
import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.signal import resample

from encoders.checkpoints import resolve
from encoders.speech.activity import RATE
from encoders.speech.voices import VoiceEncoder

SENTENCES = (
    "I think we should have a look at the budget before we go any further with this design.",
    "Yeah, so what we had last time was a remote control with only two buttons on it.",
    "Can you just remind me whether anybody has tried that on the other machine?",
    "Okay, the few of you who are here, let us see what is left to do for this week.",
    "No, it is probably the way that people read their own data, I am not sure about it.",
    "Well maybe, but the handrail on the left side is loose and nobody wants to fix it.",
)
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp")
NOT_VOICES = ("whisper", "robo", "robot", "demonic", "croak")  # in the names of espeak-ng's effects

Samples = NDArray[np.float32]


def espeak_voices(random: np.random.Generator) -> Iterator[Samples]:
    """Three sentences of each variant, at a pitch and a speed of its own."""
    listing = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True).stdout
    names = sorted({line.split("!v/")[1].split()[0] for line in listing.splitlines() if "!v/" in line})
    for index, name in enumerate(name for name in names if not any(word in name.lower() for word in NOT_VOICES)):
        pitch, speed = int(random.uniform(30, 65)), int(random.uniform(140, 200))
        voice = ["-v", f"{ACCENTS[index % 4]}+{name}", "-p", str(pitch), "-s", str(speed)]
        for sentence in random.choice(SENTENCES, 3, replace=False):
            said = subprocess.run(["espeak-ng", *voice, "--stdout", sentence], capture_output=True, check=True).stdout
            yield at_rate(*soundfile.read(io.BytesIO(said), dtype="float32"))


def hibari_voices(random: np.random.Generator) -> Iterator[Samples]:
    """Two sentences at each of nine speeds."""
    from hibari import Hibari

    hibari = Hibari()
    for factor in np.geomspace(0.72, 1.25, 9):
        for sentence in random.choice(SENTENCES, 2, replace=False):
            said = np.asarray(hibari(str(sentence), seed=1), np.float32).ravel()
            yield at_rate(said, 24_000 * factor)


def at_rate(samples: Samples, rate: float) -> Samples:
    """Resampled to 16 kHz, without the silence at its ends."""
    samples = np.asarray(resample(samples, round(len(samples) * RATE / rate)), np.float32)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def far(samples: Samples, random: np.random.Generator) -> Samples:
    """As heard across a room: reverberation of 0.15 to 0.7 s, white or low noise 8 to 30 dB below the voice."""
    decay = random.uniform(0.15, 0.7)
    room = random.standard_normal(int(decay * RATE)) * np.exp(-np.arange(int(decay * RATE)) / RATE * 6.9 / decay)
    room *= random.uniform(0.3, 1.5) / np.linalg.norm(room)
    room[0] += 1
    heard = np.convolve(samples, room)[: len(samples)]
    noise = random.standard_normal(len(samples))
    if random.random() < 0.6:
        noise = 0.02 * np.cumsum(noise) + 0.3 * noise
        noise -= np.convolve(noise, np.ones(400) / 400, "same")
    noise *= heard.std() / noise.std() * 10 ** (-random.uniform(8, 30) / 20)
    return np.asarray(heard + noise, np.float32)


def main() -> None:
    """Write the mean, [256] float32 under the name ``mean``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    encoder = VoiceEncoder(resolve("speaker"), window=1.6, hop=0.8)
    rows = []
    for samples in [*espeak_voices(random), *hibari_voices(random)]:
        for heard in (samples, far(samples, random)):
            halves = [heard[at : at + RATE * 4 // 5] for at in range(0, len(heard) - RATE // 2, RATE * 4 // 5)]
            rows += [own.embeddings for own in encoder([(piece, 0.0) for piece in (heard, *halves)])]
    save_file({"mean": np.concatenate(rows).mean(0)}, str(options.out))
    print(f"mean of {sum(map(len, rows))} windows")


if __name__ == "__main__":
    main()
