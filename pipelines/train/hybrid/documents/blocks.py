"""Blocks that documents of every kind are laid out from: labelled fields, tables, totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.train.hybrid.documents.draft import Draft, Table
from pipelines.train.hybrid.documents.sheet import Sheet, Style

Pair = tuple[str, str, list[str]]  # key, label, rows of the value
FIELD_MODES = ("inline", "columns", "spread", "above", "boxed")
_TRAINED_MODES = ("under", "right", "leader")  # of no held-out document


def pairs(draft: Draft, keys: Sequence[str]) -> list[Pair]:
    """Fields with made-up values under this document's labels."""
    return [(key, draft.label(key), draft.value(key)) for key in keys]


def fields(
    draft: Draft,
    chosen: Sequence[Pair],
    style: Style,
    mode: str,
    *,
    left: float = 0.0,
    right: float = 0.0,
    bold: Style | None = None,
    mark: str = ":",
    as_said: bool = False,
) -> None:
    """Labelled fields, one under the other: label and value in one run, in two columns, at both ends of the row, or
    the label above its value, with or without a rule below. In training now and then in another way than ``mode``,
    unless ``as_said``."""
    sheet = draft.sheets[-1]
    left, right = left or sheet.margin, right or sheet.width - sheet.margin
    bold = bold or style
    if not as_said:
        mode = _varied(draft, mode)
    wide = min((right - left) * 0.5, max((style.width(label + mark) for _, label, _ in chosen), default=0.0))
    for key, label, rows in chosen:
        tag = label + mark
        if mode == "inline":
            first = sheet.line(f"{tag} {rows[0]}", style, left=left, right=right)
            lines = [first] + [sheet.line(row, style, left=left, right=right) for row in rows[1:]]
        elif mode in ("columns", "spread", "right", "leader"):
            fitted = style.smaller(tag, wide)
            if mode == "leader":
                tag += "." * int((wide - fitted.width(tag)) / fitted.width("."))
            sheet.put(
                tag, left + wide if mode == "right" else left, sheet.y, fitted, "right" if mode == "right" else "left"
            )
            under = sheet.y + fitted.height * sheet.leading
            edge = left + wide + style.size * 0.9
            align = "right" if mode == "spread" else "left"
            lines = [sheet.line(row, bold, align, edge, right) for row in rows]
            sheet.y = max(sheet.y, under)
        elif mode == "under":
            lines = [sheet.line(row, bold, left=left, right=right) for row in rows]
            sheet.line(label, Style(style.face, max(12, round(style.size * 0.8))), left=left, right=right)
            sheet.y += style.size * 0.5
        else:
            sheet.line(label, Style(style.face, max(12, round(style.size * 0.8))), left=left, right=right)
            lines = [sheet.line(row, bold, left=left, right=right) for row in rows]
            if mode == "boxed":
                sheet.rule(4, left, right)
            sheet.y += style.size * 0.3
        draft.note(key, rows, lines)


def _varied(draft: Draft, mode: str) -> str:
    if draft.held_out or draft.rng.random() > 0.3:
        return mode
    return draft.rng.choice((*FIELD_MODES, *_TRAINED_MODES))


