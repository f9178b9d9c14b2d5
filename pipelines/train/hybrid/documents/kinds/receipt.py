"""Shop receipts: narrow, centred or not, amounts at the right, many sums that are nearly the total."""

from __future__ import annotations

import math

from pipelines.train.hybrid.documents import blocks, words
from pipelines.train.hybrid.documents.draft import Draft, Table
from pipelines.train.hybrid.documents.kinds.goods import Basket, basket
from pipelines.train.hybrid.documents.sheet import Sheet, Style


def build(draft: Draft) -> None:
    """One receipt."""
    rng = draft.rng
    sheet = draft.sheet(rng.randint(460, 760), rng.randint(18, 44), rng.uniform(1.12, 1.5))
    face = draft.face("receipt", "mono", "mono", "sans", "condensed").face
    size = max(15, min(30, int(sheet.width / rng.uniform(22, 30))))
    style = Style(face, size)
    capitals = rng.random() < 0.6 and not draft.lang.wide
    align = draft.choose("center", "center-mixed", "left", "left-wide")
    goods = basket(draft, rng.choice((1, 2, 2, 3, 3, 4, 5, 6, 8, 11)), tax_inside=True, cents=rng.random() < 0.6)
    top = "center" if align.startswith("center") else "left"
    details_first = rng.random() < 0.85
    _head(draft, sheet, style, top, capitals)
    if details_first:
        _details(draft, sheet, style)
    _separator(draft, sheet, style)
    _items(draft, sheet, style, goods, capitals)
    _separator(draft, sheet, style)
    _sums(draft, sheet, style, goods, capitals)
    if not details_first:
        _separator(draft, sheet, style)
        _details(draft, sheet, style)
    if rng.random() < 0.8:
        sheet.y += style.size * 0.6
        for text in rng.sample(draft.lang.data["thanks"], rng.randint(1, 2)):
            _flow(sheet, text.upper() if capitals else text, style, "center")


def _flow(sheet: Sheet, text: str, style: Style, align: str) -> list[int]:
    """A line, or several when it is too wide."""
    return (
        [sheet.line(text, style, align)]
        if style.width(text) <= sheet.inner
        else sheet.paragraph(text, style, align=align)
    )


def _head(draft: Draft, sheet: Sheet, style: Style, align: str, capitals: bool) -> None:
    """Company, registration, address, telephone, tax number."""
    rng, lang = draft.rng, draft.lang
    local = lang.data["malaysia"] if "malaysia" in lang.data and rng.random() < 0.6 else None
    name = words.company(rng, lang, draft.held_out)
    rows = words.address(rng, lang, draft.held_out)
    registration = ""
    if local:
        draft.money_form = rng.choice(("RM {}", "RM{}", "{}", "MYR {}"))
        stem = words.made_up(rng, draft.held_out, 2).capitalize()
        last = rng.choice(words.part(lang.names["last"], draft.held_out))
        trade = rng.choice(lang.data["trades"] + local["trades"])
        name = rng.choice(local["company"]).format(name=stem, last=last, trade=trade)
        rows = _local_address(draft, local)
        registration = words.code(
            rng, rng.choice(("(999999-A)", "(999999 A)", "(9999999-A)", "999999-A", "CO. NO: 999999-A"))
        )
    elif rng.random() < 0.3:
        rows = rows + [rng.choice(lang.data.get("countries", ["EU"]))] if rng.random() < 0.3 else [", ".join(rows)]
    if capitals:
        name, rows = name.upper(), [row.upper() for row in rows]
    big = (
        style
        if rng.random() < 0.5
        else Style(
            style.face if lang.wide else draft.face("sans", "condensed", "display", "mono").face,
            round(style.size * rng.uniform(1.1, 1.5)),
        )
    )
    if rng.random() < 0.12:
        sheet.line(words.code(rng, "99999999"), style, align)
    joined = registration and rng.random() < 0.4 and registration.startswith("(")
    lines = _flow(sheet, f"{name} {registration}" if joined else name, big, align)
    draft.note("company", name, lines)
    if registration and not joined:
        sheet.line(registration, style, align)
    placed = [index for row in rows for index in _flow(sheet, row, style, align)]
    draft.note("address", rows, placed)
    for key, chance in (("phone", 0.65), ("tax_id", 0.6), ("email", 0.1), ("website", 0.12)):
        if rng.random() < chance:
            label, value = draft.label(key), draft.value(key)[0]
            if rng.random() < 0.15 and key != "tax_id":
                draft.note(key, value, [sheet.line(value, style, align)])
            else:
                label = label.upper() if capitals else label
                text = f"{label}{rng.choice((': ', ' : ', ':', ' '))}{value}"
                draft.note(key, value, [sheet.line(text, style, align)])
    if rng.random() < 0.7:
        sheet.y += style.size * rng.choice((0.0, 0.5))
        title = draft.title("receipt")
        sheet.line(title, big if rng.random() < 0.3 else style, align if rng.random() < 0.3 else "center")


