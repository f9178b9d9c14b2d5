"""Chunks of speech as SRT subtitles: lines that fit a screen, cues that can be read in their time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from encoders.results import Chunk, SpokenWord

LINE = 42  # columns; what broadcasters allow, and a wide sign counts as two
LINES = 2
LONGEST = 7.0  # seconds of one cue
SHORTEST = 0.8  # seconds; a cue that is shorter stays on until the next one begins


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle."""

    start: float
    end: float
    lines: tuple[str, ...]


def subtitles(chunks: Sequence[Chunk]) -> str:
    """An SRT file; the speaker's label stands before the first line of each of their turns."""
    cues = _readable(list(_cues(chunks)))
    return "\n".join(
        f"{number}\n{_time(cue.start)} --> {_time(cue.end)}\n" + "\n".join(cue.lines) + "\n"
        for number, cue in enumerate(cues, 1)
    )


def _cues(chunks: Sequence[Chunk]) -> Iterator[Cue]:
    speaker: str | None = None
    several = len({chunk.speaker for chunk in chunks}) > 1
    for chunk in chunks:
        label = f"{chunk.speaker}: " if several and chunk.speaker and chunk.speaker != speaker else ""
        speaker = chunk.speaker
        for words in _portions(chunk, label):
            text = label + "".join(_spaced(word.text, index) for index, word in enumerate(words))
            yield Cue(words[0].start, max(words[-1].end, words[0].start), tuple(_wrapped(text)))
            label = ""


def _portions(chunk: Chunk, label: str) -> Iterator[list[SpokenWord]]:
    """Words of a chunk in groups that fit one cue each; a group ends rather after a stop or comma."""
    words = [word for word in chunk.words or _timed(chunk) if word.text.strip()]
    while words:
        count = _fitting(words, label)
        if count < len(words):
            stops = [i + 1 for i in range(count) if words[i].text.rstrip()[-1:] in ".,;:?!…。，、？！؟،"]
            late = [stop for stop in stops if stop >= count * 0.5]
            count = late[-1] if late else count
        yield words[:count]
        words, label = words[count:], ""


def _timed(chunk: Chunk) -> list[SpokenWord]:
    """A chunk without words as words of even pace."""
    texts = chunk.text.split() or [chunk.text]
    step = (chunk.end - chunk.start) / len(texts)
    return [
        SpokenWord(text, chunk.start + i * step, chunk.start + (i + 1) * step, chunk.confidence, chunk.speaker)
        for i, text in enumerate(texts)
    ]


def _fitting(words: Sequence[SpokenWord], label: str) -> int:
    """How many words fit a cue; at least one."""
    text = label
    for index, word in enumerate(words):
        text += _spaced(word.text, index)
        too_long = word.end - words[0].start > LONGEST or len(_wrapped(text)) > LINES
        if index and too_long:
            return index
    return len(words)


def _spaced(text: str, index: int) -> str:
    """A word with the space before it; recognisers of unspaced scripts give words that touch."""
    bare = text.strip()
    touches = unicodedata.east_asian_width(bare[0]) in "WF" if bare else True
    return bare if index == 0 or (touches and not text.startswith(" ")) else f" {bare}"


def _wrapped(text: str) -> list[str]:
    """Text in lines of at most ``LINE`` columns where words allow it; two lines are of about one length."""
    lines = _filled(text, LINE)
    if len(lines) == 2:
        for width in range(_width(text) // 2, LINE):
            even = _filled(text, width)
            if len(even) == 2:
                return even
    return lines


def _filled(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if _width(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for sign in word:  # a word wider than the line, or a run without spaces
            if _width(lines[-1]) + _width(sign) > width and _width(word) > width:
                lines.append("")
            lines[-1] += sign
    return lines


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(s) else 2 if unicodedata.east_asian_width(s) in "WF" else 1 for s in text)


def _readable(cues: list[Cue]) -> Iterator[Cue]:
    """No cue ends after the next begins, and short ones stay on while nothing follows."""
    cues.sort(key=lambda cue: cue.start)
    for index, cue in enumerate(cues):
        following = cues[index + 1].start if index + 1 < len(cues) else float("inf")
        end = min(max(cue.end, cue.start + SHORTEST), max(following, cue.start + 0.05))
        yield Cue(cue.start, end, cue.lines)


def _time(seconds: float) -> str:
    total = max(0, round(seconds * 1000))
    return f"{total // 3_600_000:02d}:{total // 60_000 % 60:02d}:{total // 1000 % 60:02d},{total % 1000:03d}"
