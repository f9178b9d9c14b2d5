"""Speakers matched across the parts of a recording, by their voices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from encoders.results import Chunk, Speaker, Speech

SAME_VOICE = 0.8
"""Cosine of two speakers' mean voices above which they are one: the same voice gives 0.90 and more over 8 s of speech,
different ones up to 0.79."""


@dataclass(slots=True)
class _Voice:
    """A speaker of the whole recording: weighted sum of voices, and which (part, label) belong to it."""

    vector: NDArray[np.float64]
    members: list[tuple[int, str]]

    @property
    def parts(self) -> set[int]:
        return {part for part, _ in self.members}

    def likeness(self, other: _Voice) -> float:
        """Cosine; -1 when they spoke in the same part, because there they were told apart."""
        if self.parts & other.parts:
            return -1.0
        norms = float(np.linalg.norm(self.vector) * np.linalg.norm(other.vector))
        return float(self.vector @ other.vector) / norms if norms > 0 else -1.0


def match_speakers(parts: Sequence[Speech]) -> list[Speech]:
    """The parts of one recording, in order, with one label per voice over all of them.

    Labels count in order of first word over the whole recording. A speaker without a voice vector is nobody else.
    """
    voices = [
        _Voice(np.asarray(speaker.embedding, np.float64) * max(speaker.seconds, 1e-3), [(index, speaker.speaker)])
        for index, part in enumerate(parts)
        for speaker in part.speakers
    ]
    while len(voices) > 1:
        likeness, first, second = max(
            (voices[i].likeness(voices[j]), -i, -j) for j in range(len(voices)) for i in range(j)
        )
        if likeness < SAME_VOICE:
            break
        one, other = voices[-first], voices.pop(-second)
        one.vector, one.members = one.vector + other.vector, one.members + other.members
    labels = _labels(parts, voices)
    return [
        _relabel(part, {own: labels[index, own] for i, own in labels if i == index}) for index, part in enumerate(parts)
    ]


def _labels(parts: Sequence[Speech], voices: Sequence[_Voice]) -> dict[tuple[int, str], str]:
    """The new label of every (part, old label)."""
    whose = {member: number for number, voice in enumerate(voices) for member in voice.members}
    spoken = [(index, chunk.speaker) for index, part in enumerate(parts) for chunk in part.chunks if chunk.speaker]
    order = dict.fromkeys(whose[key] for key in [*spoken, *whose] if key in whose)
    names = {number: f"SPEAKER_{place:02d}" for place, number in enumerate(order)}
    return {member: names[number] for member, number in whose.items()}


def _relabel(part: Speech, labels: dict[str, str]) -> Speech:
    def chunk(old: Chunk) -> Chunk:
        if old.speaker is None or old.speaker not in labels:
            return old
        label = labels[old.speaker]
        return replace(old, speaker=label, words=tuple(replace(word, speaker=label) for word in old.words))

    def speaker(old: Speaker) -> Speaker:
        return replace(old, speaker=labels[old.speaker])

    speakers = sorted((speaker(old) for old in part.speakers), key=lambda own: own.speaker)
    return replace(part, chunks=tuple(chunk(old) for old in part.chunks), speakers=tuple(speakers))
