"""The text of a page from its lines: paragraphs joined, tables row by row, margins left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import groupby, pairwise

from encoders.layout.joining import join, words_of
from encoders.results import Line, Page, Role, Table, extent

MARGINS = frozenset({Role.HEADER, Role.FOOTER, Role.PAGE_NUMBER})


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A paragraph or table as text, with its lines."""

    role: Role
    text: str
    lines: tuple[Line, ...]
    table: Table | None = None


def text_blocks(page: Page, known: Set[str] | None = None) -> Iterator[TextBlock]:
    """The page's paragraphs and tables in reading order, margins included. The k-th paragraph of role table is the
    k-th of ``page.tables``."""
    if known is None:
        known = words_of(line.text for line in page.lines)
    tables = iter(page.tables)
    for _, group in groupby(page.lines, key=lambda line: line.paragraph):
        lines = tuple(group)
        if lines[0].role is Role.TABLE:
            table = next(tables, None)
            if table is not None:
                yield TextBlock(Role.TABLE, table_text(table), lines, table)
                continue
        yield TextBlock(lines[0].role, paragraph_text(lines, known), lines)


def paragraph_text(lines: Sequence[Line], known: Set[str]) -> str:
    """The lines of one paragraph as one string."""
    text = ""
    for i, line in enumerate(lines):
        beside = i > 0 and _beside(lines[i - 1], line)
        text = f"{text} {line.text}" if beside else join(text, line.text, known)
    return text


def _beside(before: Line, line: Line) -> bool:
    """Whether two lines stand on one row, as a label and its amount do."""
    a, b = extent(before.quad), extent(line.quad)
    overlap = min(a[3], b[3]) - max(a[1], b[1])
    apart = b[0] >= a[2] - 1 or a[0] >= b[2] - 1
    return apart and overlap > 0.5 * min(a[3] - a[1], b[3] - b[1])


def table_rows(table: Table) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """The number of every row that is not empty, and column and text of its cells: of a list of labels and amounts, two
    columns wide, those that hold something; of other tables all up to the last that does."""
    grid = [[""] * table.columns for _ in range(table.rows)]
    for cell in table.cells:
        grid[cell.row][cell.column] = " ".join(cell.text.split())
    for number, row in enumerate(grid):
        full = [column for column, text in enumerate(row) if text]
        if full:
            columns = full if table.columns <= 2 else range(full[-1] + 1)
            yield number, [(column, row[column]) for column in columns]


def table_text(table: Table) -> str:
    """One line a row, cells parted by tabs; a list of labels and amounts, two columns wide, reads "label amount"."""
    between = " " if table.columns <= 2 else "\t"
    return "\n".join(between.join(text for _, text in row) for _, row in table_rows(table))


def page_text(page: Page, known: Set[str] | None = None) -> str:
    """The page's text: paragraphs parted by an empty line, items of a list and rows of a form by a line break."""
    text, before = "", None
    for block in text_blocks(page, known):
        if block.role in MARGINS or not block.text:
            continue
        if before is not None:
            text += "\n" if _closely(before, block) else "\n\n"
        text += block.text
        before = block
    return text


def _closely(before: TextBlock, block: TextBlock) -> bool:
    if before.role is Role.LIST and block.role is Role.LIST:
        return True
    if before.role is not block.role or block.role is not Role.BODY:
        return False
    if not (_one_row(before.lines) and _one_row(block.lines)):
        return False
    a, b = extent(before.lines[0].quad), extent(block.lines[0].quad)
    tall = max(a[3] - a[1], b[3] - b[1])
    return -0.5 * tall < b[1] - a[3] < 0.9 * tall


def _one_row(lines: Sequence[Line]) -> bool:
    return all(_beside(a, b) for a, b in pairwise(lines))
