"""Tables that stand alone: price lists, stock lists, schedules, measurements."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.kinds.goods import basket
from pipelines.train.hybrid.documents.sheet import Style


def build(draft: Draft) -> None:
    """One table with a heading, a note and perhaps a field or two."""
    rng = draft.rng
    sheet = draft.sheet(rng.randint(800, 1280), rng.randint(45, 100), rng.uniform(1.2, 1.6))
    size = max(16, round(sheet.width / rng.uniform(44, 60)))
    style = Style(draft.face("sans", "serif", "condensed", "mono").face, size)
    title = Style(draft.face("sans", "serif", "display").face, round(size * rng.uniform(1.3, 2.2)))
    align = draft.choose("left", "center", "right")
    sheet.line(draft.title("table"), title, align)
    if rng.random() < 0.6:
        name = draft.value("company")[0]
        draft.note("company", name, [sheet.line(name, style, align)])
    if rng.random() < 0.6:
        blocks.fields(draft, blocks.pairs(draft, ["date"]), style, "inline")
    sheet.y += size * 0.6
    ruled = draft.choose("grid", "head", "rows", "none", "rows-late").removesuffix("-late")
    content = draft.choose("prices", "stock", "readings", "prices-short")
    if content == "readings":
        readings(draft, style, ruled)
    else:
        _goods(draft, style, ruled, content)
    if rng.random() < 0.5:
        sheet.y += size * 0.5
        if rng.random() < 0.5:
            sheet.line(rng.choice(draft.lang.data["thanks"]), style)
        else:
            blocks.fields(draft, blocks.pairs(draft, [rng.choice(("phone", "email", "website"))]), style, "inline")


def _goods(draft: Draft, style: Style, ruled: str, content: str) -> None:
    rng = draft.rng
    goods = basket(draft, rng.randint(25, 45) if rng.random() < 0.05 else rng.randint(3, 14), cents=False)
    keys = ["description", "unit_price"]
    if content != "prices-short":
        keys = ["item_number", "description", "unit_price"] if rng.random() < 0.6 else keys
    if content == "stock":
        keys = [*keys, "quantity"]
    bare = rng.random() < 0.5
    rows = [
        [
            {
                "item_number": x.code,
                "description": x.name,
                "unit_price": draft.money(x.price, bare),
                "quantity": str(x.quantity),
            }[key]
            for key in keys
        ]
        for x in goods.lines
    ]
    numbers = {"unit_price": [x.price for x in goods.lines], "quantity": [float(x.quantity) for x in goods.lines]}
    columns = [blocks.Column(key, draft.label(key), key in ("unit_price", "quantity")) for key in keys]
    blocks.table(draft, columns, rows, numbers, style, ruled)


def readings(draft: Draft, style: Style, ruled: str) -> None:
    """Named rows with two to five columns of numbers under made-up headings."""
    rng = draft.rng
    count = rng.randint(2, 5)
    heads: list[str] = []
    while len(heads) < count:
        unit = rng.choice(("mm", "kg", "°C", "%", "kWh", "V", "ml", "bar", ""))
        head = (
            words.code(rng, rng.choice(("A9", "A", "AA", "9999")))
            if rng.random() < 0.5 or draft.lang.wide
            else (words.made_up(rng, draft.held_out, 1).capitalize())
        )
        head = f"{head} ({unit})" if unit else head
        if head not in heads:
            heads.append(head)
    names: list[str] = []
    total = rng.randint(3, 10)
    while len(names) < total:
        name = words.person(rng, draft.lang, draft.held_out) if rng.random() < 0.3 else words.code(rng, "AA-99")
        name = (
            words.made_up(rng, draft.held_out, 2).capitalize() if rng.random() < 0.4 and not draft.lang.wide else name
        )
        if name not in names:
            names.append(name)
    scale, places = rng.choice((1, 10, 100, 1000)), rng.choice((0, 1, 2))
    values = [[round(rng.uniform(0, scale), places) for _ in heads] for _ in names]
    rows = [[name, *(draft.lang.number(value, places) for value in row)] for name, row in zip(names, values)]
    numbers = {head: [row[index] for row in values] for index, head in enumerate(heads)}
    first = blocks.Column("name", draft.label("name"), False)
    blocks.table(draft, [first, *(blocks.Column(head, head) for head in heads)], rows, numbers, style, ruled)
