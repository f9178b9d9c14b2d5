"""Letters: sender, recipient, date, subject, some sentences, of which one or two say something that can be asked."""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, extras, words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.language import kept
from pipelines.train.hybrid.documents.passages import filled, joined, sentences
from pipelines.train.hybrid.documents.sheet import Style


def build(draft: Draft) -> None:
    """One letter on one page."""
    rng, lang = draft.rng, draft.lang
    sheet = draft.sheet(rng.randint(850, 1240), rng.randint(70, 130), rng.uniform(1.25, 1.6))
    size = max(17, round(sheet.width / rng.uniform(46, 58)))
    style = Style(draft.face("serif", "sans", "receipt", "hand").face, size)
    head = Style(draft.face("sans", "serif", "display").face, round(size * rng.uniform(1.0, 1.5)))
    sender = draft.choose("sender-left", "sender-right", "sender-center", "sender-below")
    name, rows = draft.value("sender")[0], draft.value("address")
    align = {"sender-right": "right", "sender-center": "center"}.get(sender, "left")
    # in training not always first: in a small line, after the other, at the foot; held out is as rows under the signer
    how = 1.0 if draft.held_out else rng.random()
    footed, swapped = 0.3 < how <= 0.5, 0.5 < how <= 0.57
    if how < 0.15:
        small, where = Style(style.face, max(13, round(size * 0.75))), ", ".join(rows)
        line = sheet.line(f"{name} {rng.choice('-|*')} {where}", small, align)
        draft.note("sender", name, [line])
        draft.note("sender_address", where, [line])
        sheet.y += size
    elif how > 0.5 and sender != "sender-below":
        draft.note("sender", name, [sheet.line(name, head, align)])
        draft.note("sender_address", rows, [sheet.line(row, style, align) for row in rows])
        sheet.y += size
    person = draft.value("recipient")[0]
    if not swapped:
        _recipient(draft, person, style)
        sheet.y += size
    if 0.15 <= how <= 0.3:
        draft.note("sender", name, [sheet.line(name, head, "right")])
        draft.note("sender_address", rows, [sheet.line(row, style, "right") for row in rows])
        sheet.y += size
    _marks(draft, style, draft.choose("date-right", "date-left", "date-label", "date-center"))
    if rng.random() < 0.85:
        subject = draft.value("subject")[0]
        bold = Style(head.face, size)
        text = subject if rng.random() < 0.5 else f"{draft.label('subject')}: {subject}"
        if bold.width(text) < sheet.inner:
            draft.note("subject", subject, [sheet.line(text, bold)])
        sheet.y += size * 0.5
    sheet.paragraph(rng.choice(lang.data["prose"]["greetings"]).format(person=person), style)
    sheet.y += size * 0.4
    _body(draft, style)
    sheet.y += size * 0.4
    sheet.line(rng.choice(lang.data["prose"]["closings"]), style)
    signer = words.person(rng, lang, draft.held_out)
    sheet.y += size
    draft.note(
        "signed_by",
        signer,
        [sheet.line(signer, Style(draft.face("hand", "serif").face, size))],
        asked=lang.code == "en",
    )
    if sender == "sender-below":
        draft.note("sender", name, [sheet.line(name, style)])
        draft.note("sender_address", rows, [sheet.line(row, style) for row in rows])
    elif swapped:
        sheet.y += size
        _recipient(draft, person, style)
    elif footed:
        _foot(draft, name, rows, style)


def _recipient(draft: Draft, person: str, style: Style) -> None:
    """Who the letter is to, with an address that is not asked for."""
    sheet, rng = draft.sheets[-1], draft.rng
    named = f"{draft.label('recipient')}: {person}" if not draft.held_out and rng.random() < 0.15 else person
    draft.note("recipient", person, [sheet.line(named, style)])
    for row in words.address(rng, draft.lang, draft.held_out):
        sheet.line(row, style)


def _foot(draft: Draft, name: str, rows: list[str], style: Style) -> None:
    """The sender at the foot of the page, where what stands on top is the recipient: in one line, in two, or under
    labels."""
    sheet, rng = draft.sheets[-1], draft.rng
    small, where = Style(style.face, max(13, round(style.size * 0.75))), ", ".join(rows)
    sheet.y += style.size * rng.choice((0.5, 1.0, 2.0))
    if rng.random() < 0.4:
        sheet.rule(8)
    align, how = rng.choice(("left", "center", "right")), rng.random()
    if how < 0.4 and small.width(f"{name} | {where}") < sheet.inner:
        line = sheet.line(f"{name} {rng.choice('-|*')} {where}", small, align)
        draft.note("sender", name, [line])
        draft.note("sender_address", where, [line])
    elif how < 0.7:
        draft.note("sender", name, [sheet.line(name, rng.choice((small, style)), align)])
        draft.note("sender_address", where, [sheet.line(where, small, align)])
        if rng.random() < 0.5:
            phone = draft.value("phone")[0]
            draft.note("phone", phone, [sheet.line(f"{draft.label('phone')} {phone}", small, align)])
    else:
        draft.note("sender", name, [sheet.line(f"{draft.label('sender')}: {name}", style)])
        draft.note("sender_address", where, [sheet.line(f"{draft.label('address')}: {where}", style)])


def _marks(draft: Draft, style: Style, layout: str) -> None:
    sheet, rng = draft.sheets[-1], draft.rng
    when = draft.value("date")[0]
    if layout == "date-label":
        draft.note("date", when, [sheet.line(f"{draft.label('date')}: {when}", style)])
    else:
        draft.note("date", when, [sheet.line(when, style, layout.removeprefix("date-"))])
    if rng.random() < 0.35:
        mark = draft.value("reference")[0]
        draft.note("reference", mark, [sheet.line(f"{draft.label('reference')}: {mark}", style)])
    if others := extras.some(draft, "letter", (0, 0, 1, 1, 2)):
        blocks.fields(draft, others, style, "inline")
    sheet.y += style.size * 0.6


def _body(draft: Draft, style: Style) -> None:
    """Paragraphs; a sentence that states a fact stands among the others."""
    rng, lang = draft.rng, draft.lang
    facts = lang.data["prose"]["facts"]
    chosen = rng.sample(sorted(facts), min(len(facts), rng.randint(1, 2)))
    sheet = draft.sheets[-1]
    for index in range(rng.randint(1, 3)):
        texts = sentences(rng, lang, draft.held_out, rng.randint(1, 3))
        if index < len(chosen):
            key = chosen[index]
            scale = lang.data.get("price_scale", 1)
            value = (
                draft.money(round(rng.uniform(10, 5000) * scale, draft.places))
                if key == "total"
                else draft.value(key)[0]
            )
            texts.insert(
                rng.randint(0, len(texts)),
                filled(rng, lang, draft.held_out, rng.choice(kept(facts[key], draft.held_out)), value),
            )
            lines = sheet.paragraph(joined(lang, texts), style)
            draft.note(key, value, [line for line in lines if value in sheet.lines[line].text] or lines)
        else:
            sheet.paragraph(joined(lang, texts), style)
        sheet.y += style.size * 0.6
