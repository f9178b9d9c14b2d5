"""Pages of plain text, Markdown, JSON, CSV and spreadsheets, set on A4 in a fixed-pitch grid.

No pixels are needed to read them.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import unicodedata
from collections.abc import Iterator

from encoders.failures import FailureCategory, MediaError
from encoders.media import sniff, spreadsheet
from encoders.media.letters import script_of
from encoders.media.opened import OpenedPage, Probe, Segment
from encoders.media.opening import Event, Source, page_range, whole_text
from encoders.media.protocol import Extent
from encoders.results import Line, Word, quad

A4_INCHES = (8.27, 11.69)
COLUMNS, ROWS = 90, 60  # of the grid between the margins
MARGIN = 0.06  # of the page's width
MAX_CELL = 60  # columns of one CSV cell

_TABLES = ("text/csv", "text/tab-separated-values", sniff.XLSX)

Placed = list[tuple[int, int, str]]
"""One row of the grid: (first column, width in columns, text) of each word or cell."""


def probe(source: Source, media_type: str) -> Probe:
    """The number of pages."""
    if source.request.ocr == "always":
        from encoders.media import document

        return document.probe(source, media_type)
    return Probe(media_type, "document", pages=len(_sheets(source, media_type)))


def opened(source: Source, media_type: str) -> Iterator[Event]:
    """The pages of the request's range."""
    request = source.request
    if request.ocr == "always":  # MuPDF sets text as pages with pixels
        from encoders.media import document

        yield from document.opened(source, media_type)
        return
    sheets = _sheets(source, media_type)
    pages = page_range(request, len(sheets))
    yield Extent(pages.start, pages.stop)
    for index in pages:
        yield index + 1
        yield _page(index + 1, sheets[index], request.dpi, media_type in _TABLES)


def _sheets(source: Source, media_type: str) -> list[list[Placed]]:
    """The rows of the grid of every page. Raises MediaError when there is no text."""
    if media_type == sniff.XLSX:
        tables = [_table(rows) for _, rows in spreadsheet.sheets(source.path, source.request.max_unpacked)]
    else:
        data = whole_text(source)
        encoding = sniff.text_encoding(data[: sniff.HEAD_BYTES]) or "utf-8"
        text = codecs.decode(data, encoding, "replace").lstrip("\ufeff")
        if media_type in _TABLES:
            tables = [_table(_records(text, "\t" if media_type.endswith("tab-separated-values") else None))]
        else:
            tables = [list(itertools.chain.from_iterable(_wrapped(line) for line in text.splitlines()))]
    pages = [table[first : first + ROWS] for table in tables for first in range(0, len(table), ROWS)]
    if not any(row for page in pages for row in page):
        raise MediaError(FailureCategory.EMPTY, "the file has no text")
    return pages


def _wrapped(line: str) -> Iterator[Placed]:
    """The words of one line, broken at the right margin; its indent is kept on each row."""
    line = line.expandtabs(4).rstrip()
    indent = min(len(line) - len(line.lstrip()), COLUMNS // 2)
    row: Placed = []
    column = indent
    for word in line.split():
        for piece in _pieces(word, COLUMNS - indent):
            width = columns(piece)
            if row and column + width > COLUMNS:
                yield row
                row, column = [], indent
            row.append((column, width, piece))
            column += width + 1
    yield row


def _pieces(word: str, width: int) -> Iterator[str]:
    """A word, cut where it is wider than a row."""
    start = 0  # by index: a file without a space is one word of many megabytes
    while len(word) - start > width or columns(word[start:]) > width:
        stop = start + width
        while stop > start + 1 and columns(word[start:stop]) > width:
            stop -= 1
        yield word[start:stop]
        start = stop
    yield word[start:]


def _records(text: str, delimiter: str | None) -> list[list[str]]:
    if delimiter is None:
        try:
            delimiter = csv.Sniffer().sniff(text[:65536], ",;\t|").delimiter
        except csv.Error:
            delimiter = ","
    csv.field_size_limit(1 << 24)
    try:
        return list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise MediaError(FailureCategory.CORRUPT, f"not readable as CSV: {error}") from None


def _table(records: list[list[str]]) -> list[Placed]:
    """Rows with every cell as one word, in columns as wide as their widest cell."""
    rows = [[" ".join(cell.split()) for cell in row] for row in records]
    count = max(map(len, rows), default=0)
    widths = [max((columns(row[i]) for row in rows if i < len(row)), default=1) for i in range(count)]
    starts = list(itertools.accumulate((min(width, MAX_CELL) + 2 for width in widths), initial=0))
    return [[(starts[i], min(columns(cell), MAX_CELL), cell) for i, cell in enumerate(row) if cell] for row in rows]


def _page(number: int, rows: list[Placed], dpi: int, is_table: bool) -> OpenedPage:
    width, height = round(A4_INCHES[0] * dpi), round(A4_INCHES[1] * dpi)
    margin = MARGIN * width
    cell_width = (width - 2 * margin) / COLUMNS
    cell_height = (height - 2 * margin) / ROWS
    widest = max((start + columns_ for row in rows for start, columns_, _ in row), default=0)
    width = max(width, round(2 * margin + widest * cell_width))  # a wide table makes a wide page
    lines = []
    for index, row in enumerate(rows):
        top = margin + index * cell_height
        words = tuple(
            Word(text, quad(margin + x * cell_width, top, margin + (x + w) * cell_width, top + 0.8 * cell_height), 1.0)
            for x, w, text in row
        )
        if words:
            text = " ".join(word.text for word in words)
            box = quad(words[0].quad[0], top, words[-1].quad[2], top + 0.8 * cell_height)
            lines.append(Line(text, box, 1.0, words, script=script_of(text)))
    return OpenedPage(
        number, width, height, None, lines, _grid(rows, margin, cell_width, cell_height) if is_table else ()
    )


def _grid(rows: list[Placed], margin: float, cell_width: float, cell_height: float) -> tuple[Segment, ...]:
    """The ruling lines around the cells of a table page."""
    starts = sorted({start for row in rows for start, _, _ in row})
    right = max((start + width for row in rows for start, width, _ in row), default=0) + 1
    xs = [margin + (x - 0.5) * cell_width for x in [*starts, right]]
    ys = [margin + (y - 0.1) * cell_height for y in range(len(rows) + 1)]
    across = [(xs[0], y, xs[-1], y) for y in ys]
    return tuple(across + [(x, ys[0], x, ys[-1]) for x in xs])


def columns(text: str) -> int:
    """Grid columns of a text: East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
