"""Identity cards, passes and badges: wide and small, few fields."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, extras
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.sheet import Style


def build(draft: Draft) -> None:
    """One card."""
    rng = draft.rng
    sheet = draft.sheet(rng.randint(620, 1000), rng.randint(28, 60), rng.uniform(1.2, 1.6))
    size = max(16, round(sheet.width / rng.uniform(28, 40)))
    style = Style(draft.face("sans", "condensed", "mono").face, size)
    title = Style(draft.face("sans", "display", "condensed").face, round(size * rng.uniform(1.1, 1.7)))
    issuer = rng.random() < 0.6
    layout = draft.choose("photo-left", "photo-right", "no-photo", "no-photo-two")
    align = rng.choice(("left", "center"))
    if issuer:
        name = draft.value("company")[0]
        draft.note("company", name, [sheet.line(name, style, align)])
    sheet.line(draft.title("identity"), title, align)
    sheet.y += size * 0.5
    optional = (
        "birth_date",
        "birth_place",
        "nationality",
        "valid_until",
        "department",
        "position",
        "phone",
        "reference",
    )
    keys = ["name", "id_number", *rng.sample(optional, rng.randint(2, 5))]
    if rng.random() < 0.4:
        rng.shuffle(keys)
    mode = draft.choose("above", "columns", "inline", "spread")
    details = blocks.pairs(draft, keys) + extras.some(draft, "identity", (0, 1, 1, 2))
    left, right = float(sheet.margin), float(sheet.width - sheet.margin)
    photo = sheet.inner * 0.28
    top = sheet.y
    if layout == "photo-left":
        left += photo
    elif layout == "photo-right":
        right -= photo
    if layout == "no-photo-two":
        half = (len(details) + 1) // 2
        blocks.beside(draft, [details[:half], details[half:]], style, mode)
    else:
        blocks.fields(draft, details, style, mode, left=left, right=right)
    if layout in ("photo-left", "photo-right"):
        x0 = sheet.margin if layout == "photo-left" else right + size * 0.5
        x1, y1 = x0 + photo - size, top + photo * 1.1
        sheet.rules += [(x0, top, x1, top), (x1, top, x1, y1), (x0, y1, x1, y1), (x0, top, x0, y1)]
        sheet.y = max(sheet.y, y1)
