"""Speed of speech with speakers against bare faster-whisper without: same beam, compute type, voice filter, threads.

    python -m benchmarks.speech_speed [--beam 5] [--minutes 5] [--repeats 3]

The two take turns on the same recording in one process. CPU seconds are printed beside wall seconds, because they say
more on a machine that others share; the ratio is theirs / ours, so above 1 ours is faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from faster_whisper import WhisperModel

from benchmarks.figures import floor_and_goal, must_be_zero, spread
from benchmarks.speech_corpus import RATE, readings
from benchmarks.speech_wer import ArrayOpener
from encoders.base import MediaInput
from encoders.checkpoints import resolve
from encoders.results import Speech
from encoders.speech.config import SpeechConfig
from encoders.speech.encoder import SpeechEncoder


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clips", type=Path, default=Path("/tmp/interlace-speech-corpus"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    pieces = [piece for clip in readings(options.clips) for piece in (clip.samples, np.zeros(RATE, np.float32))]
    samples = np.concatenate(pieces)
    samples = np.resize(samples, int(options.minutes * 60 * RATE))
    bare = WhisperModel(str(resolve("speech")), device="cpu", compute_type="int8", cpu_threads=1)
    encoder = SpeechEncoder(SpeechConfig(beam_size=options.beam))
    encoder.load()
    encoder._opener = ArrayOpener({"all": samples})  # type: ignore[assignment]
    heard: list[int] = []
    plain: list[int] = []

    def ours() -> None:
        (perception,) = encoder([MediaInput("all", "all", "audio/wav")])
        heard.append(len(perception.result.text.split()) if isinstance(perception.result, Speech) else 0)

    def theirs() -> None:
        segments = bare.transcribe(samples, beam_size=options.beam, vad_filter=True)[0]
        plain.append(sum(len(segment.text.split()) for segment in segments))

    runs = {"ours, words and speakers": ours, "faster-whisper, text": theirs}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, call in runs.items():
            spent[name].append(timed(call))
            print(f"{name:26} CPU {spent[name][-1][0]:.1f} s  wall {spent[name][-1][1]:.1f} s", flush=True)
    own, other = spent.values()
    title = "speech with speakers, CPU time against bare faster-whisper's"
    print(floor_and_goal(title, [b[0] / a[0] for a, b in zip(own, other)], 0.85, 0.95, unit="x"))
    print(f"       the same by the clock: {spread([b[1] / a[1] for a, b in zip(own, other)])}x")
    print(f"       words: {heard[-1]} of ours, {plain[-1]} of faster-whisper's")
    print(must_be_zero("parts without a transcript", sum(not words for words in heard)))
    encoder.close()


if __name__ == "__main__":
    main()
