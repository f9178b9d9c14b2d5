"""What happens to speech between a mouth and a file: pace, rooms, noise, telephones, codecs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, fftconvolve, firwin, resample_poly, sosfilt

from pipelines.train.hybrid.speech.voices import MALE, RATE

Samples = NDArray[np.float32]
PACES = tuple(Fraction(20 + step, 20) for step in (-2, -1, 0, 0, 1, 2))
"""Faster and higher, or slower and lower, by up to a tenth, as a tape does it."""

LOWER, HIGHER = (Fraction(17, 20), Fraction(9, 10)), (Fraction(1), Fraction(21, 20), Fraction(11, 10))
"""For the two speakers of a call. Women's voices of one network are alike: diarization takes two of them, as they are,
for one speaker."""


def paced(samples: Samples, pace: Fraction) -> Samples:
    """The samples played ``pace`` times as fast, pitch included."""
    if pace == 1:
        return samples
    window = _window(max(pace.denominator, pace.numerator))
    return np.asarray(resample_poly(samples, pace.denominator, pace.numerator, window=window), np.float32)


@lru_cache
def _window(rate: int) -> Samples:
    """The filter that `resample_poly` would design anew for every call."""
    return np.asarray(firwin(20 * rate + 1, 1 / rate, window=("kaiser", 5.0)), np.float32)


def told_apart(voices: Sequence[str], rng: np.random.Generator) -> dict[str, Fraction]:
    """A pace for each voice of a call: one is lower than the others, the man's if he is among them."""
    men = [voice for voice in voices if voice in MALE]
    lower = men[0] if men else voices[int(rng.integers(len(voices)))]
    paces = {voice: (LOWER if voice == lower else HIGHER) for voice in voices}
    return {voice: options[int(rng.integers(len(options)))] for voice, options in paces.items()}


def noise(length: int, rng: np.random.Generator) -> Samples:
    """White, pink or brown noise of unit power."""
    fast = next_fast_len(length, real=True)  # a prime length would take seconds
    white = rng.standard_normal(fast, dtype=np.float32)
    slope = rng.choice((0.0, 0.5, 1.0))
    if slope:
        spectrum = rfft(white)
        spectrum /= np.maximum(np.arange(len(spectrum), dtype=np.float32), 8) ** np.float32(slope)
        white = irfft(spectrum, fast)
    white = white[:length]
    return np.asarray(white / max(float(np.sqrt(np.mean(white**2))), 1e-9), np.float32)


def noisy(samples: Samples, added: Samples, decibels: float) -> Samples:
    """With ``added`` (unit power) so many decibels below the speech."""
    power = float(np.sqrt(np.mean(samples**2))) * 1.5  # pauses count as well in the mean
    return np.asarray(samples + added * (power * 10 ** (-decibels / 20)), np.float32)


def echoing(samples: Samples, rng: np.random.Generator) -> Samples:
    """In a room: a direct path and a decaying tail of 0.1 to 0.5 s."""
    length = int(RATE * rng.uniform(0.1, 0.5))
    tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= rng.uniform(0.1, 0.6) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(fftconvolve(samples, tail.astype(np.float32))[: len(samples)], np.float32)


def banded(samples: Samples, rng: np.random.Generator) -> Samples:
    """Through a telephone (300 to 3400 Hz), or without the heights that a strong compression drops."""
    if rng.random() < 0.5:
        shape = butter(4, (rng.uniform(200, 400), rng.uniform(3000, 3800)), "bandpass", fs=RATE, output="sos")
    else:
        shape = butter(8, rng.uniform(3500, 7000), "lowpass", fs=RATE, output="sos")
    return np.asarray(sosfilt(shape, samples), np.float32)


def recorded(samples: Samples, rng: np.random.Generator, babble: Samples | None = None) -> Samples:
    """A whole recording, half the time clean but for its level; turns stay where they are in time."""
    if rng.random() < 0.25:
        samples = echoing(samples, rng)
    if rng.random() < 0.5:
        added = babble if babble is not None and rng.random() < 0.3 else noise(len(samples), rng)
        samples = noisy(samples, added, rng.uniform(5, 40))
    if rng.random() < 0.3:
        samples = banded(samples, rng)
    level = rng.uniform(0.1, 0.95) / max(float(np.abs(samples).max(initial=0)), 1e-4)
    return np.asarray(samples * level, np.float32)
