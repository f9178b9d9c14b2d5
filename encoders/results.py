"""What the encoders return: pages, lines, words and tables; chunks, words and speakers; detected objects.

Every box is a `Quad`: four corners (x, y) in page pixels, clockwise from the top left of the text as it is
read, flattened to eight floats. Times are seconds from the start of the asset. Confidences lie in 0..1.
These types say the same as the Arrow schema of the tables; `asdict` turns one into a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Quad = tuple[float, float, float, float, float, float, float, float]
"""x, y of top left, top right, bottom right, bottom left."""


def quad(x0: float, y0: float, x1: float, y1: float) -> Quad:
    """The axis-aligned quad of a box given by its left, top, right and bottom."""
    return (x0, y0, x1, y0, x1, y1, x0, y1)


def extent(corners: Sequence[float]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a quad."""
    xs, ys = corners[0::2], corners[1::2]
    return min(xs), min(ys), max(xs), max(ys)


class Role(StrEnum):
    """What a line is on its page. Headers, footers and page numbers stay out of a page's text."""

    HEADING = "heading"
    BODY = "body"
    LIST = "list"
    TABLE = "table"
    CAPTION = "caption"
    HEADER = "header"
    FOOTER = "footer"
    PAGE_NUMBER = "page_number"
    FOOTNOTE = "footnote"


@dataclass(frozen=True, slots=True)
class Word:
    """One word as printed."""

    text: str
    quad: Quad
    confidence: float


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line. Lines of a page stand in reading order; ``paragraph`` counts from 0 within the page."""

    text: str
    quad: Quad
    confidence: float
    words: tuple[Word, ...] = ()
    role: Role = Role.BODY
    paragraph: int = 0
    script: str = "Latn"  # ISO 15924


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table; ``row`` and ``column`` count from 0, spans from 1."""

    row: int
    column: int
    row_span: int
    column_span: int
    text: str
    quad: Quad


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its box, its grid and its cells, row by row."""

    quad: Quad
    rows: int
    columns: int
    cells: tuple[Cell, ...]
    continues: bool = False  # its first row follows the last table of the page before


@dataclass(frozen=True, slots=True)
class Page:
    """One page or image. ``page`` counts from 1 within the asset; pixels are those of ``width`` x ``height``,
    after turning by ``rotation`` degrees clockwise (0, 90, 180, 270) from how the file shows it."""

    page: int
    width: int
    height: int
    source: str  # ocr | text_layer
    text: str = ""
    lines: tuple[Line, ...] = ()
    tables: tuple[Table, ...] = ()
    rotation: int = 0


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word as spoken; ``speaker`` is None when speakers were not asked for."""

    text: str
    start: float
    end: float
    confidence: float
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of speech of one speaker, at most one sentence or breath long."""

    text: str
    start: float
    end: float
    confidence: float
    speaker: str | None = None
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice heard in the part: label, seconds spoken, and a unit-length embedding that matches it across parts."""

    speaker: str  # SPEAKER_00, SPEAKER_01, ... in order of first word
    seconds: float
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Speech:
    """The transcript of one part of a recording."""

    text: str
    language: str  # ISO 639-1, "" when there is no speech
    language_confidence: float
    duration: float  # seconds of audio in the part
    chunks: tuple[Chunk, ...] = ()
    speakers: tuple[Speaker, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """A detected object or interface element."""

    label: str
    quad: Quad
    confidence: float
    page: int = 1


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What `ocr` returns for a part."""

    pages: tuple[Page, ...] = field(default=())
