"""Shop receipts: narrow, centred or not, amounts at the right, many sums that are nearly the total."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, extras, words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.kinds import malaysia, receipt_clutter
from pipelines.train.hybrid.documents.kinds.goods import basket
from pipelines.train.hybrid.documents.kinds.receipt_goods import items
from pipelines.train.hybrid.documents.kinds.receipt_sums import sums
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
    local = "malaysia" in draft.lang.data and rng.random() < 0.65
    if local and not draft.alike:
        draft.money_form = rng.choice(("RM {}", "RM{}", "{}", "MYR {}"))
    count = rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 11))
    goods = basket(draft, count, shop=True, cents=local or rng.random() < 0.4, rates=(6,) if local else ())
    top = "center" if align.startswith("center") else "left"
    details_first = rng.random() < (0.85 if draft.held_out else 0.7)
    _head(draft, sheet, style, top, capitals, local)
    if details_first:
        _details(draft, sheet, style, capitals)
    if local and rng.random() < 0.15:
        malaysia.customer(draft, sheet, style, capitals)
    _separator(draft, sheet, style)
    items(draft, sheet, style, goods, capitals)
    _separator(draft, sheet, style)
    sums(draft, sheet, style, goods, capitals)
    receipt_clutter.after_sums(draft, goods, lambda text: _flow(sheet, text, style, rng.choice(("left", "center"))))
    if not details_first:
        _separator(draft, sheet, style)
        _details(draft, sheet, style, capitals)
    receipt_clutter.second_date(draft, lambda text: _flow(sheet, text, style, "left"))
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


def _head(draft: Draft, sheet: Sheet, style: Style, align: str, capitals: bool, local: bool) -> None:
    """Company, registration, address, telephone, tax number."""
    rng, lang = draft.rng, draft.lang
    name, registration = words.company(rng, lang, draft.held_out), ""
    rows = words.address(rng, lang, draft.held_out)
    if local:
        name, registration = malaysia.company(draft)
        rows = malaysia.address(draft)
    elif rng.random() < 0.3:
        rows = rows + [rng.choice(lang.data.get("countries", ["EU"]))] if rng.random() < 0.3 else [", ".join(rows)]
    elif not draft.held_out and rng.random() < 0.2:
        rows = [*rows, rng.choice(lang.data.get("countries", ["EU"]))]
    name = receipt_clutter.spelled(draft, name)
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
    if rng.random() < 0.15:  # a till's number or what somebody wrote on top
        above = words.code(rng, "99999999") if rng.random() < 0.6 else words.made_up(rng, draft.held_out, 2)
        sheet.line(above, style, align)
    receipt_clutter.above(draft, lambda text: _flow(sheet, text, style, align))
    bracketed = registration.startswith("(") or not draft.held_out
    joined = registration and rng.random() < 0.4 and bracketed
    lines = [
        index
        for text in receipt_clutter.parted(draft, f"{name} {registration}" if joined else name)
        for index in _flow(sheet, text, big, align)
    ]
    draft.note("company", name, lines)
    receipt_clutter.behind(draft, capitals, lambda text: _flow(sheet, text, style, align))
    if registration and not joined:
        sheet.line(registration, style, align)
    placed = [index for row in rows for index in _flow(sheet, row, style, align)]
    draft.note("address", rows, placed)
    receipt_clutter.below(draft, lambda text: _flow(sheet, text, style, align))
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


def _details(draft: Draft, sheet: Sheet, style: Style, capitals: bool) -> None:
    """Number, date, time, cashier: one a row, or two at the ends of a row."""
    rng = draft.rng
    keys = ["date"] + [
        key
        for key, chance in (
            ("receipt_number", 0.8),
            ("time", 0.6),
            ("cashier", 0.5),
            ("reference", 0.12),
        )
        if rng.random() < chance
    ]
    others = extras.some(draft, "receipt")
    rng.shuffle(keys)
    mark = rng.choice((":", ":", " :", ""))
    mode = draft.choose("inline", "two", "columns", "inline-late")
    if others:
        fitting = [(key, _cased(label, capitals), rows) for key, label, rows in others]
        blocks.fields(draft, fitting, style, "columns" if mode == "columns" else "inline", mark=mark)
    joined = "time" in keys and rng.random() < 0.4
    if joined:
        keys.remove("time")
    left, right = float(sheet.margin), float(sheet.width - sheet.margin)
    texts: list[tuple[str, str, str]] = []
    for key in keys:
        value = draft.value(key)[0]
        value = value.upper() if capitals else value
        bare = key == "date" and rng.random() < 0.3
        extra = f" {draft.value('time')[0]}" if key == "date" and joined else ""
        if extra and not draft.held_out and rng.random() < 0.2:
            extra = "," * rng.randint(0, 1) + extra
        if key == "date" and joined:
            draft.note("time", extra.strip(" ,"), [len(sheet.lines)])
        shown = value + extra
        if extra and not draft.held_out and rng.random() < 0.4:  # the hour first, perhaps a till's number between
            shown = f"{extra.strip(' ,')} {words.code(rng, '999999 ') if rng.random() < 0.3 else ''}{value}"
        texts.append((key, value, shown if bare else f"{_cased(draft.label(key), capitals)}{mark} {shown}"))
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


def _cased(text: str, capitals: bool) -> str:
    return text.upper() if capitals else text


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
