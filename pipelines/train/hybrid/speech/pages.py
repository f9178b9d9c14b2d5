"""The page of a pair: a small invoice, order or delivery note in one of a few layouts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.train.hybrid.samples import PagePlan, PrintedLine
from pipelines.train.script.render import Face, face_at

WIDTH, HEIGHT, MARGIN = 1000, 1200, 80


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    goods: str
    count: str
    amount: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a page prints. ``when``: a weekday or a date."""

    title: str
    company: str
    number: str
    customer: str
    when: str
    rows: tuple[Row, ...]
    total: str

    def facts(self) -> dict[str, str]:
        """The fields outside the table, by name."""
        names = ("title", "company", "number", "customer", "when", "total")
        return {name: getattr(self, name) for name in names}


class _Pen:
    """Collects lines, each measured with its face."""

    def __init__(self, face: Face, size: int) -> None:
        self.face, self.size, self.lines = face, size, list[PrintedLine]()

    def put(self, text: str, x: float, y: float, *, size: int = 0, right: bool = False) -> None:
        size = size or self.size
        font = face_at(self.face, size)
        if right:
            x -= font.getlength(text)
        left, top, end, bottom = font.getbbox(text)
        self.lines.append(PrintedLine(text, (x + left, y + top, x + end, y + bottom), self.face, size))


def page(sheet: Sheet, seed: int, faces: Sequence[Face], *, held_out: bool = False) -> PagePlan:
    """The page in a seeded layout, face and size. ``held_out``: the layout that training never sees."""
    rng = random.Random(f"page {seed}")
    pen = _Pen(rng.choice(faces), rng.choice((24, 26, 28, 30)))
    step = round(pen.size * rng.uniform(1.5, 1.9))
    y = float(MARGIN + rng.randint(0, 60))
    labels = _labels(rng, sheet)
    rules: list[tuple[float, float, float, float]] = []
    if held_out:  # title last among the heads, fields in two columns, amounts in the middle
        pen.put(sheet.company, WIDTH - MARGIN, y, size=pen.size + 6, right=True)
        pen.put(sheet.title.upper(), MARGIN, y + step)
        y += 3 * step
        for place, (label, value) in enumerate(labels):
            pen.put(f"{label} {value}", MARGIN + (place % 2) * 430, y + (place // 2) * step)
        y = _table(pen, sheet, rng, y + 3.5 * step, step, (MARGIN, 560, 860), rules)
        pen.put(f"{_total(rng)}: {sheet.total}", MARGIN, y)
    else:
        centred = rng.random() < 0.4
        title = sheet.title.title() if rng.random() < 0.6 else sheet.title.upper()
        pen.put(title, WIDTH / 2 - 100 if centred else MARGIN, y, size=pen.size + 12)
        pen.put(sheet.company, MARGIN, y + 2 * step)
        y += 3.5 * step
        apart = rng.random() < 0.5
        for label, value in labels:
            if apart:
                pen.put(label, MARGIN, y)
                pen.put(value, MARGIN + 300, y)
            else:
                pen.put(f"{label} {value}", MARGIN, y)
            y += step
        columns = rng.choice(((MARGIN, 600, 920), (MARGIN, 520, 800), (MARGIN + 40, 640, 880)))
        y = _table(pen, sheet, rng, y + step, step, columns, rules)
        pen.put(_total(rng), columns[1] - 60, y)
        pen.put(sheet.total, columns[2], y, right=True)
    return PagePlan(WIDTH, max(HEIGHT, round(y + 3 * step)), tuple(pen.lines), tuple(rules))


def _labels(rng: random.Random, sheet: Sheet) -> list[tuple[str, str]]:
    """Labels and values above the table, in a random order."""
    bill = sheet.title in ("invoice", "bill", "statement")
    when = (
        ("Due:", "Payment due:", "Due date:", "Pay by:")
        if bill
        else ("Delivery:", "Arrives on:", "Delivery day:", "On:")
    )
    found = [
        (rng.choice(("No.", "Number:", "Reference:", "Document no.:")), sheet.number),
        (rng.choice(("Customer:", "To:", "Name:", "Bill to:" if bill else "Ship to:")), sheet.customer),
        (rng.choice(when), sheet.when),
    ]
    rng.shuffle(found)
    return found


def _total(rng: random.Random) -> str:
    return rng.choice(("Total", "Total amount", "Amount due", "Sum"))


def _table(
    pen: _Pen, sheet: Sheet, rng: random.Random, y: float, step: int, columns: tuple[int, int, int],
    rules: list[tuple[float, float, float, float]],
) -> float:  # fmt: skip
    """The table's lines; returns the height below it."""
    ruled = rng.random() < 0.5
    heads = (rng.choice(("Item", "Description", "Product")), rng.choice(("Qty", "Quantity", "Count")),
             rng.choice(("Amount", "Price", "Sum")))  # fmt: skip
    for place, cells in enumerate((heads, *((row.goods.capitalize(), row.count, row.amount) for row in sheet.rows))):
        pen.put(cells[0], columns[0], y)
        pen.put(cells[1], columns[1], y, right=True)
        pen.put(cells[2], columns[2], y, right=True)
        if ruled and place in (0, len(sheet.rows)):
            rules.append((columns[0], y + step * 0.85, columns[2] + 10, y + step * 0.85))
        y += step
    return y + step * 0.5