def _local_address(draft: Draft, local: dict[str, list[str]]) -> list[str]:
    """Two to four rows: lot, road, district, post code and town, state."""
    rng = draft.rng

    def stem() -> str:
        return rng.choice(local["stems"]) if rng.random() < 0.35 else words.made_up(rng, draft.held_out, 2).capitalize()

    lot = rng.choice(local["lots"]).format(n=rng.randint(1, 199), k=rng.randint(1, 60), m=rng.randint(1, 12))
    road = rng.choice(local["roads"]).format(
        stem=stem(), n=rng.randint(1, 19), k=rng.randint(1, 60), m=rng.choice("ABCD")
    )
    town = rng.choice(local["towns"]) if rng.random() < 0.5 else stem() + rng.choice((" Jaya", " Baru", "", " Alam"))
    place = f"{rng.randint(10000, 98999)} {town}"
    state = rng.choice(local["states"])
    rows = [f"{lot}, {road}," if rng.random() < 0.6 else f"{lot}, {road}"]
    if rng.random() < 0.5:
        rows.append(rng.choice(local["districts"]).format(stem=stem()) + rng.choice((",", "", ",")))
    rows.append(
        f"{place}, {state}{rng.choice(('', '.', '.'))}"
        if rng.random() < 0.6
        else f"{place}{rng.choice((',', '', '.'))}"
    )
    return rows


def _details(draft: Draft, sheet: Sheet, style: Style) -> None:
    """Number, date, time, cashier: one a row, or two at the ends of a row."""
    rng = draft.rng
    keys = ["date"] + [
        key
        for key, chance in (
            ("receipt_number", 0.8),
            ("time", 0.6),
            ("cashier", 0.5),
            ("customer", 0.1),
            ("reference", 0.12),
        )
        if rng.random() < chance
    ]
    rng.shuffle(keys)
    mark = rng.choice((":", ":", " :", ""))
    mode = draft.choose("inline", "two", "columns", "inline-late")
    joined = "time" in keys and rng.random() < 0.4
    if joined:
        keys.remove("time")
    left, right = float(sheet.margin), float(sheet.width - sheet.margin)
    texts: list[tuple[str, str, str]] = []
    for key in keys:
        value = draft.value(key)[0]
        bare = key == "date" and rng.random() < 0.3
        extra = f" {draft.value('time')[0]}" if key == "date" and joined else ""
        if key == "date" and joined:
            draft.note("time", extra.strip(), [len(sheet.lines)])
        texts.append((key, value, value + extra if bare else f"{draft.label(key)}{mark} {value}{extra}"))
    if mode == "columns":
        plain = [(key, draft.label(key), [value]) for key, value, _ in texts]
        draft.facts = [fact for fact in draft.facts if fact.key != "time" or not joined]
        blocks.fields(draft, plain, style, "columns", mark=mark)
        return
    index = 0
    while index < len(texts):
        key, value, text = texts[index]
        following = texts[index + 1] if index + 1 < len(texts) else None
        if mode == "two" and following and style.width(text) + style.width(following[2]) + style.size < right - left:
            y = sheet.row(style)
            _place(draft, key, value, sheet.put(text, left, y, style))
            _place(draft, following[0], following[1], sheet.put(following[2], right, y, style, "right"))
            index += 2
            continue
        _place(draft, key, value, sheet.line(text, style))
        index += 1


