"""Pages and recordings as encoders return them, from plain text."""

from __future__ import annotations

from encoders.results import Chunk, DocumentResult, Line, Page, Speech, SpokenWord, Word, quad


def line(text: str, top: float, paragraph: int, left: float = 50, confidence: float = 0.9) -> Line:
    words, x = [], left
    for word in text.split():
        words.append(Word(word, quad(x, top, x + 10 * len(word), top + 20), confidence))
        x += 10 * len(word) + 10
    return Line(text, quad(left, top, x - 10, top + 20), confidence, tuple(words), paragraph=paragraph)


def document(*pages: list[str]) -> DocumentResult:
    """Every string is a paragraph of one line, 40 pixels below the one before."""
    return DocumentResult(
        tuple(
            Page(number, 800, 1100, "ocr", "\n\n".join(texts), tuple(line(t, 40 * i, i) for i, t in enumerate(texts)))
            for number, texts in enumerate(pages, 1)
        )
    )


def speech(*turns: tuple[str, str]) -> Speech:
    """Turns of (speaker, text), one word a second."""
    chunks, clock = [], 0.0
    for speaker, text in turns:
        words = [SpokenWord(w, clock + i, clock + i + 0.8, 0.8, speaker) for i, w in enumerate(text.split())]
        chunks.append(Chunk(text, words[0].start, words[-1].end, 0.8, speaker, tuple(words)))
        clock += len(words)
    return Speech(" ".join(t for _, t in turns), "en", 0.99, clock, tuple(chunks))
