"""A whole document as text or Markdown, over the edges of its pages and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from encoders.layout.document import header_rows
from encoders.layout.joining import ends_in_hyphen, join, words_of
from encoders.layout.page_text import MARGINS, table_text, text_blocks
from encoders.layout.paragraphs import NUMBERED
from encoders.layout.roles import ends_sentence
from encoders.results import Page, Role, Table, extent


@dataclass(slots=True)
class _Block:
    role: Role
    text: str
    height: float
    tables: list[Table]


def join_pages(pages: Sequence[Page]) -> str:
    """The text of consecutive pages; paragraphs and words that a page's edge cuts are joined."""
    text = ""
    before: _Block | None = None
    for block in _blocks(pages):
        part = "\n".join(table_text(table) for table in _without_repeats(block.tables)) or block.text
        if before is not None:
            text += "\n" if before.role is block.role is Role.LIST else "\n\n"
        text += part
        before = block
    return text


def markdown(pages: Sequence[Page]) -> str:
    """Consecutive pages as GitHub Markdown. A table that goes on over a page's edge is one table."""
    blocks = _blocks(pages)
    sizes = sorted({round(block.height) for block in blocks if block.role is Role.HEADING}, reverse=True)
    levels: dict[int, int] = {}
    for size in sizes:  # heights within a sixth of one another are one level
        close = [known for known in levels if known < 1.17 * size]
        levels[size] = levels[close[-1]] if close else min(len(set(levels.values())) + 1, 6)
    text = ""
    before: _Block | None = None
    for block in blocks:
        if before is not None:
            text += "\n" if before.role is block.role is Role.LIST else "\n\n"
        text += _marked(block, levels)
        before = block
    return text + "\n" if text else ""


def _blocks(pages: Sequence[Page]) -> list[_Block]:
    known = words_of(line.text for page in pages for line in page.lines)
    blocks: list[_Block] = []
    for page in pages:
        fresh = True
        for block in text_blocks(page, known):
            if block.role in MARGINS or not block.text:
                continue
            boxes = [extent(line.quad) for line in block.lines]
            height = sum(box[3] - box[1] for box in boxes) / len(boxes)
            if fresh and block.table is not None and block.table.continues:
                last = next((b for b in reversed(blocks) if b.tables), None)
                if last is not None:
                    last.tables.append(block.table)
                    fresh = False
                    continue
            last = next((b for b in reversed(blocks) if b.role is not Role.FOOTNOTE), None)
            if fresh and last is not None and _goes_on(last, block.role, block.text):
                last.text = join(last.text, block.text, known)
            else:
                blocks.append(_Block(block.role, block.text, height, [block.table] if block.table else []))
            fresh = False
    return blocks


def _goes_on(last: _Block, role: Role, text: str) -> bool:
    if role is not Role.BODY or last.role not in (Role.BODY, Role.LIST):
        return False
    if ends_in_hyphen(last.text) and text[:1].islower():
        return True
    return len(last.text) > 60 and not ends_sentence(last.text) and (text[:1].islower() or len(text) > 60)


def _without_repeats(tables: Sequence[Table]) -> list[Table]:
    """The pieces of one table; a header row that the next page repeats is left out."""
    if not tables:
        return []
    kept = [tables[0]]
    for table in tables[1:]:
        if table.rows > 1 and header_rows(table) == header_rows(tables[0]):
            cells = tuple(cell for cell in table.cells if cell.row > 0)
            shifted = tuple(
                type(cell)(cell.row - 1, cell.column, cell.row_span, cell.column_span, cell.text, cell.quad)
                for cell in cells
            )
            table = Table(table.quad, table.rows - 1, table.columns, shifted, table.continues)
        kept.append(table)
    return kept


def _marked(block: _Block, levels: dict[int, int]) -> str:
    if block.tables:
        return _table(_without_repeats(block.tables))
    if block.role is Role.HEADING:
        return f"{'#' * levels.get(round(block.height), 2)} {block.text}"
    if block.role is Role.LIST:
        head, _, rest = block.text.partition(" ")
        if len(head) == 1 and not head.isalnum():
            return f"- {rest}"
        return block.text if NUMBERED.match(block.text) else f"- {block.text}"
    if block.role is Role.CAPTION:
        return f"*{block.text}*"
    return block.text


def _table(tables: Sequence[Table]) -> str:
    columns = max(table.columns for table in tables)
    rows: list[list[str]] = []
    for table in tables:
        grid = [[""] * columns for _ in range(table.rows)]
        for cell in table.cells:
            grid[cell.row][cell.column] = " ".join(cell.text.split()).replace("|", "\\|")
        rows.extend(grid)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * columns)
    return "\n".join(lines)
