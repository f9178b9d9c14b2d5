"""The utterances that `prepare` wrote, grouped into what is synthesised as one: a sentence or a whole call."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.train.hybrid.speech.voices import GROUPS

_BLENDED = 0.35  # of the items that Kokoro speaks
TRAINING, EVALUATION = "utterances.jsonl.gz", "evaluation.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn or sentence to be spoken: its text, and its phonemes by sentence. ``key`` names what it belongs to:
    ``read/12``, ``call/7`` or ``pair/7``; ``turn`` is its place there; ``speaker`` is "" in read sentences."""

    key: str
    turn: int
    speaker: str
    text: str
    phonemes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """Utterances that belong together, with a voice for each and the seed and pace of the synthesis."""

    number: int
    utterances: tuple[Utterance, ...]
    voices: tuple[str, ...]
    seed: int
    speed: float


def read(folder: Path, name: str = TRAINING) -> Iterator[tuple[Utterance, ...]]:
    """What belongs together, in the order of the file."""
    group: list[Utterance] = []
    with gzip.open(folder / name, "rt", encoding="utf-8") as stream:
        for line in stream:
            fields = json.loads(line)
            utterance = Utterance(**{**fields, "phonemes": tuple(fields["phonemes"])})
            if group and group[0].key != utterance.key:
                yield tuple(group)
                group = []
            group.append(utterance)
    if group:
        yield tuple(group)


def plan(folder: Path, seed: int) -> list[Item]:
    """Everything there is, in a seeded order in which sentences, calls and pairs keep their shares at any point of it,
    and each voice has its turn."""
    kinds: dict[str, list[tuple[Utterance, ...]]] = {}
    for group in read(folder):
        kinds.setdefault(group[0].key.split("/")[0], []).append(group)
    rng = random.Random(f"plan {seed}")
    placed = [(place / len(groups), group) for groups in kinds.values() for place, group in enumerate(groups)]
    items = []
    for number, (_, group) in enumerate(sorted(placed, key=lambda entry: (entry[0], entry[1][0].key))):
        voices = cast(rng, number, group)
        items.append(Item(number, group, voices, rng.randrange(1 << 30), rng.uniform(0.88, 1.15)))
    return items


def cast(rng: random.Random, number: int, group: tuple[Utterance, ...], *, blends: bool = True) -> tuple[str, ...]:
    """A voice for every utterance: the groups of voices take turns, a call has two voices of one group."""
    voices = GROUPS["AB"[number % 2]]
    speakers = sorted({utterance.speaker for utterance in group})
    chosen = rng.sample(voices, len(speakers))
    free = [voice for voice in voices if voice != "heart" and voice not in chosen]
    for place, voice in enumerate(chosen):
        if blends and voice != "heart" and free and rng.random() < _BLENDED:  # no voice is part of both speakers
            chosen[place] = "+".join(sorted((voice, free.pop(rng.randrange(len(free))))))
    by_speaker = dict(zip(speakers, chosen, strict=True))
    return tuple(by_speaker[utterance.speaker] for utterance in group)
