"""Reports of one or two pages: headings, paragraphs, a small table."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, extras
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.kinds.table import readings
from pipelines.train.hybrid.documents.passages import joined, sentences
from pipelines.train.hybrid.documents.sheet import Style


def build(draft: Draft) -> None:
    """One report."""
    rng, lang = draft.rng, draft.lang
    width, margin, leading = rng.randint(900, 1240), rng.randint(70, 120), rng.uniform(1.25, 1.6)
    sheet = draft.sheet(width, margin, leading)
    size = max(17, round(width / rng.uniform(46, 58)))
    style = Style(draft.face("serif", "sans").face, size)
    title = Style(draft.face("sans", "serif", "display").face, round(size * rng.uniform(1.5, 2.3)))
    heading = Style(title.face, round(size * 1.2))
    long = rng.random() < 0.08  # longer than a prompt holds
    pages = 2 if rng.random() < 0.35 else 1
    align = draft.choose("left", "center", "right")
    sheet.line(draft.title("report"), title, align)
    if rng.random() < 0.5:
        name = draft.value("company")[0]
        draft.note("company", name, [sheet.line(name, style, align)])
    sheet.y += size * 0.4
    keys = ["author", "date"] + [key for key in ("version", "department", "reference") if rng.random() < 0.4]
    blocks.fields(
        draft,
        blocks.pairs(draft, keys) + extras.some(draft, "report"),
        style,
        draft.choose("inline", "columns", "above"),
    )
    headings = rng.sample(lang.data["prose"]["headings"], rng.randint(2, 3) + pages - 1)
    table_after = rng.randrange(len(headings))
    break_before = len(headings) // 2 if pages == 2 else -1
    numbered = draft.choose("plain", "numbered", "lettered")
    for index, text in enumerate(headings):
        if index == break_before:
            _foot(draft, style, 1, pages)
            sheet = draft.sheet(width, margin, leading)
        sheet.y += size * 0.8
        mark = {"plain": "", "numbered": f"{index + 1}. ", "lettered": f"{'ABCDEFG'[index]}) "}[numbered]
        sheet.line(mark + text, heading)
        for _ in range(rng.randint(3, 4) if long else rng.randint(1, 2)):
            texts = sentences(rng, lang, draft.held_out, rng.randint(4, 6) if long else rng.randint(1, 4))
            sheet.paragraph(joined(lang, texts), style)
            sheet.y += size * 0.3
        if index == table_after:
            sheet.y += size * 0.3
            readings(draft, style, draft.choose("grid", "head", "rows"))
    _foot(draft, style, pages, pages)


def _foot(draft: Draft, style: Style, page: int, pages: int) -> None:
    if pages > 1:
        sheet = draft.sheets[-1]
        sheet.y += style.size
        text = draft.rng.choice(draft.lang.data["titles"]["page"]).format(n=page, m=pages)
        sheet.line(text, Style(style.face, max(13, round(style.size * 0.8))), "center")
