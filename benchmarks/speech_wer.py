"""Word error on generated speech with known text: ours beside faster-whisper's own transcribe() with the same beam.

    python -m benchmarks.speech_wer [--voices heart,jf_alpha] [--beam 5] [--noise 15]

Passages are joined into recordings of four, with pauses; ``--noise`` adds pink noise at that many decibels below.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from benchmarks.figures import judge
from benchmarks.speech_corpus import RATE, Reading, installed_voices, readings
from encoders.base import MediaInput
from encoders.checkpoints import resolve
from encoders.media.opened import AudioWindow
from encoders.results import Speech
from encoders.speech.config import SpeechConfig
from encoders.speech.encoder import SpeechEncoder
from pipelines.train.word_errors import edits, normalised


class ArrayOpener:
    """Hands out arrays that are in memory already, so that only the encoder is measured."""

    def __init__(self, recordings: dict[str, NDArray[np.float32]]) -> None:
        self._recordings = recordings

    def audio(self, item: MediaInput) -> Iterator[AudioWindow]:
        samples = (np.clip(self._recordings[item.uri], -1, 1) * 32767).astype(np.int16)[None]
        for first in range(0, samples.shape[1], 30 * RATE):
            yield AudioWindow(first / RATE, samples[:, first : first + 30 * RATE])

    def close(self) -> None:
        """Nothing to end."""


def recordings_of(clips: Sequence[Reading], noise: float | None) -> dict[str, tuple[NDArray[np.float32], str]]:
    """Four passages of one voice to a recording, with a pause of a second."""
    random = np.random.default_rng(7)
    made: dict[str, tuple[NDArray[np.float32], str]] = {}
    for voice, group in itertools.groupby(clips, key=lambda clip: clip.voice):
        own = list(group)
        for first in range(0, len(own), 4):
            some = own[first : first + 4]
            pieces = [piece for clip in some for piece in (clip.samples, np.zeros(RATE, np.float32))]
            samples = np.concatenate(pieces)
            if noise is not None:
                samples = samples + _pink(len(samples), random) * np.std(samples) * 10 ** (-noise / 20)
            made[f"{voice}-{first // 4}"] = (samples.astype(np.float32), " ".join(clip.text for clip in some))
    return made


def _pink(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(random.standard_normal(count)) / np.sqrt(np.maximum(np.fft.rfftfreq(count), 20 / RATE))
    pink = np.fft.irfft(spectrum, count)
    return np.asarray(pink / pink.std())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", default=",".join(installed_voices()))
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--noise", type=float)
    parser.add_argument("--language", help="ISO 639-1 code; detected by both when left out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=Path, default=Path("/tmp/interlace-speech-corpus"))
    options = parser.parse_args()
    made = recordings_of(list(readings(options.clips, tuple(options.voices.split(",")))), options.noise)
    bare = WhisperModel(str(resolve("speech")), device="cpu", compute_type="int8", cpu_threads=1)
    encoder = SpeechEncoder(SpeechConfig(beam_size=options.beam, language=options.language))
    encoder.load(options.device)
    encoder._opener = ArrayOpener({name: samples for name, (samples, _) in made.items()})  # type: ignore[assignment]
    totals = {"ours": [0, 0.0], "faster-whisper": [0, 0.0]}
    words = 0
    for name, (samples, text) in made.items():
        truth = normalised(text)
        words += len(truth)
        since = time.process_time()
        result = encoder([MediaInput(name, name, "audio/wav")])[0].result
        assert isinstance(result, Speech)
        middle = time.process_time()
        segments, _ = bare.transcribe(
            samples, beam_size=options.beam, language=options.language, vad_filter=True, word_timestamps=True
        )
        theirs = " ".join(segment.text for segment in segments)
        after = time.process_time()
        for key, guess, seconds in (("ours", result.text, middle - since), ("faster-whisper", theirs, after - middle)):
            totals[key][0] += edits(truth, normalised(guess))
            totals[key][1] += seconds
        own, other = (edits(truth, normalised(guess)) for guess in (result.text, theirs))
        print(f"{name:16} ours {own:3}  faster-whisper {other:3}  of {len(truth)}", flush=True)
    for key, (errors, seconds) in totals.items():
        print(f"{key:16} word error {100 * errors / words:.2f} % of {words}   CPU {seconds:.1f} s")
    more = 100 * (totals["ours"][0] - totals["faster-whisper"][0]) / words
    judge("word error above faster-whisper's", more, at_most=0.5, unit=" points")
    encoder.close()


if __name__ == "__main__":
    main()
