"""What generated documents consist of, and how it flows through columns and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.generated_pages import LineTruth, ParagraphTruth, Undecided
from benchmarks.generated_tables import TablePlan, place_table, plan_table

if TYPE_CHECKING:
    from benchmarks.generated_pages import Composer, PageTruth, SetLine


class Full(Exception):
    """The last column of the last page is full."""


def joined(lines: Sequence[SetLine]) -> str:
    """The text of consecutive lines: what a reader makes of them."""
    text = ""
    for i, line in enumerate(lines):
        last = i == len(lines) - 1
        if last or line.joint in ("hard", ""):
            text += line.text
        elif line.joint == "soft":
            text += line.text[:-1]
        else:
            text += line.text + " "
    return text


class Flowing:
    """A cursor that goes down columns, to the next column, to the next page. Raises `Full` at the end."""

    def __init__(self, composer: Composer, pages: int) -> None:
        self.c, self.left_pages = composer, pages - 1
        self.style, self.rng = composer.style, composer.rng
        self.deferred: list[tuple[list[tuple[SetLine, tuple[float, float, float, float]]], str]] = []
        self.figure = 0
        self.began = 0  # the column in which the paragraph began that was set last
        self.ended: tuple[PageTruth, int, SetLine, float, int] | None = None  # the body paragraph set last, its end
        self.band(1)

    # -- frames --------------------------------------------------------------------------------------------------------

    def band(self, columns: int, top: float | None = None, bottom: float | None = None) -> None:
        """Begin a band of so many columns at ``top`` (the top margin when None)."""
        style = self.style
        self.columns, self.column, self.note = columns, -1, []
        self.top = style.margin if top is None else top
        self.bottom = style.height - style.margin if bottom is None else bottom
        gutter = style.gutter if columns > 1 else 0.0
        self.width = (style.width - 2 * style.margin - gutter * (columns - 1)) / columns
        self._next_column()

    def _next_column(self) -> None:
        self._draw_note()
        self.column += 1
        if self.column >= self.columns:
            raise Full
        self.x = self.style.margin + self.column * (self.width + (self.style.gutter if self.columns > 1 else 0.0))
        self.y = self.top
        self.floor = self.bottom
        self.note: list[SetLine] = []
        tall = self.bottom - self.top > 0.6 * self.style.height
        if self.columns == self.style.columns and tall and self.style.language != "zh" and self.rng.random() < 0.25:
            self._reserve_note()

    def _advance(self, *, within: bool = False) -> None:
        """To the next column or page; ``within`` a paragraph, a footnote is recorded after it."""
        try:
            self._next_column()
        except Full:
            if self.left_pages <= 0:
                raise
            self.left_pages -= 1
            self.flush()
            self.c.finish_page()
            self.c.new_page()
            self.band(self.columns)
        if not within:
            self.flush()

    def _reserve_note(self) -> None:
        self.c.note += 1
        size = self.style.size * 0.8
        text = f"{self.c.note} {self.c.prose.sentence()}"
        self.note = self.c.wrap(text, self.width, size)
        self.floor = self.bottom - len(self.note) * size * 1.2 - self.style.size * 1.2

    def _draw_note(self) -> None:
        note, self.note = getattr(self, "note", []), []
        if not note:
            return
        size = self.style.size * 0.8
        y = self.bottom - (len(note) - 1) * size * 1.2
        rule = y - size * 1.3
        self.c.page.draw_line((self.x, rule), (self.x + self.width * 0.35, rule), width=0.5)
        placed = [
            (line, self.c.line(line, self.x, y + i * size * 1.2, self.width, size, justify=False))
            for i, line in enumerate(note)
        ]
        self.deferred.append((placed, "footnote"))

    def flush(self) -> None:
        for placed, role in self.deferred:
            self._truth(placed, role)
        self.deferred = []

    def _truth(self, placed: Sequence[tuple[SetLine, tuple[float, float, float, float]]], role: str) -> None:
        truth = self.c.truth
        truth.paragraphs.append(ParagraphTruth(role, joined([line for line, _ in placed])))
        for line, box in placed:
            truth.lines.append(LineTruth(line.text, role, box, len(truth.paragraphs) - 1))

    # -- elements ------------------------------------------------------------------------------------------------------

    def place(
        self, lines: Sequence[SetLine], role: str, size: float, *,
        indent: float = 0.0, hang: float = 0.0, bold: bool = False,
        justify: bool = False, centred: bool = False, leading: float | None = None,
    ) -> None:  # fmt: skip
        """Set lines one under another, over columns and pages; they are one paragraph on each page."""
        lead = size * (leading or self.style.leading)
        placed: list = []
        left = list(lines)
        cuts: list[tuple[int, int]] = []
        try:
            while left:
                room = int((self.floor - self.y) / lead)
                need = 1 if placed or len(left) == 1 else 2
                widow = len(left) == room + 1 and room >= 2 and len(left) > 2
                if room < need or (widow and room <= len(left) - 1 and room == 1):
                    page = self.c.truth
                    if placed and self.column + 1 >= self.columns and self.left_pages > 0:
                        self._truth(placed, role)
                        placed, cuts = [], []
                    if placed and role == "body" and self._full(placed[-1][0], self.width, justify):
                        cuts.append((len(placed), len(self.deferred) + bool(self.note)))
                    self._advance(within=bool(placed))
                    if page is not self.c.truth:
                        continue
                    continue
                count = min(len(left), room - 1 if widow else room)
                if not placed:
                    self.began = self.column
                for line in left[:count]:
                    inset = indent if line is lines[0] else hang
                    width = self.width - inset
                    x = self.x + inset
                    if centred:
                        x += (width - self.c.measure(line.text, size, bold)) / 2
                    placed.append(
                        (line, self.c.line(line, x, self.y + size * 0.9, width, size, justify=justify, bold=bold))
                    )
                    self.y += lead
                left = left[count:]
                if left and widow:
                    self.floor = self.y
        finally:
            if placed:
                self._truth(placed, role)
                self._undecided(lines[0], role, [cut for cut in cuts if cut[0] < len(placed)], justify)
                notes = len(self.deferred)
                self.ended = (self.c.truth, len(self.c.truth.paragraphs) - 1, placed[-1][0], self.width, self.column)
                self.ended = self.ended if role == "body" and not notes and not left else None
            self.flush()

    def _undecided(self, first: SetLine, role: str, cuts: Sequence[tuple[int, int]], justify: bool) -> None:
        """Note where the paragraph just set might be two, or one with that before it."""
        truth, at = self.c.truth, len(self.c.truth.paragraphs) - 1
        truth.undecided += [Undecided(at, lines, notes) for lines, notes in cuts]
        if role != "body" or self.ended is None:
            return
        page, before, line, width, column = self.ended
        between = at - before - 1
        apart = all(p.role == "footnote" for p in truth.paragraphs[before + 1 : at])
        if page is truth and apart and column != self.began and self._full(line, width, justify, first.words[0]):
            truth.undecided.append(Undecided(at, 0, between))

    def _full(self, line: SetLine, width: float, justify: bool, follows: str = "") -> bool:
        """Whether the line ends a sentence and looks as the last one of a paragraph and as any other one."""
        style = self.style
        if style.indent or line.text[-1:] not in ".!?":
            return False
        room = width - self.c.measure(line.text, style.size)
        if follows and room > self.c.measure(f" {follows}", style.size):
            return False
        used = sum(self.c.measure(word, style.size) for word in line.words)
        stretches = len(line.words) > 1 and (width - used) / (len(line.words) - 1) <= 1.1 * style.size
        # A line that is stretched goes on; one that could be and is not has ended, unless it is full by chance.
        return not (justify and stretches) or (bool(follows) and room < 0.25 * style.size)

    def gap(self, ems: float) -> None:
        if self.y > self.top:
            self.y += ems * self.style.size

    def paragraph(self, sentences: int | None = None) -> None:
        style = self.style
        text = self.c.prose.paragraph(sentences or self.rng.randint(2, 6))
        first = style.indent * style.size
        lines = self.c.wrap(text, self.width, style.size, first=first, hyphens=style.hyphens)
        self.gap(0.0 if style.indent else 0.75)
        self.place(lines, "body", style.size, indent=first, justify=style.justify)

    def heading(self, *, title: bool = False) -> None:
        style = self.style
        size = style.size * (style.heading * 1.35 if title else style.heading)
        text = self.c.prose.title(self.rng.randint(2, 4))
        if style.heading_numbers and not title:
            self.c.section += 1
            text = f"{self.c.section}. {text}" if len(self.c.running) % 2 else f"{self.c.section} {text}"
        lines = self.c.wrap(text, self.width, size, bold=True)
        if self.y + len(lines) * size * 1.2 + 3 * style.size * style.leading + style.size > self.floor:
            self._advance()
        self.gap(1.1)
        self.place(lines, "heading", size, bold=True, centred=title and len(text) % 2 == 0, leading=1.2)
        self.y += 0.45 * style.size

    def items(self) -> None:
        style = self.style
        numbered = self.rng.random() < 0.4
        hang = style.size * 1.5
        self.gap(0.5)
        for i in range(self.rng.randint(3, 5)):
            marker = f"{i + 1}." if numbered else "•"
            text = self.c.prose.item() if self.rng.random() < 0.5 else self.c.prose.sentence()
            if style.language == "zh":
                text = self.c.prose.sentence()
            lines = self.c.wrap(text, self.width - hang, style.size, hyphens=style.hyphens)
            space = hang - self.c.measure(marker, style.size)
            if self.y + min(len(lines), 2) * style.size * style.leading > self.floor:
                self._advance()
            self._marked(marker, lines, hang, space)
            self.y += 0.15 * style.size
        self.gap(0.4)

    def _marked(self, marker: str, lines: list[SetLine], hang: float, space: float) -> None:
        x, y, before = self.x, self.y, len(self.c.truth.paragraphs)
        truth = self.c.truth
        self.c.text(marker, x, y + self.style.size * 0.9, self.style.size)
        try:
            self.place(lines, "list", self.style.size, indent=hang, hang=hang)
        finally:
            self._mark(truth, before, marker, x)

    def _mark(self, truth: PageTruth, before: int, marker: str, x: float) -> None:
        if before >= len(truth.paragraphs):
            return
        paragraph = truth.paragraphs[before]
        paragraph.text = f"{marker} {paragraph.text}"
        first = next(line for line in truth.lines if line.paragraph == before)
        first.text = f"{marker} {first.text}"
        first.box = (x, *first.box[1:])

    def picture(self) -> None:
        """A grey box with a caption below it."""
        style = self.style
        self.figure += 1
        height = self.width * self.rng.uniform(0.3, 0.6)
        size = style.size * 0.88
        label = "图" if style.language == "zh" else {"en": "Figure", "de": "Abbildung", "fr": "Figure"}[style.language]
        separator = self.rng.choice([": ", ". "]) if style.language != "zh" else " "
        lines = self.c.wrap(f"{label} {self.figure}{separator}{self.c.prose.sentence()}", self.width, size)
        if self.y + height + len(lines) * size * 1.2 + 3 * style.size > self.floor:
            self._advance()
            if self.y + height + len(lines) * size * 1.2 + 3 * style.size > self.floor:
                return
        self.gap(1.0)
        self.c.page.draw_rect(
            (self.x, self.y, self.x + self.width, self.y + height), fill=(0.85, 0.87, 0.9), color=(0.4, 0.4, 0.4)
        )
        self.y += height + 0.5 * style.size
        self.place(lines, "caption", size, leading=1.2)
        self.gap(0.8)

    def table(self, plan: TablePlan, *, caption: bool) -> None:
        """A table kept whole, with its caption above when asked for."""
        style = self.style
        placed = self._laid_out(plan, self.y + 1.2 * style.size)
        if placed.truth.box[2] > self.x + self.width + 1:
            return
        need = placed.bottom - self.y + (3 if caption else 1) * style.size * 1.5
        if self.y + need > self.floor:
            self._advance()
            if self.y + need > self.floor:
                return
        self.gap(1.0)
        if caption:
            size = style.size * 0.88
            label = {"en": "Table", "de": "Tabelle", "fr": "Tableau"}.get(style.language, "表")
            self.place(
                self.c.wrap(f"{label} {self.figure + 1}: {self.c.prose.item()}.", self.width, size), "caption", size
            )
            self.gap(0.5)
        placed = self._laid_out(plan, self.y)
        truth = self.c.truth
        truth.tables.append(placed.truth)
        truth.paragraphs.append(ParagraphTruth("table", "", len(truth.tables) - 1))
        for _, text, x, y, bold in placed.texts:
            box = self.c.text(text, x, y, plan.size, bold=bold)
            truth.lines.append(LineTruth(text, "table", box, len(truth.paragraphs) - 1))
        for ax, ay, bx, by in placed.rules:
            self.c.page.draw_line((ax, ay), (bx, by), width=0.7)
        self.y = placed.bottom
        self.gap(1.2)

    def _laid_out(self, plan: TablePlan, top: float):
        def wrap(text: str, width: float, size: float) -> list[str]:
            return [line.text for line in self.c.wrap(text, width, size, bold=True)]

        return place_table(plan, self.x, self.width, top, self.c.measure, wrap, self.rng)


def set_document(composer: Composer, pages: int, tables: bool) -> None:
    """Fill ``pages`` pages with a random sequence of elements."""
    composer.new_page()
    style, rng = composer.style, composer.rng
    flow = Flowing(composer, pages)
    try:
        _front(flow)
        if style.columns == 2 and rng.random() < 0.25:
            _sections(flow)
        while True:
            choice = rng.random()
            if choice < 0.16:
                flow.heading()
                flow.paragraph()
            elif choice < 0.26:
                flow.paragraph()
                flow.items()
            elif choice < 0.34:
                flow.picture()
            elif tables and choice < 0.50 and style.language != "zh":
                kind = rng.choice(["ruled", "rows", "unruled"])
                flow.table(
                    plan_table(rng, composer.prose, kind, spans=False, size=style.size - 1, narrow=style.columns > 1),
                    caption=rng.random() < 0.5,
                )
            else:
                flow.paragraph()
    except Full:
        flow.flush()
    composer.finish_page()


def _front(flow: Flowing) -> None:
    """A title over all columns, then perhaps a paragraph over all of them, then the columns."""
    style, rng = flow.style, flow.rng
    if rng.random() < 0.7:
        flow.heading(title=True)
        if style.columns > 1 and rng.random() < 0.5:
            flow.paragraph(3)
        flow.y += style.size
    if style.columns > 1:
        flow.band(style.columns, top=flow.y if flow.y > flow.top + 1 else None)


def _sections(flow: Flowing) -> None:
    """Bands of two columns below headings over both of them, on one page."""
    style = flow.style
    for _ in range(2):
        bottom = flow.y + 14 * style.size * style.leading
        if bottom > style.height - style.margin - 10 * style.size:
            break
        pages, flow.left_pages = flow.left_pages, 0
        try:
            flow.band(2, top=flow.y, bottom=bottom)
            while True:
                flow.paragraph()
        except Full:
            flow.flush()
        flow.left_pages = pages
        flow.band(1, top=bottom + 1.5 * style.size)
        flow.heading()
    flow.flush()
    flow.band(2, top=flow.y)
