"""The sheets of an Excel file as rows of text, by the standard library."""

from __future__ import annotations

import datetime
import re

from encoders.media.archive import Element
from encoders.media.office import Package, number

MAX_CELLS = 2_000_000
"""Cells read from one file; a sheet beyond that is cut."""

_DATES = {*range(14, 23), *range(45, 48)}  # built-in number formats of dates and times
_DATE_FORMAT = re.compile(r"[ymdhs]", re.I)
_COLUMN = re.compile(r"[A-Z]+")


def sheets(path: str, max_unpacked: int) -> list[tuple[str, list[list[str]]]]:
    """Name and rows of every sheet, in the order of the tabs; empty cells are empty. Raises MediaError."""
    package = Package(path, max_unpacked)
    main = "xl/workbook.xml"
    links = package.relations(main)
    strings = _strings(package)
    dates = _date_styles(package)
    found, left = [], MAX_CELLS
    for sheet in package.xml(main).iter("sheet"):
        name = links.get(sheet.attrib.get("r:id", ""), "")
        rows = _rows(package.xml(name), strings, dates, left) if package.has(name) else []
        left -= sum(map(len, rows))
        found.append((sheet.attrib.get("name", ""), rows))
    return found


def _strings(package: Package) -> list[str]:
    name = "xl/sharedStrings.xml"
    return [_text(entry) for entry in package.xml(name).findall("si")] if package.has(name) else []


def _text(entry: Element) -> str:
    """The text of a string and its runs, without its reading aids."""
    parts = [entry.find("t"), *(run.find("t") for run in entry.findall("r"))]
    return "".join(part.text or "" for part in parts if part is not None)


def _date_styles(package: Package) -> set[int]:
    """The cell styles that show a number as a date."""
    if not package.has("xl/styles.xml"):
        return set()
    root = package.xml("xl/styles.xml")
    own = {
        number(entry.attrib.get("numFmtId", ""), -1)
        for entry in root.iter("numFmt")
        if _DATE_FORMAT.search(re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", entry.attrib.get("formatCode", "")))
    }
    formats = root.find("cellXfs")
    styles = enumerate(formats if formats is not None else ())
    return {index for index, style in styles if number(style.attrib.get("numFmtId", "")) in _DATES | own}


def _rows(root: Element, strings: list[str], dates: set[int], most: int) -> list[list[str]]:
    rows: list[list[str]] = []
    count = 0
    for row in root.iter("row"):
        cells: list[str] = []
        for cell in row.findall("c"):
            column = _column(cell.attrib.get("r", ""), len(cells))
            cells += [""] * (column - len(cells)) + [_value(cell, strings, dates)]
        rows.append(cells)
        count += len(cells)
        if count > most:
            break
    while rows and not any(rows[-1]):
        rows.pop()
    return rows


def _column(reference: str, following: int) -> int:
    """Column of a reference such as AB12, from 0; cells may leave it out or skip columns."""
    letters = _COLUMN.match(reference)
    if letters is None:
        return following
    column = 0
    for letter in letters[0][:4]:
        column = column * 26 + ord(letter) - 64
    return min(max(column - 1, following), 16_383)


def _value(cell: Element, strings: list[str], dates: set[int]) -> str:
    kind = cell.attrib.get("t", "n")
    inline = cell.find("is")
    if inline is not None:
        return _text(inline)
    value = cell.find("v")
    text = (value.text or "") if value is not None else ""
    if kind == "s":
        return strings[int(text)] if text.isdecimal() and int(text) < len(strings) else ""
    if kind == "b":
        return "TRUE" if text == "1" else "FALSE"
    if kind == "n" and text and number(cell.attrib.get("s", "")) in dates:
        return _date(text)
    return text


def _date(serial: str) -> str:
    """An Excel day number as ISO date, time or both; kept as it is when out of range."""
    try:
        days = float(serial)
        moment = datetime.datetime(1899, 12, 30) + datetime.timedelta(seconds=round(days * 86400))
    except (ValueError, OverflowError):
        return serial
    if days < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d" if moment.hour == moment.minute == moment.second == 0 else "%Y-%m-%d %H:%M")
