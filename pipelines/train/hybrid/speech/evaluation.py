"""Recordings to evaluate on: held-out sentences, calls and calls with a page, spoken once and kept as files.

    python -m pipelines.train.hybrid.speech.evaluation --folder .train/speech/evaluation --carry .train/speech/carry

makes what is missing (``--carry`` is what `prepare` writes; --seconds bounds the time). The voices are the plain ones, never
blends; in a call one is lowered, so that they are told apart. What they say training never hears: other names, goods, half
of the wordings, other sentences.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from pipelines.train.hybrid.samples import Sample, Turn
from pipelines.train.hybrid.speech.augment import paced, told_apart
from pipelines.train.hybrid.speech.utterances import EVALUATION, Utterance, cast, read
from pipelines.train.hybrid.speech.voices import GROUPS, RATE, Speaker, unpack

FIRST_SEED = 1_000_000
CALLS, PAIRS, WINDOWS, SENTENCES = 30, 30, 20, 5
"""How many calls, pairs, windows a fold, and sentences a window."""


def main(arguments: list[str] | None = None) -> None:
    """Synthesise what is missing."""
    parser = argparse.ArgumentParser(prog="pipelines.train.hybrid.speech.evaluation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--folder", type=Path, default=Path(".train/speech/evaluation"))
    parser.add_argument("--carry", type=Path, default=Path(".train/speech/carry"), help="what `prepare` wrote")
    parser.add_argument("--seconds", type=float, default=3600, help="stop after so long; run again to go on")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    unpack(options.carry)
    until = time.monotonic() + options.seconds
    missing = [group for group in read(options.carry, EVALUATION) if not _made(options.folder, group)]
    missing.sort(key=lambda group: int(group[0].key.rsplit("/", 1)[1]) % FIRST_SEED)  # some of each kind, early
    rest = [missing[number :: options.processes] for number in range(options.processes)]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(options.carry, options.folder, share, until)) for share in rest]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    left = sum(not _made(options.folder, group) for group in missing)
    print(f"{options.folder}: {len(missing) - left} recordings made, {left} still missing")


def evaluation_calls(folder: Path) -> list[tuple[Sample, list[Path]]]:
    """The calls that are there: each sample, its turns with their times, and its recording (16 kHz WAV)."""
    from pipelines.train.hybrid.speech.calls import call

    found = [(call(seed, held_out=True), f"call-{seed}") for seed in range(FIRST_SEED, FIRST_SEED + CALLS)]
    return _there(folder, found)


def evaluation_pairs(folder: Path, fonts: Sequence[Path] | None = None) -> list[tuple[Sample, list[Path]]]:
    """The pairs that are there: each sample, its recording and a PNG of its page. ``fonts``: folders of
    `documents.Faces`; the held-out faces among them are used."""
    from PIL import Image

    from pipelines.train.hybrid.documents import Faces
    from pipelines.train.hybrid.documents.drawing import draw
    from pipelines.train.hybrid.reading import LATIN
    from pipelines.train.hybrid.speech.pairs import pair

    faces = (Faces() if fonts is None else Faces(fonts)).of(LATIN, ("sans", "serif", "mono"), held_out=True)
    samples = [pair(seed, faces, held_out=True) for seed in range(FIRST_SEED, FIRST_SEED + PAIRS)]
    found = _there(folder, [(sample, f"pair-{sample.seed}") for sample in samples])
    for sample, paths in found:
        picture = paths[0].with_suffix(".png")
        if not picture.exists():
            pixels = draw(sample.documents[0][0], random.Random(sample.seed), scan=sample.seed % 2 == 1)
            Image.fromarray(pixels).save(picture)
        paths.append(picture)
    return found


def evaluation_recordings(folder: Path, fold: str) -> list[tuple[tuple[Turn, ...], Path]]:
    """Windows of held-out sentences by the voices that a fold leaves out: their turns, with times, and recordings."""
    if fold not in GROUPS:
        raise ValueError(f"fold {fold!r}: there are {', '.join(GROUPS)}")
    names = [f"held-{fold}-{number}" for number in range(WINDOWS)]
    names = [name for name in names if (folder / f"{name}.json").exists()]
    if not names:
        raise _none(folder)
    return [(_turns(folder / f"{name}.json"), folder / f"{name}.wav") for name in names]


def _there(folder: Path, wanted: Sequence[tuple[Sample, str]]) -> list[tuple[Sample, list[Path]]]:
    """Those that are on disk and still say what their sample says, with times."""
    found = []
    for sample, name in wanted:
        path = folder / f"{name}.json"
        turns = _turns(path) if path.exists() else ()
        if [turn.text for turn in turns] == [turn.text for turn in sample.recordings[0]]:
            found.append((replace(sample, recordings=(turns,)), [folder / f"{name}.wav"]))
    if not found:
        raise _none(folder)
    return found


def _none(folder: Path) -> FileNotFoundError:
    return FileNotFoundError(
        f"{folder}: no recordings to evaluate on; run python -m pipelines.train.hybrid.speech.prepare and then "
        f"python -m pipelines.train.hybrid.speech.evaluation --folder {folder}"
    )


def _turns(path: Path) -> tuple[Turn, ...]:
    return tuple(Turn(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))["turns"])


def _name(group: Sequence[Utterance]) -> str:
    return group[0].key.replace("/", "-")


def _made(folder: Path, group: Sequence[Utterance]) -> bool:
    """Whether a recording is on disk and says what it should."""
    path = folder / f"{_name(group)}.json"
    return path.exists() and [turn.text for turn in _turns(path)] == [utterance.text for utterance in group]


def _work(carry: Path, folder: Path, groups: Sequence[tuple[Utterance, ...]], until: float) -> None:
    speaker = Speaker(carry)
    for group in groups:
        if time.monotonic() > until:
            return
        _record(speaker, folder, group)


def _record(speaker: Speaker, folder: Path, group: tuple[Utterance, ...]) -> None:
    """One recording with its turns beside it, which say that it is whole."""
    name = _name(group)
    rng = random.Random(f"evaluation {name}")
    number = int(name.rsplit("-", 1)[1])
    if name.startswith("held-"):
        voice = GROUPS[name.split("-")[1]][number % 3]
        voices = tuple(voice for _ in group)
    else:
        voices = cast(rng, number, group, blends=False)
    parts, turns, end = [], [], 0
    paces = told_apart(list(dict.fromkeys(voices)), np.random.default_rng(rng.randrange(1 << 30)))
    if len(paces) == 1:
        paces = dict.fromkeys(paces, Fraction(1))
    speed = rng.uniform(0.92, 1.1)
    for utterance, voice in zip(group, voices, strict=True):
        said = speaker.say(utterance.phonemes, voice, rng.randrange(1 << 30), speed / float(paces[voice]))
        samples = paced(said.astype(np.float32), paces[voice]).astype(np.int16)
        start = end + int(RATE * rng.uniform(0.3, 0.9))
        parts += [np.zeros(start - end, np.int16), samples]
        end = start + len(samples)
        turns.append({"speaker": utterance.speaker, "text": utterance.text, "start": start / RATE, "end": end / RATE})
    parts.append(np.zeros(RATE // 2, np.int16))
    (folder / f"{name}.json").unlink(missing_ok=True)
    wavfile.write(folder / f"{name}.wav", RATE, np.concatenate(parts))
    (folder / f"{name}.json").write_text(json.dumps({"voices": voices, "turns": turns}), encoding="utf-8")


if __name__ == "__main__":
    main()
