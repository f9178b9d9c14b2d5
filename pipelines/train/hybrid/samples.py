"""What training and evaluation samples are made of: pages as they are to be printed, recordings as they are to be
spoken, and questions with their answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.train.script.render import Face

REFUSAL = "not in the document"
"""The answer to a question that the input does not answer; in JSON null, or "" where the schema wants a string."""


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """One printed run of text, as a detector would box it: cells of a table and the two ends of a row are lines of
    their own. ``box`` is left, top, right, bottom in page pixels, measured with the face."""

    text: str
    box: tuple[float, float, float, float]
    face: Face
    size: int  # pixels
    script: str = "Latn"  # ISO 15924


@dataclass(frozen=True, slots=True)
class PagePlan:
    """A page before it is drawn. ``rules`` are drawn lines (x0, y0, x1, y1), as of a table."""

    width: int
    height: int
    lines: tuple[PrintedLine, ...]
    rules: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch of speech of one speaker in a recording; seconds are known once it has been synthesised."""

    speaker: str  # SPEAKER_00, SPEAKER_01
    text: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True, slots=True)
class Task:
    """A question, a JSON schema (as text), or both, with the answer exactly as the decoder should write it.

    ``kind``: field, table, where, layout, count, compare, extreme, list, read, who, when, merge, json, unanswerable.
    ``accepted``: other spellings that an evaluation takes for right.
    """

    kind: str
    question: str | None
    schema: str | None
    answer: str
    accepted: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether the input holds an answer."""
        return self.kind != "unanswerable"


@dataclass(frozen=True, slots=True)
class Sample:
    """One or two inputs (documents of one or more pages, recordings) and what is asked about them together.

    ``language`` is ISO 639-1. ``held_out``: of a layout, font or language that training never sees.
    """

    seed: int
    kind: str  # invoice, receipt, form, letter, table, identity, statement, report, records, call, pair, lines
    language: str
    layout: str
    documents: tuple[tuple[PagePlan, ...], ...] = ()
    recordings: tuple[tuple[Turn, ...], ...] = ()
    tasks: tuple[Task, ...] = ()
    held_out: bool = False
    notes: dict[str, str] = field(default_factory=dict)  # fields by name, for reports of an evaluation


READ_ALOUD = (
    "Read the document aloud, word by word.",
    "Write down the text of the document.",
    "What does the document say, word for word?",
    "Transcribe everything.",
)
"""Questions whose answer is the whole text, its lines parted by single spaces; an evaluation asks the first."""
