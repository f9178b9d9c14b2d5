"""Invoices: letterhead, customer, numbers and dates, goods, sums, bank details."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, extras, words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.kinds.goods import basket
from pipelines.train.hybrid.documents.sheet import Style


def build(draft: Draft) -> None:
    """One invoice on one page."""
    rng = draft.rng
    sheet = draft.sheet(rng.randint(900, 1280), rng.randint(50, 110), rng.uniform(1.2, 1.55))
    face, size = (
        draft.face("sans", "serif", "sans", "condensed", "mono").face,
        max(16, round(sheet.width / rng.uniform(46, 62))),
    )
    style = Style(face, size)
    bold = Style(draft.face("sans", "serif").face if rng.random() < 0.3 else face, size)
    title = Style(draft.face("sans", "serif", "display").face, round(size * rng.uniform(1.5, 2.6)))
    _letterhead(draft, style, title, draft.choose("title-left", "title-right", "title-center", "title-below"))
    sheet.y += size
    _details(draft, style, bold, draft.choose("two-blocks", "customer-left", "one-block", "details-left"))
    sheet.y += size
    ruled = draft.choose("grid", "head", "rows", "none", "head-only")
    goods = basket(draft, rng.choice((1, 2, 3, 3, 4, 5, 6, 8, 10)), cents=False)
    keys = ["description", "quantity", "unit_price", "amount"]
    if rng.random() < 0.35:
        keys.insert(rng.choice((0, 1)), "item_number")
    if rng.random() < 0.15:
        keys.remove("unit_price")
    columns = [blocks.Column(key, draft.label(key), key not in ("description", "item_number")) for key in keys]
    bare = rng.random() < 0.6
    rows = [
        [
            {
                "description": line.name,
                "item_number": line.code,
                "quantity": str(line.quantity),
                "unit_price": draft.money(line.price, bare),
                "amount": draft.money(line.amount, bare),
            }[key]
            for key in keys
        ]
        for line in goods.lines
    ]
    numbers = {
        "quantity": [float(line.quantity) for line in goods.lines],
        "unit_price": [x.price for x in goods.lines],
        "amount": [line.amount for line in goods.lines],
    }
    blocks.table(draft, columns, rows, numbers, style, ruled.removesuffix("-only"), bold=bold)
    sheet.y += size * 0.7
    sums = [("subtotal", draft.label("subtotal"), [draft.money(goods.subtotal)])]
    if goods.discount:
        sums.append(("discount", draft.label("discount"), [draft.money(-goods.discount)]))
    if goods.shipping:
        sums.append(("shipping", draft.label("shipping"), [draft.money(goods.shipping)]))
    rate = f" {goods.rate}%" if rng.random() < 0.6 else ""
    sums.append(("tax", draft.label("tax") + rate, [draft.money(goods.tax)]))
    draft.amounts["total"] = goods.total
    sums.append(("total", draft.label("total"), [draft.money(goods.total)]))
    large = Style(bold.face, round(size * rng.choice((1.0, 1.15, 1.4))))
    blocks.totals(
        draft, sums, style, draft.choose("right", "across", "left", "right-ruled").removesuffix("-ruled"), last=large
    )
    sheet.y += size
    _foot(draft, Style(face, max(14, round(size * 0.85))))


def _letterhead(draft: Draft, style: Style, title: Style, layout: str) -> None:
    sheet, rng = draft.sheets[-1], draft.rng
    name, rows = draft.value("company")[0], draft.value("address")
    heading = draft.title("invoice")
    top = sheet.y
    if layout == "title-center":
        sheet.line(heading, title, "center")
        sheet.y += style.size * 0.5
    elif layout in ("title-left", "title-right"):
        side = "right" if layout == "title-right" else "left"
        half = sheet.margin + sheet.inner * 0.5
        sheet.line(
            heading, title, side, *((half, sheet.width - sheet.margin) if side == "right" else (sheet.margin, half))
        )
    sender = Style(title.face, round(style.size * rng.uniform(1.1, 1.6)))
    after = sheet.y
    beside = layout in ("title-left", "title-right") and rng.random() < 0.6
    sheet.y = top if beside else after
    align = {"title-left": "right", "title-right": "left", "title-center": rng.choice(("center", "left"))}.get(
        layout, "left"
    )
    left, right = float(sheet.margin), float(sheet.width - sheet.margin)
    if beside:
        middle = sheet.margin + sheet.inner * 0.53
        left, right = (middle, right) if align == "right" else (left, middle - style.size)
        if align == "left":
            right = sheet.margin + sheet.inner * 0.47
    draft.note("company", name, [sheet.line(name, sender, align, left, right)])
    if rng.random() < 0.3 and not draft.lang.wide:
        rows = [", ".join(rows)]
    draft.note("seller_address", rows, [sheet.line(row, style, align, left, right) for row in rows])
    for key in ("phone", "email", "tax_id", "website"):
        if rng.random() < 0.35:
            value = draft.value(key)[0]
            draft.note(key, value, [sheet.line(f"{draft.label(key)}: {value}", style, align, left, right)])
    sheet.y = max(sheet.y, after)
    if layout == "title-below":
        sheet.y += style.size
        sheet.line(heading, title)
    if rng.random() < 0.3:
        sheet.rule(8)


def _details(draft: Draft, style: Style, bold: Style, layout: str) -> None:
    rng = draft.rng
    keys = ["invoice_number", "date"] + [
        key
        for key, chance in (
            ("due_date", 0.6),
            ("order_number", 0.4),
            ("customer_number", 0.4),
            ("reference", 0.25),
            ("contact_person", 0.25),
        )
        if rng.random() < chance
    ]
    rng.shuffle(keys)
    details = blocks.pairs(draft, keys) + extras.some(draft, "invoice")
    buyer = draft.value("customer") if rng.random() < 0.5 else [words.company(rng, draft.lang, draft.held_out)]
    customer = [("customer", draft.label("customer"), [*buyer])]
    mode = rng.choice(("inline", "columns", "above", "spread"))
    where = words.address(rng, draft.lang, draft.held_out)
    start = len(draft.sheets[-1].lines)
    if not draft.held_out and rng.random() < 0.15:
        third = -(-len(details) // 2)
        parts = [[*customer], details[:third], details[third:]]
        blocks.beside(draft, [part for part in parts if part], style, mode, bold=bold)
    elif layout == "one-block":
        blocks.fields(draft, [*customer, *details], style, mode if mode != "spread" else "columns", bold=bold)
    elif layout == "two-blocks":
        half = max(1, len(details) // 2)
        blocks.beside(draft, [[*customer, *details[:half]], details[half:]], style, mode, bold=bold)
    elif layout == "details-left":
        blocks.beside(
            draft, [details, [*customer, ("customer_address", draft.label("address"), where)]], style, mode, bold=bold
        )
    else:
        blocks.beside(
            draft, [[*customer, ("customer_address", draft.label("address"), where)], details], style, mode, bold=bold
        )
    assert len(draft.sheets[-1].lines) > start


def _foot(draft: Draft, style: Style) -> None:
    rng = draft.rng
    keys = [key for key, chance in (("payment_method", 0.4), ("bank", 0.4), ("iban", 0.5)) if rng.random() < chance]
    if keys:
        blocks.fields(draft, blocks.pairs(draft, keys), style, rng.choice(("inline", "columns")))
    if rng.random() < 0.6:
        draft.sheets[-1].line(rng.choice(draft.lang.data["thanks"]), style, rng.choice(("left", "center")))
