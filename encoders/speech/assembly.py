"""From what was heard in a part to its `Speech`: words with speakers, chunks, text, and features by chunk."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.base import FeatureSpan
from encoders.results import Chunk, Speaker, Speech, SpokenWord
from encoders.speech.chunks import chunks_of, contiguous, readable
from encoders.speech.config import SpeakerConfig
from encoders.speech.diarization import find_turns, speaker_of
from encoders.speech.engine import FRAMES_PER_SECOND
from encoders.speech.listening import Listener


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word with where it lies in the encoder's output: index of its window and a span of seconds in it."""

    word: SpokenWord
    spaced: bool
    window: int
    window_start: float
    window_end: float


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice under its preliminary name: seconds of its turns and its vector [d] of unit length."""

    name: str
    seconds: float
    vector: NDArray[np.float32]


@dataclass(slots=True)
class Assembled:
    """The transcript of a part and its features, [n, d] float16, with one span for each chunk."""

    speech: Speech
    features: NDArray[np.float16]
    spans: tuple[FeatureSpan, ...]


def assemble(channels: Sequence[Listener], offset: float, duration: float, speakers: SpeakerConfig | None) -> Assembled:
    """Join the channels of a part that starts at ``offset`` seconds of its asset."""
    voices: list[Voice] = []
    chunks: list[tuple[Chunk, list[HeardWord], int]] = []
    for number, channel in enumerate(channels):
        words = _words(channel, offset)
        if speakers is not None:
            # A channel of a call is one speaker; only a mix has to be told apart.
            known = speakers if len(channels) == 1 else speakers.model_copy(update={"count": 1})
            words, own = _with_speakers(words, channel, known, offset, f"{number}:")
            voices += own
        at = 0
        made = contiguous(chunks_of([word.word for word in words], [word.spaced for word in words]))
        for chunk in made:
            chunks.append((chunk, words[at : at + len(chunk.words)], number))
            at += len(chunk.words)
    chunks.sort(key=lambda entry: entry[0].start)
    labels = _labels([entry[0] for entry in chunks], voices if chunks else ())
    final = [_relabel(entry[0], labels) for entry in chunks]
    language, confidence = _language(channels)
    speech = Speech(
        text=readable(final),
        language=language if final else "",
        language_confidence=round(confidence, 4) if final else 0.0,
        duration=round(duration, 3),
        chunks=tuple(final),
        speakers=_speakers(voices, labels),
    )
    features, spans = _features(channels, chunks)
    return Assembled(speech, features, spans)


def _words(channel: Listener, offset: float) -> list[HeardWord]:
    words: list[HeardWord] = []
    for index, (window, transcript) in enumerate(channel.transcripts):
        for word in transcript.words:
            start, end = _voiced(*window.to_part(word.start, word.end), channel.regions)
            spoken = SpokenWord(
                word.text.strip(), round(start + offset, 3), round(end + offset, 3), round(word.confidence, 4)
            )
            words.append(HeardWord(spoken, word.text.startswith(" "), index, word.start, word.end))
    return words


def _voiced(start: float, end: float, regions: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """A word's span without the silence at its ends: the warping lets the first and last words run into pauses."""
    first = bisect_right(regions, start, key=lambda region: region[1])
    last = bisect_left(regions, end, key=lambda region: region[0]) - 1
    if first > last:  # no voice in it at all
        return start, end
    start, end = max(start, regions[first][0] - 0.05), min(end, regions[last][1] + 0.1)
    return start, max(start, end)


def _with_speakers(
    words: list[HeardWord], channel: Listener, config: SpeakerConfig, offset: float, prefix: str
) -> tuple[list[HeardWord], list[Voice]]:
    """Give every word to a speaker. Labels are preliminary until all channels are joined."""
    found = find_turns(channel.regions, channel.heard, config)
    if not found.turns:  # the networks failed before a first batch of voices was heard
        return words, []
    named = []
    for heard in words:
        word = heard.word
        speaker = speaker_of(word.start - offset, word.end - offset, found.turns)
        spoken = SpokenWord(word.text, word.start, word.end, word.confidence, f"{prefix}{speaker}")
        named.append(HeardWord(spoken, heard.spaced, heard.window, heard.window_start, heard.window_end))
    seconds = [0.0] * len(found.voices)
    for turn in found.turns:
        seconds[turn.speaker] += turn.stop - turn.start
    heard_voices = [Voice(f"{prefix}{index}", seconds[index], found.voices[index]) for index in range(len(seconds))]
    return named, heard_voices


def _labels(chunks: Sequence[Chunk], voices: Sequence[Voice]) -> dict[str, str]:
    """SPEAKER_00, SPEAKER_01, ... in order of first word; voices without a word that was understood come last."""
    spoken = [chunk.speaker for chunk in chunks if chunk.speaker is not None]
    order = dict.fromkeys([*spoken, *(voice.name for voice in voices if voice.seconds > 0)])
    return {name: f"SPEAKER_{index:02d}" for index, name in enumerate(order)}


def _relabel(chunk: Chunk, labels: dict[str, str]) -> Chunk:
    if chunk.speaker is None:
        return chunk
    label = labels[chunk.speaker]
    words = tuple(SpokenWord(w.text, w.start, w.end, w.confidence, label) for w in chunk.words)
    return Chunk(chunk.text, chunk.start, chunk.end, chunk.confidence, label, words)


def _speakers(voices: Sequence[Voice], labels: dict[str, str]) -> tuple[Speaker, ...]:
    """The voices under their labels. Where nothing was understood there was no speech, so nobody spoke."""
    speakers = [
        Speaker(labels[voice.name], round(voice.seconds, 3), tuple(round(float(x), 5) for x in voice.vector))
        for voice in voices
        if voice.name in labels
    ]
    return tuple(sorted(speakers, key=lambda speaker: speaker.speaker))


def _language(channels: Sequence[Listener]) -> tuple[str, float]:
    heard = max(channels, key=lambda channel: channel.belief.seconds)
    return heard.belief.verdict()


def _features(
    channels: Sequence[Listener], chunks: Sequence[tuple[Chunk, list[HeardWord], int]]
) -> tuple[NDArray[np.float16], tuple[FeatureSpan, ...]]:
    rows: list[NDArray[np.float16]] = []
    spans: list[FeatureSpan] = []
    at = 0
    for item, (_, words, channel) in enumerate(chunks):
        size = 0
        for window in dict.fromkeys(word.window for word in words):
            output = channels[channel].transcripts[window][1].features
            if output is None:
                return np.zeros((0, 0), np.float16), ()
            own = [word for word in words if word.window == window]
            first = max(0, int(own[0].window_start * FRAMES_PER_SECOND))
            last = min(len(output), max(first + 1, int(np.ceil(own[-1].window_end * FRAMES_PER_SECOND))))
            rows.append(output[first:last])
            size += last - first
        spans.append(FeatureSpan(item, at, at + size))
        at += size
    if not rows:
        return np.zeros((0, 0), np.float16), ()
    return np.concatenate(rows), tuple(spans)