def _place(draft: Draft, key: str, value: str, line: int) -> None:
    draft.note(key, value, [line])
    for fact in draft.facts:
        if key == "date" and fact.key == "time":
            fact.lines = [line]


def _separator(draft: Draft, sheet: Sheet, style: Style) -> None:
    how = draft.rng.random()
    if how < 0.35:
        mark = draft.rng.choice("-=*_-")
        sheet.line(mark * max(4, int(sheet.inner / style.width(mark) * 0.95)), style, "center")
    elif how < 0.7:
        sheet.rule(8)
    else:
        sheet.y += style.size * 0.5


def _items(draft: Draft, sheet: Sheet, style: Style, goods: Basket, capitals: bool) -> None:
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


def _sums(draft: Draft, sheet: Sheet, style: Style, goods: Basket, capitals: bool) -> None:
    """Subtotal, discount, tax, rounding, total, cash, change, tax summary."""
    rng = draft.rng
    bare = rng.random() < 0.5
    mark = rng.choice(("", ":", " :", ""))

    def pair(key: str, value: float) -> blocks.Pair:
        options = draft.lang.data.get("receipt_labels", {}).get(key)
        label = rng.choice(options) if options and rng.random() < 0.6 else draft.label(key)
        return key, (label.upper() if capitals else label) + mark, [draft.money(value, bare)]

    rows = []
    if goods.discount or rng.random() < 0.6:
        rows.append(pair("subtotal", goods.subtotal))
    if goods.discount:
        rows.append(pair("discount", -goods.discount))
    if rng.random() < 0.5:
        rows.append(pair("tax", goods.tax))
    if goods.rounding or (rng.random() < 0.3 and draft.places):
        rows.append(pair("rounding", goods.rounding))
    total = pair("total", goods.total)
    rows.append(total)
    mode = draft.choose("across", "right", "left", "across")
    last = Style(style.face, round(style.size * rng.choice((1.0, 1.0, 1.2, 1.4))))
    blocks.totals(draft, rows, style, mode, last=last)
    after = []
    if rng.random() < 0.7:
        step = rng.choice((1, 5, 10, 50)) * draft.lang.data.get("price_scale", 1)
        paid = goods.total if rng.random() < 0.25 else math.ceil(goods.total / step) * step
        after = [pair("cash", paid), pair("change", round(paid - goods.total, 2))]
        if rng.random() < 0.3:
            sheet.y += style.size * 0.4
        blocks.totals(draft, after if rng.random() < 0.85 else after[:1], style, mode)
    elif rng.random() < 0.5:
        blocks.fields(draft, blocks.pairs(draft, ["payment_method"]), style, "inline")
    if draft.lang.code == "en" and rng.random() < 0.4:
        _tax_summary(draft, sheet, style, goods)


def _tax_summary(draft: Draft, sheet: Sheet, style: Style, goods: Basket) -> None:
    rng = draft.rng
    sheet.y += style.size * 0.5
    sheet.line(rng.choice(("GST Summary", "GST SUMMARY", "Tax summary")), style)
    net = draft.money(goods.total - goods.tax, bare=True)
    small = [sheet.margin, sheet.margin + sheet.inner * 0.62, sheet.width - sheet.margin]
    for row in (["Tax Code", "Amount", "Tax"], [f"SR @ {goods.rate}%", net, draft.money(goods.tax, bare=True)]):
        y = sheet.row(style)
        for text, x, align in zip(row, small, ("left", "right", "right")):
            sheet.put(text, x, y, style.smaller(text, sheet.inner * 0.32), align)
