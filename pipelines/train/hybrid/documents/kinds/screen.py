"""Windows of office programs: a title, a menu, a side bar, fields in boxes, a list, buttons, and a line of status."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.kinds.table import readings
from pipelines.train.hybrid.documents.sheet import Sheet, Style

_MENU = ("File", "Edit", "View", "Tools", "Window", "Help", "Reports", "Format", "Insert", "Options")
_SIDE = ("Home", "Customers", "Orders", "Stock", "Calendar", "Messages", "Invoices", "Contacts", "Archive", "Settings")
_BUTTONS = ("Save", "Cancel", "Apply", "Close", "Print", "Delete", "Send", "Export", "Back", "Continue", "Duplicate")
_STATUS = ("Ready", "Connected", "All changes saved", "Read only", "Offline", "1 change not saved", "Syncing...")
_KEYS = ("name", "personal_address", "phone", "email", "position", "department", "customer_number", "order_number",
         "reference", "payment_method", "contact_person", "birth_date", "nationality", "bank", "iban")  # fmt: skip


def build(draft: Draft) -> None:
    """One window, wider than high. Its program speaks English, whatever is filled in."""
    rng = draft.rng
    width = rng.choice((1024, 1280, 1280, 1366, 1440))
    sheet = draft.sheet(width, rng.randint(14, 30), rng.uniform(1.3, 1.6))
    style = Style(draft.face("sans").face, max(15, round(width / rng.uniform(58, 80))))
    shape = draft.choose("plain", "side", "list", "both")
    name, heading = words.made_up(rng, draft.held_out, 2).capitalize(), draft.title("form")
    _shown(draft, "title", [f"{name} - {heading}"], [sheet.line(f"{name} - {heading}", style)])
    sheet.rule(6, 1, width - 1)
    menu = rng.sample(_MENU, rng.randint(3, 6))
    _row(draft, sheet, style, "menu", [text for text in _MENU if text in menu], boxed=False)
    sheet.rule(6, 1, width - 1)
    left, under = float(sheet.margin), 0.0
    if shape in ("side", "both"):
        left, under = _side(draft, sheet, style)
    sheet.line(heading, Style(style.face, round(style.size * 1.4)), left=left)
    able = _KEYS if shape in ("plain", "side") else _KEYS[1:]  # rows of the list have names of their own
    keys = rng.sample(able, rng.randint(4, 7))
    _boxed(draft, sheet, style, blocks.pairs(draft, keys), left, above=rng.random() < 0.4)
    sheet.y = max(sheet.y, under)
    if shape in ("list", "both"):
        readings(draft, style, rng.choice(("head", "rows", "grid")))
        sheet.y += style.size
    _row(draft, sheet, style, "buttons", rng.sample(_BUTTONS, rng.randint(2, 4)), boxed=True)
    sheet.rule(8, 1, width - 1)
    status = rng.choice(_STATUS)
    _shown(draft, "status", [status], [sheet.line(status, Style(style.face, max(13, round(style.size * 0.85))))])


def _shown(draft: Draft, part: str, texts: list[str], lines: list[int]) -> None:
    """Note what a part of the window shows; it is asked in words of its own."""
    draft.shown[part] = texts
    draft.note(part, "; ".join(texts), lines, asked=False)


def _row(draft: Draft, sheet: Sheet, style: Style, part: str, texts: list[str], *, boxed: bool) -> None:
    """Entries side by side, from the left, or, of buttons now and then, from the right."""
    gap = style.size * 2.0
    wide = sum(style.width(text) + gap for text in texts)
    x = sheet.width - sheet.margin - wide if boxed and draft.rng.random() < 0.5 else sheet.margin + gap / 2
    y, lines = sheet.row(style, 0.4), []
    for text in texts:
        lines.append(sheet.put(text, x, y, style))
        if boxed:
            _box(
                sheet, x - gap * 0.3, y - style.size * 0.25, x + style.width(text) + gap * 0.3, y + style.height * 1.15
            )
        x += style.width(text) + gap
    sheet.y += style.size * 0.5
    _shown(draft, part, texts, lines)


def _side(draft: Draft, sheet: Sheet, style: Style) -> tuple[float, float]:
    """A bar of entries at the left; returns where the rest begins, and the bar's lower end."""
    texts = draft.rng.sample(_SIDE, draft.rng.randint(4, 8))
    top = sheet.y
    lines = [sheet.line(text, style) for text in texts]
    edge = sheet.margin + max(map(style.width, texts)) + style.size
    _shown(draft, "side", texts, lines)
    under, sheet.y = sheet.y, top
    sheet.rules.append((edge, top, edge, under))
    return edge + style.size, under


def _boxed(draft: Draft, sheet: Sheet, style: Style, chosen: list[blocks.Pair], left: float, *, above: bool) -> None:
    """Fields with a frame around what is filled in, beside their labels or below them."""
    wide = max(style.width(label) for _, label, _ in chosen) + style.size
    begin = left + (style.size * 0.4 if above else min(wide, (sheet.width - left) * 0.4))
    end = min(sheet.width - sheet.margin - style.size, begin + sheet.width * draft.rng.uniform(0.3, 0.5))
    for key, label, rows in chosen:
        sheet.y += style.size * 0.7
        if above:
            sheet.line(label, style, left=left)
        else:
            sheet.put(label, left, sheet.y, style.smaller(label, begin - left - style.size * 0.5))
        top = sheet.y
        lines = [sheet.line(row, style, left=begin, right=end) for row in rows]
        _box(sheet, begin - style.size * 0.3, top - style.size * 0.25, end, sheet.y - style.size * 0.05)
        draft.note(key, rows, lines)
    sheet.y += style.size


def _box(sheet: Sheet, left: float, top: float, right: float, bottom: float) -> None:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    sheet.rules += [(*a, *b) for a, b in zip(corners, (*corners[1:], corners[0]))]