def beside(
    draft: Draft, chosen: Sequence[Sequence[Pair]], style: Style, mode: str, *, bold: Style | None = None
) -> None:
    """Blocks of fields side by side; mostly all in the same way, so that their rows form a grid."""
    mode = _varied(draft, mode)
    alike = draft.held_out or draft.rng.random() < 0.8
    sheet = draft.sheets[-1]
    top, lowest, gap = sheet.y, sheet.y, style.size * 1.5
    each = (sheet.inner - gap * (len(chosen) - 1)) / len(chosen)
    for index, block in enumerate(chosen):
        sheet.y = top
        left = sheet.margin + index * (each + gap)
        fields(draft, block, style, mode, left=left, right=left + each, bold=bold, as_said=alike)
        lowest = max(lowest, sheet.y)
    sheet.y = lowest


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its key, its heading and whether it holds numbers."""

    key: str
    head: str
    number: bool = True


def table(draft: Draft, columns: Sequence[Column], rows: Sequence[Sequence[str]], numbers: dict[str, list[float]],
          style: Style, ruled: str, *, bold: Style | None = None) -> Table:  # fmt: skip
    """A table, noted in the draft. ``ruled``: none, head (a rule under the headings), rows, grid. Numbers are set
    at the right of their column; the widest text column takes the room that is left."""
    sheet = draft.sheets[-1]
    head = bold or style
    widths, style, head = _widths(sheet, columns, rows, style, head)
    edges = [float(sheet.margin)]
    for width in widths:
        edges.append(edges[-1] + width)
    top = sheet.y
    if ruled == "grid":
        sheet.rules.append((edges[0], top, edges[-1], top))
    made = Table([c.key for c in columns], [c.head for c in columns], [list(row) for row in rows], numbers,
                 page=len(draft.sheets) - 1)  # fmt: skip
    pad = style.size * 0.25
    for number, row in enumerate([[column.head for column in columns], *rows]):
        used = head if number == 0 else style
        sheet.y += pad if ruled in ("grid", "rows") else 0
        y = sheet.row(used)
        placed = []
        for column, left, right, text in zip(columns, edges, edges[1:], row):
            inset = style.size * 0.35
            room = used.smaller(text, right - left - 2 * inset)
            align, x = ("right", right - inset) if column.number else ("left", left + inset)
            placed.append(sheet.put(text, x, y, room, align) if text else -1)
        if number:
            made.lines.append(placed)
        if ruled == "grid" or ruled == "rows" or (ruled == "head" and number == 0):
            sheet.rules.append((edges[0], sheet.y, edges[-1], sheet.y))
            sheet.y += 2
    if ruled == "grid":
        sheet.rules += [(edge, top, edge, sheet.y) for edge in edges]
    draft.tables.append(made)
    return made


def _widths(
    sheet: Sheet, columns: Sequence[Column], rows: Sequence[Sequence[str]], style: Style, head: Style
) -> tuple[list[float], Style, Style]:
    """Widths of the columns, and the styles, shrunk if the columns would not fit."""
    while True:
        gap = style.size * 0.9
        natural = [
            max([head.width(column.head), *(style.width(row[index]) for row in rows)]) + gap
            for index, column in enumerate(columns)
        ]
        if sum(natural) <= sheet.inner or style.size <= 13:
            break
        style, head = Style(style.face, style.size - 1), Style(head.face, max(12, head.size - 1))
    spare = sheet.inner - sum(natural)
    text = [index for index, column in enumerate(columns) if not column.number] or [0]
    widest = max(text, key=lambda index: natural[index])
    natural[widest] += spare  # negative when it still does not fit: its cells shrink
    return natural, style, head


def totals(draft: Draft, chosen: Sequence[Pair], style: Style, mode: str, *, last: Style | None = None) -> None:
    """Sums under a table: at the right, across the page, in two columns at the left, or label and sum in one run
    (``inline``). The last one in ``last``."""
    sheet = draft.sheets[-1]
    left, right = float(sheet.margin), float(sheet.width - sheet.margin)
    wide = max(style.width(label) for _, label, _ in chosen)
    if last:
        wide = max(wide, last.width(chosen[-1][1]))
    if mode == "right":
        left = max(left, right - wide - sheet.inner * 0.28)
    for index, (key, label, rows) in enumerate(chosen):
        used = last if last and index == len(chosen) - 1 else style
        if mode == "inline":
            line = sheet.line(f"{label} {rows[0]}", used)
            if key:
                draft.note(key, rows, [line])
            continue
        room = (right - left) * 0.62
        fitted = used.smaller(label, room)
        sheet.put(label, left, sheet.y, fitted)
        under = sheet.y + fitted.height * sheet.leading
        edge = left + min(room, wide) + style.size
        align = "left" if mode == "left" else "right"
        line = sheet.line(rows[0], used, align, edge, right)
        sheet.y = max(sheet.y, under)
        if key:  # without one it is printed and never asked
            draft.note(key, rows, [line])
