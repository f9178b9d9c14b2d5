"""Who speaks when: voice windows to turns, and words to turns."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from encoders.speech.clustering import cluster_voices
from encoders.speech.config import SpeakerConfig
from encoders.speech.voices import VoiceWindows, centred

_STEP = 0.1  # seconds between the points at which a speaker is decided
_SHARPNESS = 10.0  # how strongly a voice window's likeness to a speaker counts
_SWITCH = 2.0  # log cost of a change of speaker: short flips need strong evidence
_LONG_ENOUGH = 0.5  # seconds that a voice window needs to say who the speakers are


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker, without a break, in seconds of the part; ``speaker`` counts from 0."""

    start: float
    stop: float
    speaker: int


@dataclass(frozen=True, slots=True)
class Diarization:
    """The turns in order of time, and one voice vector [speakers, d] of unit length for each speaker."""

    turns: tuple[Turn, ...]
    voices: NDArray[np.float32]


def find_turns(
    regions: Sequence[tuple[float, float]], voices: Sequence[VoiceWindows], config: SpeakerConfig
) -> Diarization:
    """Cluster the voice windows of all regions, then decide the speaker along each region.

    Windows of less than 0.5 s have no say in who the speakers are: their voices are too noisy. They are only given to
    one, unless there is nothing longer.
    """
    if not voices:
        return Diarization((), np.zeros((0, 256), np.float32))
    embeddings = np.concatenate([own.embeddings for own in voices])
    spans = np.concatenate([own.spans for own in voices])
    lengths = spans[:, 1] - spans[:, 0]
    # The windows of a region share its length: how much a voice spoke must not depend on how far they overlap.
    seconds = np.concatenate(
        [np.full(len(own.spans), (r[1] - r[0]) / len(own.spans)) for r, own in zip(regions, voices)]
    )
    long = lengths >= min(_LONG_ENOUGH, float(lengths.max())) - 1e-6
    embeddings, seconds = embeddings[long], seconds[long]
    apart = centred(embeddings)
    labels = cluster_voices(apart, seconds, count=config.count, most=config.max_count)
    numbers = range(int(labels.max()) + 1)
    centres = np.stack([_unit(apart[labels == label].mean(0)) for label in numbers])
    turns = [turn for region, own in zip(regions, voices) for turn in _turns(region, own, centres)]
    return Diarization(tuple(turns), np.stack([_unit(embeddings[labels == label].mean(0)) for label in numbers]))


def _turns(region: tuple[float, float], own: VoiceWindows, centres: NDArray[np.float32]) -> list[Turn]:
    start, stop = region
    points = np.arange(start + _STEP / 2, max(stop, start + _STEP), _STEP)
    likeness = centred(own.embeddings) @ centres.T  # [windows, speakers]
    middles = own.spans.mean(1)
    # A point listens to the windows around it, the nearest one most.
    weights = np.exp(-(((points[:, None] - middles[None]) / 0.3) ** 2)) + 1e-9
    scores = _SHARPNESS * (weights @ likeness) / weights.sum(1, keepdims=True)
    path = _viterbi(scores)
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    turns = []
    for first, last in pairwise(edges):
        begin = start if first == 0 else start + first * _STEP
        end = stop if last == len(path) else start + last * _STEP
        turns.append(Turn(begin, end, int(path[first])))
    return turns


def _viterbi(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The best sequence of speakers for ``scores`` [points, speakers] under a cost of switching."""
    best, back = scores[0].copy(), np.zeros(scores.shape, np.int64)
    stay = np.arange(scores.shape[1])
    for at in range(1, len(scores)):
        leader = int(best.argmax())
        switched = best[leader] - _SWITCH
        back[at] = np.where(best >= switched, stay, leader)
        best = np.maximum(best, switched) + scores[at]
    path = np.zeros(len(scores), np.int64)
    path[-1] = int(best.argmax())
    for at in range(len(scores) - 1, 0, -1):
        path[at - 1] = back[at, path[at]]
    return path


def speaker_of(start: float, end: float, turns: Sequence[Turn]) -> int:
    """The speaker whose turns overlap a span most; where none does, the nearest turn's. Turns follow each other."""
    overlap: dict[int, float] = {}
    for at in range(bisect_right(turns, start, key=lambda turn: turn.stop), len(turns)):
        turn = turns[at]
        if turn.start >= end:
            break
        shared = min(end, turn.stop) - max(start, turn.start)
        if shared > 0:
            overlap[turn.speaker] = overlap.get(turn.speaker, 0.0) + shared
    if overlap:
        return max(overlap, key=lambda speaker: overlap[speaker])
    middle = (start + end) / 2
    behind = bisect_left(turns, middle, key=lambda turn: turn.start)
    near = turns[max(behind - 1, 0) : behind + 1]
    return min(near, key=lambda turn: max(turn.start - middle, middle - turn.stop)).speaker


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))
