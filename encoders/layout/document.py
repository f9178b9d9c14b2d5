"""The pages of a part together: what runs along their edges, and tables that go on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from encoders.layout.joining import words_of
from encoders.layout.margins import is_page_number
from encoders.layout.page_text import MARGINS, page_text
from encoders.results import Line, Page, Role, Table, extent

ZONE = 0.14
NEAR = 0.015  # of the page's height: running lines stand at the same height on every page
_SAME = 0.85
REACH = 4  # pages before and after in which a running line must come again


def arrange_document(pages: Sequence[Page]) -> tuple[Page, ...]:
    """Consecutive pages, as `arrange` returned them, with running lines and continued tables marked and ``text``
    written anew. Order and number of pages and lines stay; works on one page, too."""
    edges = [_edge_lines(page) for page in pages]
    result: list[Page] = []
    for index, page in enumerate(pages):
        roles = {}
        for at, line in edges[index]:
            if line.role in MARGINS or line.role is Role.TABLE:
                continue
            role = _running_role(line, page, index, pages, edges)
            if role:
                roles[at] = role
        result.append(_with_roles(page, roles) if roles else page)
    known = words_of(line.text for page in pages for line in page.lines)
    for index, page in enumerate(result):
        tables = page.tables
        if index and _continues(result[index - 1], page):
            tables = (replace(tables[0], continues=True), *tables[1:])
        result[index] = replace(page, tables=tables, text="")
        result[index] = replace(result[index], text=page_text(result[index], known))
    return tuple(result)


def _edge_lines(page: Page) -> list[tuple[int, Line]]:
    """Lines in the upper and lower margin with their index: the outermost three rows at most."""
    height = max(page.height, 1)
    found = []
    for at, line in enumerate(page.lines):
        _, y0, _, y1 = extent(line.quad)
        middle = (y0 + y1) / 2 / height
        if middle < ZONE or middle > 1 - ZONE:
            found.append((at, line))
    return found


def _shape(text: str) -> str:
    return re.sub(r"\d+", "0", text).strip().lower()


def _running_role(
    line: Line, page: Page, index: int, pages: Sequence[Page], edges: Sequence[list[tuple[int, Line]]]
) -> Role | None:
    middle = (extent(line.quad)[1] + extent(line.quad)[3]) / 2 / max(page.height, 1)
    shape = _shape(line.text)
    for other in range(max(0, index - REACH), min(len(pages), index + REACH + 1)):
        if other == index:
            continue
        for _, candidate in edges[other]:
            box = extent(candidate.quad)
            if abs((box[1] + box[3]) / 2 / max(pages[other].height, 1) - middle) > NEAR:
                continue
            there = _shape(candidate.text)
            if there == shape or (len(shape) > 5 and _alike(shape, there)):
                if is_page_number(line.text):
                    return Role.PAGE_NUMBER
                return Role.HEADER if middle < 0.5 else Role.FOOTER
    return None


def _alike(a: str, b: str) -> bool:
    """Whether two lines say nearly the same. Most do not, which their lengths or their letters alone show."""
    match = SequenceMatcher(None, a, b)
    return match.real_quick_ratio() > _SAME and match.quick_ratio() > _SAME and match.ratio() > _SAME


def _with_roles(page: Page, roles: dict[int, Role]) -> Page:
    """Lines given running roles move to the head or foot of the page, each a paragraph of its own."""
    top = [replace(page.lines[at], role=role) for at, role in roles.items() if _is_top(page, page.lines[at])]
    foot = [replace(page.lines[at], role=role) for at, role in roles.items() if not _is_top(page, page.lines[at])]
    rest = [line for at, line in enumerate(page.lines) if at not in roles]
    head = [line for line in rest if line.role in MARGINS and _is_top(page, line)]
    tail = [line for line in rest if line.role in MARGINS and not _is_top(page, line)]
    body = [line for line in rest if line.role not in MARGINS]
    lines: list[Line] = []
    number = -1
    before: object = None
    for line in [*_by_place(top + head), *body, *_by_place(foot + tail)]:
        key = line.paragraph if line.role not in MARGINS else object()
        if key != before:
            number += 1
        before = key
        lines.append(replace(line, paragraph=number))
    return replace(page, lines=tuple(lines))


def _by_place(lines: Sequence[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (round(extent(line.quad)[1] / 8), extent(line.quad)[0]))


def _is_top(page: Page, line: Line) -> bool:
    _, y0, _, y1 = extent(line.quad)
    return (y0 + y1) / 2 < page.height / 2


def _continues(before: Page, page: Page) -> bool:
    """Whether the page begins with a table that goes on with the last one of the page before."""
    if not before.tables or not page.tables:
        return False
    last = [line for line in before.lines if line.role not in MARGINS | {Role.FOOTNOTE}]
    first = [line for line in page.lines if line.role not in MARGINS]
    if not last or not first or last[-1].role is not Role.TABLE or first[0].role is not Role.TABLE:
        return False
    a, b = before.tables[-1], page.tables[0]
    return a.columns == b.columns and _same_columns(a, b, before.width, page.width)


def _same_columns(a: Table, b: Table, width_a: int, width_b: int) -> bool:
    """Columns begin at about the same share of the page's width."""
    low = [extent(table.quad)[0] / max(width, 1) for table, width in ((a, width_a), (b, width_b))]
    high = [extent(table.quad)[2] / max(width, 1) for table, width in ((a, width_a), (b, width_b))]
    return abs(low[0] - low[1]) < 0.04 and abs(high[0] - high[1]) < 0.06


def header_rows(table: Table) -> Counter[str]:
    """The texts of a table's first row: a header that is repeated after a page break."""
    return Counter(cell.text for cell in table.cells if cell.row == 0)
