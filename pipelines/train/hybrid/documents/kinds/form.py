"""Filled-in forms: labels left of their values, above them, in boxes, in one or two columns."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, extras
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.sheet import Style

_KEYS = (
    "name",
    "personal_address",
    "birth_date",
    "birth_place",
    "nationality",
    "phone",
    "email",
    "position",
    "department",
    "customer_number",
    "reference",
    "iban",
    "bank",
    "payment_method",
    "contact_person",
    "order_number",
)


def build(draft: Draft) -> None:
    """One form on one page."""
    rng = draft.rng
    sheet = draft.sheet(rng.randint(800, 1240), rng.randint(50, 110), rng.uniform(1.25, 1.6))
    size = max(16, round(sheet.width / rng.uniform(42, 58)))
    style = Style(draft.face("sans", "serif", "condensed").face, size)
    filled = Style(draft.face("hand", "receipt", "mono", "sans").face, size) if rng.random() < 0.55 else style
    title = Style(draft.face("sans", "serif", "display").face, round(size * rng.uniform(1.4, 2.2)))
    align = draft.choose("left", "center", "right")
    if rng.random() < 0.5:
        name = draft.value("company")[0]
        draft.note("company", name, [sheet.line(name, style, align)])
    sheet.line(draft.title("form"), title, align)
    if rng.random() < 0.5:
        sheet.rule(10)
    sheet.y += size * 0.7
    keys = rng.sample(_KEYS, rng.randint(5, 11))
    details = blocks.pairs(draft, ["date", *keys] if rng.random() < 0.5 else [*keys, "date"])
    if others := extras.some(draft, "form", (0, 1, 2, 3, 4, 4)):
        details += others
        rng.shuffle(details)
    mode = draft.choose("columns", "above", "boxed", "inline", "spread", "boxed-late").removesuffix("-late")
    columns = {"one": 1, "two": 2, "three": 3}[draft.choose("one", "two", "three")]
    if not draft.held_out and rng.random() < 0.3 and sheet.width > 950:
        columns = 4  # three are held out
        draft.layout = f"{draft.layout.rpartition('.')[0]}.four"
    if columns == 1:
        blocks.fields(draft, details, style, mode, bold=filled, mark=rng.choice((":", "", ":")))
    else:
        each = -(-len(details) // columns)
        parts = [details[start : start + each] for start in range(0, len(details), each)]
        blocks.beside(draft, parts, style, mode, bold=filled)
    if rng.random() < 0.4:
        sheet.y += size
        sheet.line(draft.rng.choice(draft.lang.data["thanks"]), style)
