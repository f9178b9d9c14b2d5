"""What Malaysian shop receipts have of their own: legal forms, lots and roads, registration and tax numbers."""

from __future__ import annotations

from pipelines.train.hybrid.documents import words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.sheet import Sheet, Style


def company(draft: Draft) -> tuple[str, str]:
    """A shop's name and its registration number as printed."""
    rng, lang, local = draft.rng, draft.lang, draft.lang.data["malaysia"]
    stem = words.made_up(rng, draft.held_out, rng.choice((1, 2, 2, 3))).capitalize()
    if rng.random() < 0.2:
        stem = words.code(rng, rng.choice(("AA", "AAA", "99 A", "A.A."))).strip() + " " + stem
    last = rng.choice(words.part(lang.names["last"], draft.held_out))
    trade = rng.choice(words.part(lang.data["trades"] + local["trades"], draft.held_out))
    name = rng.choice(local["company"]).format(name=stem, last=last, trade=trade)
    forms = (
        "(999999-A)",
        "(999999 A)",
        "(9999999-A)",
        "999999-A",
        "CO. NO: 999999-A",
        "Co. Reg. No. 999999-A",
        "9999999A",
    )
    return name, words.code(rng, rng.choice(forms))


def address(draft: Draft) -> list[str]:
    """Two to four rows: lot, road, district, post code and town, state."""
    rng, local = draft.rng, draft.lang.data["malaysia"]

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


def customer(draft: Draft, sheet: Sheet, style: Style, capitals: bool) -> None:
    """Who buys, with an address that is not the shop's."""
    name, _ = company(draft)
    rows = address(draft)
    if capitals:
        name, rows = name.upper(), [row.upper() for row in rows]
    label = draft.label("customer")
    text = f"{label} : {name}"
    if style.width(text) > sheet.inner:
        sheet.line(f"{label} :", style)
        text = name
    draft.note("customer", name, [sheet.line(text, style)])
    if draft.rng.random() < 0.6:
        draft.note("customer_address", rows, [sheet.line(row, style) for row in rows])
