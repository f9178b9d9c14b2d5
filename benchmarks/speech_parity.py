"""Texts and word times of the torch engine against CTranslate2, on generated speech and the conversations.

    python benchmarks/speech_parity.py --device cpu|cuda [--beam 1] [--limit N]

CTranslate2 (int8, CPU) is the reference. Prints the share of windows with the same text, the word difference, how far
word starts are apart where the words agree, and the largest difference of the encoders' outputs.
"""

from __future__ import annotations

import argparse
import difflib
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from benchmarks.speech_corpus import installed_voices, readings
from encoders.checkpoints import resolve
from encoders.speech.ctranslate2_engine import CTranslate2Engine
from encoders.speech.engine import WhisperEngine
from encoders.speech.torch_engine import TorchEngine
from encoders.speech.transcriber import LanguageBelief, Transcriber, Transcript
from encoders.speech.windows import Piece, Window


def windows_of(folder: Path, conversations: Path, limit: int | None) -> list[NDArray[np.float32]]:
    clips = [reading.samples[:480_000] for reading in readings(folder, installed_voices()[:1])]
    clips += [soundfile.read(path, dtype="float32")[0][:480_000] for path in sorted(conversations.glob("*.flac"))]
    return clips[:limit]


def transcripts(engine: WhisperEngine, clips: list[NDArray[np.float32]], batch: int) -> tuple[list[Transcript], float]:
    read = Transcriber(engine)
    made: list[Transcript] = []
    since = time.perf_counter()
    for first in range(0, len(clips), batch):
        windows = [Window(clip, (Piece(0, 0, len(clip) / 16_000),)) for clip in clips[first : first + batch]]
        made += read(windows, [LanguageBelief() for _ in windows])
    return made, time.perf_counter() - since


def compare(reference: list[Transcript], other: list[Transcript]) -> dict[str, float]:
    same = words = changed = 0
    apart: list[float] = []
    for one, two in zip(reference, other):
        left, right = ([word.text.strip() for word in transcript.words] for transcript in (one, two))
        same += left == right
        words += max(len(left), len(right))
        matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
        blocks = matcher.get_matching_blocks()
        changed += max(len(left), len(right)) - sum(block.size for block in blocks)
        for block in blocks:
            for at in range(block.size):
                apart.append(abs(one.words[block.a + at].start - two.words[block.b + at].start))
    return {
        "windows with the same text": same / len(reference),
        "words that differ": changed / max(words, 1),
        "word start difference, median s": float(np.median(apart)),
        "p90 s": float(np.quantile(apart, 0.9)),
        "max s": float(np.max(apart)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--clips", type=Path, default=Path("/tmp/interlace-speech-corpus"))
    parser.add_argument("--conversations", type=Path, default=Path("../shared/data/dev/conversations/files"))
    options = parser.parse_args()
    clips = windows_of(options.clips, options.conversations, options.limit)
    bare = CTranslate2Engine(resolve("speech"), compute_type="int8", beam_size=options.beam, threads=1)
    ours = TorchEngine(resolve("speech", variant="torch"), device=options.device)
    reference, bare_seconds = transcripts(bare, clips, options.batch)
    other, seconds = transcripts(ours, clips, options.batch)
    print(
        f"{len(clips)} windows, CTranslate2 int8 beam {options.beam}: {bare_seconds:.1f} s; "
        f"torch greedy on {options.device}: {seconds:.1f} s, recording included"
    )
    for name, value in compare(reference, other).items():
        print(f"  {name:32} {value:.3f}")
    pair = clips[:2]
    difference = np.abs(bare.features(bare.encode(pair)).astype(np.float32) - ours.features(ours.encode(pair)))
    print(f"  encoder output: mean difference {difference.mean():.4f}, max {difference.max():.3f}")


if __name__ == "__main__":
    main()
