"""Documents with a known truth: what every line is, the order of paragraphs, and every cell of every table.

`generate(seed)` sets a document with a composer of its own (lines broken and hyphenated here, so the truth is exact)
and returns the PDF with the truth of each page. The same seed gives the same document. Styles come in two
disjoint families: tune on ``held_out=False``, report on ``held_out=True``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pymupdf

from benchmarks.generated_tables import TableTruth, place_table, plan_table
from benchmarks.generated_text import Prose, hyphen_points

Box = tuple[float, float, float, float]


@dataclass
class LineTruth:
    text: str
    role: str
    box: Box  # points
    paragraph: int  # index into the page's paragraphs; -1 in the margins


@dataclass
class ParagraphTruth:
    role: str
    text: str  # "" for a table: see tables
    table: int = -1


@dataclass
class Undecided:
    """A column end at which the page does not show whether the paragraph ends: paragraphs are parted by gaps, and the
    column's last line is full and ends a sentence. The truth is one reading; this is the other.

    Either ``paragraph`` might be two, parted after ``lines`` of its lines, with the ``between`` blocks that follow it
    (footnotes) between them; or ``paragraph`` and the one ``between`` + 1 before it might be one (``lines`` 0).
    """

    paragraph: int
    lines: int
    between: int


@dataclass
class PageTruth:
    """One page: ``paragraphs`` in reading order, margins apart; lines in reading order with theirs."""

    width: float
    height: float
    lines: list[LineTruth] = field(default_factory=list)
    paragraphs: list[ParagraphTruth] = field(default_factory=list)
    tables: list[TableTruth] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)


@dataclass
class GeneratedDocument:
    pdf: bytes
    pages: list[PageTruth]
    style: Style


@dataclass
class Style:
    """How a document looks."""

    width: float
    height: float
    margin: float
    columns: int
    gutter: float
    font: str
    bold: str
    size: float
    leading: float
    justify: bool
    hyphens: bool
    indent: float  # of a paragraph's first line, in em; 0: paragraphs are parted by a gap
    heading: float  # size over body
    heading_numbers: bool
    header: str  # none | title | title and number
    footer: str  # none | number | text | text and number
    language: str


FONTS = {False: [("helv", "hebo"), ("tiro", "tibo")], True: [("tiro", "tibo"), ("helv", "hebo"), ("cour", "cobo")]}
SYSTEM_FONTS = [  # of the held-out family where installed; Liberation's hyphens come out as drawn soft hyphens
    ("/usr/share/fonts/truetype/noto/NotoSerif-Regular.ttf", "/usr/share/fonts/truetype/noto/NotoSerif-Bold.ttf"),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"),
    (
        "/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf",
        "/usr/share/fonts/truetype/dejavu/DejaVuSerif-Bold.ttf",
    ),
    (
        "/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf",
        "/usr/share/fonts/truetype/liberation/LiberationSerif-Bold.ttf",
    ),
    (
        "/usr/share/fonts/truetype/liberation/LiberationSansNarrow-Regular.ttf",
        "/usr/share/fonts/truetype/liberation/LiberationSansNarrow-Bold.ttf",
    ),
]


def random_style(
    rng: random.Random, *, held_out: bool, columns: int | None = None, language: str | None = None
) -> Style:
    """A style of one family."""
    language = language or rng.choice(
        ["en", "en", "en", "de", "fr", "zh"] if held_out else ["en", "en", "en", "de", "fr"]
    )
    columns = columns or rng.choice([1, 2, 2, 3])
    width, height = rng.choice([(612, 792), (595, 842)] if held_out else [(595, 842)])
    font, bold = rng.choice(FONTS[held_out])
    installed = [pair for pair in SYSTEM_FONTS if Path(pair[0]).exists() and Path(pair[1]).exists()]
    if held_out and installed and rng.random() < 0.5:
        font, bold = rng.choice(installed)
    size = rng.choice([9, 10, 11, 12]) - (columns - 1) * 0.5
    if held_out:
        size += 0.3
    if font == "cour" and columns > 1:
        font, bold = "helv", "hebo"
    justify = rng.random() < 0.6
    return Style(
        width, height, rng.uniform(42, 66) if columns > 1 else rng.uniform(56, 90),
        columns, rng.uniform(14, 26), font, bold,
        size, rng.uniform(1.15, 1.45), justify, language != "zh" and rng.random() < 0.75,
        rng.choice([0, 0, 1.2, 1.6]) if language != "zh" else 2.0, rng.uniform(1.2, 1.5), rng.random() < 0.4,
        rng.choice(["none", "title", "title and number"]),
        rng.choice(["none", "number", "text", "text and number", "number"]),
        language,
    )  # fmt: skip


@dataclass
class SetLine:
    text: str
    words: list[str]
    last: bool
    joint: str = " "  # how it goes on: a space, a hyphen to undo (soft), a hyphen to keep (hard), or nothing


class Composer:
    """Sets elements into columns, page after page."""

    def __init__(self, style: Style, rng: random.Random) -> None:
        self.style, self.rng = style, rng
        self.prose = Prose(rng, style.language)
        self.pdf = pymupdf.open()
        self.regular, self.bold = _font(style.font, style.language), _font(style.bold, style.language)
        self.pages: list[PageTruth] = []
        self.section = 0
        self.note = 0
        self.running = self.prose.title(4)
        self.running_foot = f"{self.prose.title(3)} {rng.randint(1990, 2024)}"

    # -- measuring and breaking ----------------------------------------------------------------------------------------

    def measure(self, text: str, size: float, bold: bool = False) -> float:
        return (self.bold if bold else self.regular).text_length(text, fontsize=size)

    def wrap(
        self, text: str, width: float, size: float, *, bold: bool = False, first: float = 0.0, hyphens: bool = False
    ) -> list[SetLine]:
        """Greedy line breaking; ``first`` is the indent of the first line."""
        if self.style.language == "zh":
            return self._wrap_ideographs(text, width, size, bold, first)
        lines: list[SetLine] = []
        current: list[str] = []
        words = text.split(" ")
        while words:
            word = words.pop(0)
            room = width - (first if not lines else 0.0)
            if self.measure(" ".join([*current, word]), size, bold) <= room:
                current.append(word)
                continue
            cut = self._cut(current, word, room, size, bold) if hyphens else None
            joint = " "
            if cut:
                current.append(cut[0])
                words.insert(0, cut[1])
                joint = cut[2]
            elif current:
                words.insert(0, word)
            else:
                current.append(word)
            lines.append(SetLine(" ".join(current), current, False, joint))
            current = []
        if current:
            lines.append(SetLine(" ".join(current), current, True))
        else:
            lines[-1].last = True
        return lines

    def _cut(self, current: list[str], word: str, room: float, size: float, bold: bool) -> tuple[str, str, str] | None:
        """A word cut at a hyphen of its own, or at a hyphenation point, such that its head still fits."""
        tail = word[len(word.rstrip(".,;:()")) :]
        core = word[: len(word) - len(tail)]
        points = [(core[: i + 1], core[i + 1 :], "hard") for i, letter in enumerate(core) if letter == "-" and i > 2]
        points += [(core[:i] + "-", core[i:], "soft") for i in hyphen_points(core)]
        fitting = [p for p in points if self.measure(" ".join([*current, p[0]]), size, bold) <= room]
        if not fitting or not current:
            return None
        head, rest, joint = max(fitting, key=lambda p: len(p[0]))
        return head, rest + tail, joint

    def _wrap_ideographs(self, text: str, width: float, size: float, bold: bool, first: float) -> list[SetLine]:
        lines: list[SetLine] = []
        current = ""
        for index, char in enumerate(text):
            room = width - (first if not lines else 0.0)
            follows = text[index + 1 : index + 2]
            if (
                current
                and self.measure(current + char + (follows if follows in "，。" else ""), size, bold) > room
                and char not in "，。"
            ):
                lines.append(SetLine(current, [current], False, ""))
                current = ""
            current += char
        lines.append(SetLine(current, [current], True))
        return lines

    # -- drawing -------------------------------------------------------------------------------------------------------

    def text(self, text: str, x: float, y: float, size: float, *, bold: bool = False) -> Box:
        """Draw one string with its baseline at y; returns its box."""
        writer = pymupdf.TextWriter(self.page.rect)
        writer.append((x, y), text, font=self.bold if bold else self.regular, fontsize=size)
        writer.write_text(self.page)
        return (x, y - 0.75 * size, x + self.measure(text, size, bold), y + 0.22 * size)

    def line(
        self, line: SetLine, x: float, y: float, width: float, size: float, *, justify: bool, bold: bool = False
    ) -> Box:
        if not justify or line.last or len(line.words) < 2:
            return self.text(line.text, x, y, size, bold=bold)
        used = sum(self.measure(word, size, bold) for word in line.words)
        space = (width - used) / (len(line.words) - 1)
        if space > 1.1 * size:
            return self.text(line.text, x, y, size, bold=bold)
        writer = pymupdf.TextWriter(self.page.rect)
        at = x
        for word in line.words:
            writer.append((at, y), word, font=self.bold if bold else self.regular, fontsize=size)
            at += self.measure(word, size, bold) + space
        writer.write_text(self.page)
        return (x, y - 0.75 * size, x + width, y + 0.22 * size)

    def new_page(self) -> None:
        style = self.style
        self.page = self.pdf.new_page(width=style.width, height=style.height)
        self.truth = PageTruth(style.width, style.height)
        self.pages.append(self.truth)
        number = len(self.pages)
        self.foot: list[LineTruth] = []
        small = max(style.size - 1.0, 7)
        left, right = style.margin, style.width - style.margin
        y = style.margin * 0.55
        if "title" in style.header:
            box = self.text(self.running, left, y, small)
            self.truth.lines.append(LineTruth(self.running, "header", box, -1))
        if "number" in style.header and "number" not in style.footer:
            self._number(str(number), right - self.measure(str(number), small), y, small, self.truth.lines)
        y = style.height - style.margin * 0.5
        if "text" in style.footer:
            box = self.text(self.running_foot, left, y, small)
            self.foot.append(LineTruth(self.running_foot, "footer", box, -1))
        if "number" in style.footer:
            label = {0: f"{number}", 1: f"Page {number}", 2: f"- {number} -"}[len(self.running) % 3]
            wide = self.measure(label, small)
            x = right - wide if "text" in style.footer else (style.width - wide) / 2
            self._number(label, x, y, small, self.foot)

    def _number(self, text: str, x: float, y: float, size: float, lines: list[LineTruth]) -> None:
        lines.append(LineTruth(text, "page_number", self.text(text, x, y, size), -1))

    def finish_page(self) -> None:
        self.truth.lines.extend(self.foot)


def _font(name: str, language: str) -> pymupdf.Font:
    if language == "zh":
        return pymupdf.Font("china-s")
    return pymupdf.Font(fontfile=name) if name.startswith("/") else pymupdf.Font(name)


def generate(
    seed: int,
    *,
    pages: int = 1,
    held_out: bool = False,
    columns: int | None = None,
    language: str | None = None,
    tables: bool = False,
) -> GeneratedDocument:
    """A document of ``pages`` pages, full of text: headings, paragraphs, lists, captions, footnotes, with
    ``tables`` tables as well."""
    from benchmarks.generated_flow import set_document

    rng = random.Random(f"{'held' if held_out else 'tune'}-{seed}")
    style = random_style(rng, held_out=held_out, columns=columns, language=language)
    composer = Composer(style, rng)
    set_document(composer, pages, tables)
    return GeneratedDocument(composer.pdf.tobytes(garbage=3, deflate=True), composer.pages, style)


def generate_table_page(seed: int, kind: str, *, spans: bool = False, held_out: bool = False) -> GeneratedDocument:
    """A page of one column with a table of the given kind (ruled, rows, unruled) between paragraphs."""
    for attempt in range(50):
        rng = random.Random(f"{'held' if held_out else 'tune'}-table-{kind}-{spans}-{seed}-{attempt}")
        style = random_style(rng, held_out=held_out, columns=1, language=rng.choice(["en", "de", "fr"]))
        composer = Composer(style, rng)
        composer.new_page()
        if _set_table_page(composer, kind, spans):
            break
    composer.finish_page()
    return GeneratedDocument(composer.pdf.tobytes(garbage=3, deflate=True), composer.pages, style)


def _set_table_page(composer: Composer, kind: str, spans: bool) -> bool:
    """A paragraph or two, the table, more paragraphs; False when the table does not fit."""
    from benchmarks.generated_flow import Flowing, Full

    rng, style = composer.rng, composer.style
    flow = Flowing(composer, pages=1)
    try:
        flow.paragraph()
        if rng.random() < 0.5:
            flow.heading()
            flow.paragraph()
        size = rng.choice([style.size, style.size - 1])
        flow.table(plan_table(rng, composer.prose, kind, spans=spans, size=size), caption=rng.random() < 0.5)
        flow.paragraph()
        flow.paragraph()
    except Full:
        flow.flush()
    return bool(composer.truth.tables)


__all__ = [
    "Composer",
    "GeneratedDocument",
    "LineTruth",
    "PageTruth",
    "ParagraphTruth",
    "Style",
    "Undecided",
    "generate",
    "generate_table_page",
    "place_table",
]
