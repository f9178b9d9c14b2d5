"""The goods of a receipt, in one of several forms."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks
from pipelines.train.hybrid.documents.draft import Draft, Table
from pipelines.train.hybrid.documents.kinds.goods import Basket
from pipelines.train.hybrid.documents.sheet import Sheet, Style


def items(draft: Draft, sheet: Sheet, style: Style, goods: Basket, capitals: bool) -> None:
    """The goods, in one of several forms."""
    rng, lang = draft.rng, draft.lang
    form = draft.choose("two-rows", "one-row", "quantity-first", "columns", "code-row", "code-first", "at-price")
    columns = ["description", "quantity", "unit_price", "amount"]
    suffix = rng.choice(("", "", "", " SR", " S", " T", "R")) if lang.code == "en" else ""
    names = [line.name.upper() if capitals else line.name for line in goods.lines]
    bare = rng.random() < 0.8
    amounts = [draft.money(line.amount, bare) for line in goods.lines]
    prices = [draft.money(line.price, bare) for line in goods.lines]
    numbers = {
        "amount": [line.amount for line in goods.lines],
        "quantity": [float(line.quantity) for line in goods.lines],
        "unit_price": [line.price for line in goods.lines],
    }
    rows = [
        [name, str(line.quantity), price, amount]
        for name, line, price, amount in zip(names, goods.lines, prices, amounts)
    ]
    if form == "columns" and sheet.width > 560:
        heads = [blocks.Column(key, draft.label(key), key != "description") for key in columns]
        blocks.table(draft, heads, rows, numbers, style, rng.choice(("none", "head")))
        return
    if rng.random() < 0.4:
        y = sheet.row(style)
        sheet.put(draft.label("description"), sheet.margin, y, style)
        sheet.put(draft.label("amount"), sheet.width - sheet.margin, y, style, "right")
    left, right = float(sheet.margin), float(sheet.width - sheet.margin)
    placed = []
    for line, name, price, amount in zip(goods.lines, names, prices, amounts):
        tail = amount + suffix
        quantity = f"{line.quantity} x {price}"
        if form == "two-rows":
            first = sheet.line(name, style)
            y = sheet.row(style)
            second = sheet.put(quantity, left + style.size, y, style)
            last = sheet.put(tail, right, y, style, "right")
        elif form in ("code-row", "at-price"):
            text = line.code if form == "code-row" else f"{line.quantity} @ {price}"
            first = sheet.line(name, style)
            y = sheet.row(style)
            second = sheet.put(text if form == "at-price" else f"{text}  {quantity}", left, y, style)
            last = sheet.put(tail, right, y, style, "right")
        else:
            lead = {"quantity-first": f"{line.quantity} ", "code-first": f"{line.code} "}.get(form, "")
            room = right - left - style.width(tail) - style.size
            y = sheet.row(style)
            first = second = sheet.put(lead + name, left, y, style.smaller(lead + name, room))
            last = sheet.put(tail, right, y, style, "right")
        placed.append([first, second, second, last])
    shown = columns if form in ("two-rows", "at-price", "code-row") else ["description", "amount"]
    if form == "quantity-first":
        shown = ["description", "quantity", "amount"]
    kept = [columns.index(key) for key in shown]
    draft.tables.append(
        Table(
            shown,
            [draft.label(key) for key in shown],
            [[row[k] for k in kept] for row in rows],
            numbers,
            [[row[k] for k in kept] for row in placed],
        )
    )
