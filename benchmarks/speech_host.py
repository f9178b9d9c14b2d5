"""What speech keeps on cores beside a card: seconds of the actor's core and of its opening child for an hour of audio.

    python -m benchmarks.speech_host RECORDING [--repeats 3] [--own-activity]

The card's networks are stubs that answer at once, with the same words for every window, so this runs anywhere, and
what is left is opening, packing, speakers, words and their assembly; with ``--own-activity`` voice activity too, as
without a process on the card. What asking that costs is not in it. CPU time, without the first reading.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from encoders.base import MediaInput
from encoders.checkpoints import resolve
from encoders.media.opener import MediaOpener
from encoders.media.sniff import media_type
from encoders.results import Speech
from encoders.speech.activity import RATE, Activity, ActivityNetwork, Heard, Samples
from encoders.speech.card_service import HEARD_TOGETHER
from encoders.speech.config import SpeechConfig
from encoders.speech.engine import Alignment, Hypothesis
from encoders.speech.reader import SpeechReader
from encoders.speech.tokenizing import WhisperTokenizers
from encoders.speech.voices import VoiceWindows

_SAID = (
    " and so we went down to the harbour in the morning, where the boats were lying quietly beside the long stone "
    "wall, and nobody said a word about it until the bell rang twice for breakfast. We talked of the price of coal."
)


class StubEngine:
    """See `WhisperEngine`: everybody says the same at once."""

    batch, fits = 64, None

    def __init__(self, folder: Path) -> None:
        self.tokenizer = WhisperTokenizers(folder)
        self._tokens = tuple(self.tokenizer("en").encode(_SAID))

    def encode(self, windows: Sequence[NDArray[np.float32]]) -> list[int]:
        return list(range(len(windows)))

    def languages(self, encoded: Any) -> list[dict[str, float]]:
        return [{"en": 0.97, "de": 0.02} for _ in encoded]

    def generate(self, encoded: Any, languages: Sequence[str], careful: bool = False) -> list[Hypothesis]:
        return [Hypothesis(self._tokens, -0.2, 0.01) for _ in encoded]

    def align(
        self, encoded: Any, language: str, tokens: Sequence[Sequence[int]], seconds: Sequence[float]
    ) -> list[Alignment]:
        return [
            Alignment(np.linspace(0, length, len(own) + 1), np.full(len(own), 0.9))
            for own, length in zip(tokens, seconds, strict=True)
        ]

    def select(self, encoded: Any, indices: Sequence[int]) -> list[int]:
        return [encoded[index] for index in indices]

    def features(self, encoded: Any) -> NDArray[np.float16]:
        raise NotImplementedError("not asked for here")

    def shrink(self, count: int) -> None:
        raise MemoryError

    def parameters(self) -> int:
        return 0


class StubActivity:
    """See `Activity`: what a network heard in the first reading, again in each that follows."""

    together = HEARD_TOGETHER

    def __init__(self, network: ActivityNetwork) -> None:
        self._network = network
        self._heard: list[Heard] = []
        self._at = 0

    def begin(self) -> None:
        """The recording begins again."""
        self._at = 0

    def hear(self, samples: Samples, state: NDArray[np.float32]) -> Heard:
        if self._at == len(self._heard):
            self._heard.append(self._network.hear(samples, state))
        self._at += 1
        return self._heard[self._at - 1]

    def parameters(self) -> int:
        return 0


class StubVoices:
    """See `Voices`: random ones."""

    seconds = 256 * 0.4

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def __call__(self, regions: Sequence[tuple[NDArray[np.float32], float]]) -> list[VoiceWindows]:
        found = []
        for samples, start in regions:
            starts = start + 0.4 * np.arange(max(1, int((len(samples) / RATE - 1.6) / 0.4) + 1))
            voices = np.abs(self._random.normal(size=(len(starts), 256))).astype(np.float32)
            voices /= np.linalg.norm(voices, axis=1, keepdims=True)
            found.append(VoiceWindows(np.stack([starts, starts + 1.6], 1), voices))
        return found

    def parameters(self) -> int:
        return 0


def core_seconds(
    path: Path, speakers: bool, repeats: int, own_activity: bool = False
) -> tuple[list[float], list[float]]:
    """Of the actor and of its opening child, for an hour of audio, in each repeat."""
    torch.set_num_threads(1)
    config = SpeechConfig(speakers=speakers)
    network = ActivityNetwork(next(iter(sorted(resolve(config.activity_checkpoint).rglob("*.onnx")))))
    stub = StubActivity(network)
    activity: Activity = network if own_activity else stub
    engine, voices = StubEngine(resolve("speech", variant="torch")), StubVoices() if speakers else None
    part = MediaInput(
        path.name, str(path), media_type(path.read_bytes()[:4096], name=path.name) or "audio/mpeg", path=path
    )
    actor, child = [], []
    with MediaOpener(config.opening, config.limits) as opener:
        reader = SpeechReader(config, opener, activity, voices, engine)
        for number in range(repeats + 1):
            stub.begin()
            before = _child_seconds() if number else 0.0
            began = time.process_time()
            result = reader([part])[0].result
            own, other = time.process_time() - began, _child_seconds() - before
            if not isinstance(result, Speech):
                raise SystemExit(f"{path}: no speech was found")
            if number:
                actor.append(own * 3600 / result.duration)
                child.append(other * 3600 / result.duration)
    return actor, child


def _child_seconds() -> float:
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children())


def main() -> None:
    """Print both, without speakers and with."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speech_host", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--own-activity", action="store_true", help="voice activity on the actor's core")
    options = parser.parse_args()
    print("core-seconds an hour of audio, medians (lowest to highest):")
    for speakers in (False, True):
        told = [
            f"{statistics.median(own):.1f} ({min(own):.1f} to {max(own):.1f})"
            for own in core_seconds(options.recording, speakers, options.repeats, options.own_activity)
        ]
        print(f"  {'with' if speakers else 'without'} speakers: actor {told[0]}, its opening child {told[1]}")


if __name__ == "__main__":
    main()
