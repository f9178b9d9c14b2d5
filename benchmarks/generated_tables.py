"""Generated tables with known cells: ruled, ruled between rows only, or without rules; spans; wrapped cells."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from benchmarks.generated_text import Prose


@dataclass
class CellTruth:
    row: int
    column: int
    row_span: int
    column_span: int
    text: str
    lines: list[str] = field(default_factory=list)  # as wrapped


@dataclass
class TableTruth:
    """A table as drawn; ``box`` in points."""

    kind: str  # ruled | rows (rules between rows) | unruled
    rows: int
    columns: int
    cells: list[CellTruth]
    box: tuple[float, float, float, float] = (0, 0, 0, 0)
    spans: bool = False
    part: int = 0  # 1 for the piece on the next page of a table that a page's edge cuts


@dataclass
class TablePlan:
    """What to draw: texts by grid position, spans, alignment and rules."""

    kind: str
    cells: list[CellTruth]
    rows: int
    columns: int
    align: list[str]
    widths: list[float]  # shares
    size: float
    padding: float
    header_bold: bool
    spans: bool
    row_gap: float = 1.0


def plan_table(
    rng: random.Random, prose: Prose, kind: str, *, spans: bool, size: float, narrow: bool = False
) -> TablePlan:
    """A random table. Spans: a heading over two or three columns, and in ruled tables cells over rows as well."""
    columns = rng.randint(2, 3) if narrow else rng.randint(3, 6)
    if spans:
        columns = max(columns, 3 if narrow else 4)
    rows = rng.randint(4, 12)
    kinds = ["text"] + [rng.choice(["number", "money", "code", "date", "word", "percent"]) for _ in range(columns - 1)]
    if not narrow and columns <= 4 and rng.random() < 0.35:
        kinds[rng.randrange(1, columns)] = "long"
    header = [prose.words("noun").capitalize()[:14] for _ in range(columns)]
    grid = [[_value(rng, prose, k, narrow) for k in kinds] for _ in range(rows)]
    for r in range(rows):
        for c in range(1, columns):
            if rng.random() < 0.05:
                grid[r][c] = ""
    cells: list[CellTruth] = []
    top = 0
    covered: set[tuple[int, int]] = set()
    if spans:
        width = rng.randint(2, min(3, columns - 1))
        start = rng.randint(1, columns - width)
        label = prose.item().split()[0] + " " + str(rng.randint(2015, 2025))
        cells.append(CellTruth(0, start, 1, width, label))
        for c in range(columns):
            if not start <= c < start + width:
                tall = kind == "ruled"
                if tall:
                    cells.append(CellTruth(0, c, 2, 1, header[c]))
                    covered.add((1, c))
        top = 1
    for c in range(columns):
        if (top, c) not in covered:
            cells.append(CellTruth(top, c, 1, 1, header[c]))
    r = 0
    while r < rows:
        tall = 2 if spans and kind == "ruled" and r + 1 < rows and rng.random() < 0.25 else 1
        for i in range(tall):
            for c in range(columns):
                if c == 0 and i > 0:
                    continue
                cells.append(CellTruth(top + 1 + r + i, c, tall if c == 0 else 1, 1, grid[r + i][c]))
        r += tall
    weights = [{"text": 2.2, "long": 3.4, "word": 1.4}.get(k, 1.1) for k in kinds]
    align = [
        "left" if k in ("text", "long", "word", "code") else rng.choice(["right", "right", "center", "left"])
        for k in kinds
    ]
    return TablePlan(
        kind, cells, top + 1 + rows, columns, align, [w / sum(weights) for w in weights], size,
        rng.uniform(3, 7), rng.random() < 0.6, spans, rng.uniform(1.0, 1.35),
    )  # fmt: skip


def _value(rng: random.Random, prose: Prose, kind: str, narrow: bool) -> str:
    match kind:
        case "text":
            return prose.words("noun").capitalize() if narrow or rng.random() < 0.4 else prose.item()
        case "word":
            return prose.words("adjective").split("-")[0]
        case "number":
            return f"{rng.randint(0, 9999):,}"
        case "money":
            return f"{rng.choice(['', '', '$', '€'])}{rng.randint(1, 4999)}.{rng.randint(0, 99):02d}"
        case "percent":
            return f"{rng.uniform(0, 100):.1f}%"
        case "code":
            return f"{rng.choice('ABCDEFGHK')}{rng.choice('XYZQRS')}-{rng.randint(10, 999)}"
        case "date":
            return f"{rng.randint(2001, 2024)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return f"{prose.item()} {prose.words('link')} {prose.words('the')} {prose.words('noun')}"


@dataclass
class Placed:
    """A table laid out: lines of cells as (cell, text, x, baseline), rules as segments, both in points."""

    truth: TableTruth
    texts: list[tuple[CellTruth, str, float, float, bool]]
    rules: list[tuple[float, float, float, float]]
    bottom: float


def place_table(plan: TablePlan, x0: float, width: float, top: float, measure, wrap, rng: random.Random) -> Placed:
    """Lay a plan out at (x0, top). ``measure(text, size, bold)`` is a width."""
    lead = plan.size * 1.2
    pad = plan.padding
    edges = [x0]
    for wide in _column_widths(plan, width, measure):
        edges.append(edges[-1] + wide)
    for cell in plan.cells:
        room = edges[cell.column + cell.column_span] - edges[cell.column] - 2 * pad
        cell.lines = wrap(cell.text, room, plan.size) if cell.text else []
    heights = [1] * plan.rows
    for cell in plan.cells:
        if cell.row_span == 1:
            heights[cell.row] = max(heights[cell.row], len(cell.lines))
    air = (pad * 1.1 if plan.kind == "ruled" else pad * 0.9) * plan.row_gap
    ys = [top]
    for count in heights:
        ys.append(ys[-1] + count * lead + air)
    texts = []
    for cell in plan.cells:
        left, right = edges[cell.column] + pad, edges[cell.column + cell.column_span] - pad
        room = ys[cell.row + cell.row_span] - ys[cell.row]
        block = len(cell.lines) * lead
        start = ys[cell.row] + (room - block) / 2 if cell.row_span > 1 else ys[cell.row] + air / 2
        bold = plan.header_bold and cell.row <= (1 if plan.spans else 0)
        how = "center" if cell.column_span > 1 else plan.align[cell.column]
        for i, text in enumerate(cell.lines):
            wide = measure(text, plan.size, bold)
            x = left if how == "left" else right - wide if how == "right" else (left + right - wide) / 2
            texts.append((cell, text, x, start + i * lead + plan.size * 0.95, bold))
    rules = _rules(plan, edges, ys)
    truth = TableTruth(plan.kind, plan.rows, plan.columns, plan.cells, (x0, ys[0], edges[-1], ys[-1]), plan.spans)
    return Placed(truth, texts, rules, ys[-1])


def _column_widths(plan: TablePlan, width: float, measure) -> list[float]:
    """The planned shares, but no column narrower than its longest word; wider than the page when need be."""
    least = [0.0] * plan.columns
    for cell in plan.cells:
        if cell.column_span == 1 and cell.text:
            words = max(measure(word, plan.size, True) for word in cell.text.split())
            least[cell.column] = max(least[cell.column], words + 2 * plan.padding + 1)
    free = max(width - sum(least), 0.0)
    wish = [max(share * width - low, 0.0) for share, low in zip(plan.widths, least)]
    total = sum(wish) or 1.0
    return [low + free * part / total for low, part in zip(least, wish)]


def _rules(plan: TablePlan, xs: list[float], ys: list[float]) -> list[tuple[float, float, float, float]]:
    if plan.kind == "unruled":
        return []
    if plan.kind == "rows":
        header = 2 if plan.spans else 1
        return [(xs[0], ys[i], xs[-1], ys[i]) for i in (0, header, plan.rows)]
    rules = []
    owner = {}
    for index, cell in enumerate(plan.cells):
        for r in range(cell.row, cell.row + cell.row_span):
            for c in range(cell.column, cell.column + cell.column_span):
                owner[r, c] = index
    for r in range(plan.rows + 1):
        for c in range(plan.columns):
            if owner.get((r - 1, c)) != owner.get((r, c)) or owner.get((r, c)) is None:
                rules.append((xs[c], ys[r], xs[c + 1], ys[r]))
    for c in range(plan.columns + 1):
        for r in range(plan.rows):
            if owner.get((r, c - 1)) != owner.get((r, c)) or owner.get((r, c)) is None:
                rules.append((xs[c], ys[r], xs[c], ys[r + 1]))
    return rules
