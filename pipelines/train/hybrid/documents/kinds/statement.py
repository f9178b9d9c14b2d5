"""Bank and meter statements."""

from __future__ import annotations

from datetime import timedelta

from pipelines.train.hybrid.documents import blocks, extras, words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.sheet import Style


def build(draft: Draft) -> None:
    """One statement."""
    rng = draft.rng
    sheet = draft.sheet(rng.randint(900, 1240), rng.randint(50, 100), rng.uniform(1.2, 1.5))
    size = max(16, round(sheet.width / rng.uniform(46, 60)))
    style = Style(draft.face("sans", "serif", "condensed", "mono").face, size)
    title = Style(draft.face("sans", "serif", "display").face, round(size * rng.uniform(1.3, 2.0)))
    meter = draft.choose("bank", "meter", "bank-late") == "meter"
    issuer = draft.value("company")[0]
    draft.note(
        "company",
        issuer,
        [sheet.line(issuer, title if rng.random() < 0.4 else style, draft.choose("left", "right", "center"))],
    )
    sheet.line(draft.title("meter" if meter else "statement"), title)
    sheet.y += size * 0.6
    keys = ["name", "date", "customer_number" if meter else "account_number"]
    keys += [key for key in ("personal_address", "iban", "reference", "phone") if rng.random() < 0.35]
    details = blocks.pairs(draft, keys)
    details.append(("period", draft.label("period"), [_period(draft)]))
    details += extras.some(draft, "statement")
    half = (len(details) + 1) // 2
    layout = draft.choose("two", "one", "two-late")
    if not draft.held_out and rng.random() < 0.2:
        third = (len(details) + 2) // 3
        parts = [details[start : start + third] for start in range(0, len(details), third)]
        blocks.beside(draft, parts, style, rng.choice(("inline", "above", "boxed", "columns")))
    elif layout.startswith("two"):
        blocks.beside(draft, [details[:half], details[half:]], style, rng.choice(("inline", "columns", "above")))
    else:
        blocks.fields(draft, details, style, rng.choice(("inline", "columns", "spread")))
    sheet.y += size
    (_meter if meter else _bank)(draft, style)


def _period(draft: Draft) -> str:
    first = draft.day().replace(day=1)
    last = first + timedelta(days=draft.rng.choice((30, 60, 90)))
    return f"{draft.dated(first)} - {draft.dated(last)}"


def _bank(draft: Draft, style: Style) -> None:
    rng = draft.rng
    sheet = draft.sheets[-1]
    scale = draft.lang.data.get("price_scale", 1)
    places = draft.places
    opening = round(rng.uniform(50, 9000) * scale, places)
    moves, names = [], []
    day = draft.day()
    days = []
    for _ in range(rng.randint(3, 10)):
        name = words.company(rng, draft.lang, draft.held_out)
        if name not in names:
            names.append(name)
            moves.append(round(rng.choice((-1, -1, -1, 1)) * rng.uniform(3, 900) * scale, places))
            day += timedelta(days=rng.randint(1, 4))
            days.append(draft.dated(day))
    closing = round(opening + sum(moves), places)
    bare = rng.random() < 0.6
    start = ("opening_balance", draft.label("opening_balance"), [draft.money(opening)])
    end = ("closing_balance", draft.label("closing_balance"), [draft.money(closing)])
    mode = draft.choose("around", "above", "below")
    sums = rng.choice(("across", "right", "left"))
    if mode == "around":
        blocks.totals(draft, [start], style, sums)
    elif mode == "above":
        blocks.totals(draft, [start, end], style, sums)
    sheet.y += style.size * 0.4
    columns = [
        blocks.Column("date", draft.label("date"), False),
        blocks.Column("description", draft.label("description"), False),
        blocks.Column("amount", draft.label("amount")),
    ]
    rows = [[when, name, draft.money(move, bare)] for when, name, move in zip(days, names, moves)]
    blocks.table(draft, columns, rows, {"amount": moves}, style, draft.choose("head", "rows", "grid", "none"))
    sheet.y += style.size * 0.4
    if mode != "above":
        blocks.totals(draft, [end] if mode == "around" else [start, end], style, sums)


def _meter(draft: Draft, style: Style) -> None:
    rng = draft.rng
    sheet = draft.sheets[-1]
    before = rng.randint(100, 90000)
    used = rng.randint(20, 4000)
    unit = rng.choice(("kWh", "m³", "kWh"))
    shown = rng.random() < 0.5
    price = rng.uniform(0.1, 0.6) * draft.lang.data.get("price_scale", 1)
    suffix = f" {unit}" if shown else ""
    readings = [
        ("meter_number", draft.label("meter_number"), draft.value("meter_number")),
        ("previous_reading", draft.label("previous_reading"), [f"{before}{suffix}"]),
        ("current_reading", draft.label("current_reading"), [f"{before + used}{suffix}"]),
        ("consumption", draft.label("consumption"), [f"{used} {unit}"]),
    ]
    blocks.fields(draft, readings, style, rng.choice(("columns", "spread", "inline")))
    sheet.y += style.size * 0.6
    net = round(used * price, draft.places)
    tax = round(net * rng.choice(draft.lang.data.get("tax_rates", [5, 7, 20])) / 100, draft.places)
    sums = [
        ("subtotal", draft.label("subtotal"), [draft.money(net)]),
        ("tax", draft.label("tax"), [draft.money(tax)]),
        ("total", draft.label("total"), [draft.money(net + tax)]),
    ]
    blocks.totals(draft, sums, style, draft.choose("right", "across", "left"))
    if rng.random() < 0.6:
        blocks.fields(draft, blocks.pairs(draft, ["due_date"]), style, "inline")
