"""The sums of a receipt: before and after tax, discount and rounding, what was paid, what was given back."""

from __future__ import annotations

import math

from pipelines.train.hybrid.documents import blocks
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.kinds.goods import Basket
from pipelines.train.hybrid.documents.sheet import Sheet, Style


def sums(draft: Draft, sheet: Sheet, style: Style, goods: Basket, capitals: bool) -> None:
    """All of them, with the total among them; in English receipts perhaps a summary of the tax."""
    rng = draft.rng
    bare, mark = rng.random() < 0.6, rng.choice(("", ":", " :", ""))

    def pair(key: str, value: float, name: str = "") -> blocks.Pair:
        options = draft.lang.data.get("receipt_labels", {}).get(name or key)
        if options and not draft.held_out:
            options = options + draft.lang.data["receipt_labels"].get(f"more_{name or key}", [])
        label = rng.choice(options) if options and rng.random() < 0.6 else draft.label(name or key)
        return key, (label.upper() if capitals else label) + mark, [draft.money(value, bare)]

    exact = round(goods.total - goods.rounding, 2)
    rows = []
    if rng.random() < 0.3:
        count = str(rng.choice((len(goods.lines), sum(line.quantity for line in goods.lines))))
        rows.append(("", draft.label("quantity") + mark, [count]))
    if goods.discount or rng.random() < 0.5:
        rows.append(pair("subtotal", goods.subtotal))
    if goods.discount:
        rows.append(pair("discount", -goods.discount))
    if rng.random() < 0.5:
        rows.append(pair("tax", goods.tax))
    before = "totals_before_rounding" in draft.lang.data and rng.random() < 0.5
    if before and (goods.rounding or rng.random() < 0.3):
        rows.append(("", rng.choice(draft.lang.data["totals_before_rounding"]) + mark, [draft.money(exact, bare)]))
    if goods.rounding or (rng.random() < 0.3 and draft.places):
        rows.append(pair("rounding", goods.rounding))
    draft.amounts["total"] = goods.total
    rows.append(pair("total", goods.total))
    mode = draft.choose("across", "across", "right", "left", "inline", "right-late").removesuffix("-late")
    blocks.totals(
        draft, rows, style, mode, last=Style(style.face, round(style.size * rng.choice((1.0, 1.0, 1.2, 1.4))))
    )
    _paid(draft, sheet, style, goods, pair("cash", _tendered(draft, goods.total)), mode, bare)
    if draft.lang.code == "en" and rng.random() < 0.5:
        _tax_summary(draft, sheet, style, goods)


def _tendered(draft: Draft, total: float) -> float:
    step = draft.rng.choice((1, 5, 10, 50)) * draft.lang.data.get("price_scale", 1)
    return total if draft.rng.random() < 0.25 else float(math.ceil(total / step) * step)


def _paid(draft: Draft, sheet: Sheet, style: Style, goods: Basket, cash: blocks.Pair, mode: str, bare: bool) -> None:
    """Cash and change, or how it was paid, or nothing."""
    rng = draft.rng
    how = rng.random()
    if how < 0.7:
        paid = _number(draft, cash)
        label = draft.label("change") + (":" if cash[1].endswith(":") else "")
        label = label.upper() if cash[1].isupper() else label
        change = ("change", label, [draft.money(round(paid - goods.total, 2), bare)])
        sheet.y += style.size * rng.choice((0.0, 0.0, 0.4))
        blocks.totals(draft, [cash, change] if rng.random() < 0.85 else [cash], style, mode)
    elif how < 0.85:
        blocks.fields(draft, blocks.pairs(draft, ["payment_method"]), style, "inline")


def _number(draft: Draft, pair: blocks.Pair) -> float:
    """The amount of a pair again."""
    digits = "".join(c for c in pair[2][0] if c.isdigit())
    return float(int(digits) / 10**draft.places)


def _tax_summary(draft: Draft, sheet: Sheet, style: Style, goods: Basket) -> None:
    rng = draft.rng
    sheet.y += style.size * 0.5
    sheet.line(rng.choice(("GST Summary", "GST SUMMARY", "Tax summary")), style)
    net, tax = draft.money(goods.total - goods.tax, bare=True), draft.money(goods.tax, bare=True)
    edges = [sheet.margin, sheet.margin + sheet.inner * 0.62, sheet.width - sheet.margin]
    table = [["Tax Code", "Amount", "Tax"], [f"SR @ {goods.rate}%", net, tax]]
    for row in [*table, ["Total", net, tax]] if rng.random() < 0.4 else table:
        y = sheet.row(style)
        for text, x, align in zip(row, edges, ("left", "right", "right")):
            sheet.put(text, x, y, style.smaller(text, sheet.inner * 0.32), align)
