"""Words to chunks: at most one sentence or breath long, one speaker each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from encoders.results import Chunk, SpokenWord

_BREATH = 0.7  # a pause this long ends a chunk
_LONGEST = 15.0
_EDGE = 0.2  # seconds that a chunk reaches beyond its words: these begin and end where their voice is clear
_SENTENCE_END = ".。!！?？…"


def chunks_of(words: Sequence[SpokenWord], spaced: Sequence[bool]) -> list[Chunk]:
    """Group words, in order of time, into chunks. ``spaced[i]`` says whether a space stands before word i."""
    groups: list[list[int]] = []
    for index, word in enumerate(words):
        before = words[groups[-1][-1]] if groups else None
        if before is None or _breaks(before, word, words[groups[-1][0]].start):
            groups.append([])
        groups[-1].append(index)
    return [_chunk([words[i] for i in group], [spaced[i] for i in group]) for group in groups]


def _breaks(before: SpokenWord, word: SpokenWord, start: float) -> bool:
    return (
        before.speaker != word.speaker
        or before.text[-1:] in _SENTENCE_END
        or word.start - before.end > _BREATH
        or word.end - start > _LONGEST
    )


def _chunk(words: list[SpokenWord], spaced: list[bool]) -> Chunk:
    text = "".join((" " if space else "") + word.text for word, space in zip(words, spaced)).strip()
    confidence = sum(word.confidence for word in words) / len(words)
    end = max(word.end for word in words)
    return Chunk(text, words[0].start, end, round(confidence, 4), words[0].speaker, tuple(words))


def contiguous(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Chunks of one turn made to touch: a breath between two of them is shared; elsewhere they get a small edge."""
    result = []
    for index, chunk in enumerate(chunks):
        start, end = chunk.start - _EDGE, chunk.end + _EDGE
        if index > 0:
            start = _border(chunks[index - 1], chunk, start)
        if index + 1 < len(chunks):
            end = _border(chunk, chunks[index + 1], end)
        result.append(replace(chunk, start=round(max(0.0, start), 3), end=round(end, 3)))
    return result


def _border(before: Chunk, after: Chunk, wanted: float) -> float:
    """Where one of two neighbours ends or begins; ``wanted`` holds where they are apart."""
    gap = after.start - before.end
    if gap < 2 * _EDGE or (before.speaker == after.speaker and gap <= _BREATH):
        return before.end + gap / 2
    return wanted


def readable(chunks: Sequence[Chunk]) -> str:
    """The text of a part: sentences run on, a change of speaker or a long pause starts a new line."""
    lines: list[str] = []
    before: Chunk | None = None
    for chunk in chunks:
        runs_on = before is not None and chunk.speaker == before.speaker and chunk.start - before.end < 3.0
        if runs_on:
            lines[-1] += _glue(lines[-1], chunk.text) + chunk.text
        else:
            lines.append(chunk.text)
        before = chunk
    return "\n".join(lines)


def _glue(before: str, after: str) -> str:
    """A space between sentences, except in scripts that are written without."""
    return "" if _unspaced(before[-1:]) and _unspaced(after[:1]) else " "


def _unspaced(sign: str) -> bool:
    return "\u3000" <= sign <= "\u9fff" or "\uff00" <= sign <= "\uffef"
