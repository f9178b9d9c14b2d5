"""Roles of paragraphs: heading, list, caption, footnote or body, from size, place and first characters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from encoders.layout.paragraphs import BULLET, CAPTION, ENDS, FOOTNOTE, NUMBERED, Paragraph
from encoders.layout.rules import Rule
from encoders.results import Role

_SECTION = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[A-Z]\.|[IVX]+\.|§\s*\d+|第.{1,4}[章节節条])\s*\S")


def assign_roles(paragraphs: Sequence[Paragraph], em: float, bottom: float, footnote_rules: Sequence[Rule]) -> None:
    """Set every paragraph's role. ``bottom`` is where the page's body ends; ``footnote_rules`` are
    rules that may stand above footnotes. Paragraphs come in reading order."""
    for paragraph in paragraphs:
        if CAPTION.match(paragraph.text) and _is_caption(paragraph, em):
            paragraph.role = Role.CAPTION
        elif paragraph.rows[0].bullet or BULLET.match(paragraph.text):
            paragraph.role = Role.LIST
    _numbered_lists(paragraphs, em)
    for i, paragraph in enumerate(paragraphs):
        if paragraph.role is Role.BODY:
            after = paragraphs[i + 1] if i + 1 < len(paragraphs) else None
            if _is_heading(paragraph, after, em):
                paragraph.role = Role.HEADING
    _footnotes(paragraphs, em, bottom, footnote_rules)


def _is_caption(paragraph: Paragraph, em: float) -> bool:
    """ "Table 3 shows" may begin a paragraph of the body: a caption is short, small, or has a colon or full stop."""
    head = CAPTION.match(paragraph.text)
    marked = bool(head and head[0].rstrip()[-1:] in ".:|–—-")
    return len(paragraph.rows) <= 6 and (marked or paragraph.em < 0.93 * em or len(paragraph.rows) == 1)


def _ordinal(paragraph: Paragraph) -> tuple[str, int] | None:
    found = NUMBERED.match(paragraph.text)
    if not found:
        return None
    label = found[1]
    if label.isdigit():
        return "1", int(label)
    if len(label) == 1:
        return ("a" if label.islower() else "A"), ord(label.lower()) - 96
    return "i", {"ii": 2, "iii": 3, "iv": 4, "vi": 6, "vii": 7, "viii": 8, "ix": 9}.get(label.lower(), 99)


def _numbered_lists(paragraphs: Sequence[Paragraph], em: float) -> None:
    """Numbers make a list when they count up from item to item; alone they belong to a heading or an address."""
    for i, paragraph in enumerate(paragraphs):
        here = _ordinal(paragraph)
        if here is None or paragraph.role is not Role.BODY or paragraph.em > 1.15 * em:
            continue
        for j in range(i + 1, min(i + 3, len(paragraphs))):
            there = _ordinal(paragraphs[j])
            follows = there is not None and there[1] == here[1] + 1 and (there[0] == here[0] or here[1] == 1)
            alike = abs(paragraphs[j].em - paragraph.em) < 0.15 * em
            cut = paragraphs[i + 1].rows[0].cy < paragraph.rows[-1].cy  # it goes on in the next column
            if follows and alike and (j == i + 1 or cut or paragraphs[i + 1].role is Role.LIST):
                if paragraphs[j].gap_above > 2.6 and len(paragraph.text) < 60:
                    continue
                paragraph.role = paragraphs[j].role = Role.LIST
                break
        else:
            if here[1] > 1 and i and paragraphs[i - 1].role is Role.LIST:
                before = _ordinal(paragraphs[i - 1])
                if before is not None and before[1] + 1 == here[1]:
                    paragraph.role = Role.LIST


def _is_heading(paragraph: Paragraph, after: Paragraph | None, em: float) -> bool:
    text = paragraph.text.strip()
    if len(paragraph.rows) > 3 or len(text) > 160 or text[:1].islower():
        return False
    letters = sum(char.isalpha() for char in text)
    if letters < 2 or letters < 0.5 * len(text.replace(" ", "")):
        return False
    if paragraph.em > 1.17 * em and text[-1] not in ".;,":
        return True
    if len(paragraph.rows) > 2 or text[-1] in ".;,:。，" or after is None or after.role not in (Role.BODY, Role.LIST):
        return False
    short = paragraph.rows[-1].x1 - paragraph.rows[-1].x0 < 0.8 * (paragraph.right - paragraph.left) or len(text) < 30
    prose = len(after.rows) >= 2 or len(after.text) > 60 or after.role is Role.LIST
    below = after.gap_above
    if not short or not prose or below > 3.0 or len(paragraph.text.split()) > 14:
        return False
    if _SECTION.match(text) and (paragraph.gap_above > 1.25 or paragraph.em > 1.05 * em):
        return True
    apart = paragraph.gap_above > 1.35 and paragraph.gap_above > 0.95 * below
    larger = paragraph.em > 1.06 * em
    return (apart and (larger or paragraph.gap_above > 1.08 * below) and len(after.text) > 60) or (
        larger and below > 1.2 and len(text) < 60 and apart
    )


def _footnotes(paragraphs: Sequence[Paragraph], em: float, bottom: float, rules: Sequence[Rule]) -> None:
    """Small print at the foot of the page or column that begins with a mark, and what goes on below it."""
    inside = False
    for paragraph in paragraphs:
        first = paragraph.rows[0]
        low = first.cy > 0.55 * bottom
        small = paragraph.em < 0.92 * em
        ruled = any(
            0 < first.cy - rule.at < 3.5 * em and rule.low < first.x1 and rule.high > first.x0 for rule in rules
        )
        marked = bool(FOOTNOTE.match(paragraph.text))
        if paragraph.role in (Role.BODY, Role.LIST) and low and marked and (small or ruled):
            paragraph.role, inside = Role.FOOTNOTE, True
        elif inside and paragraph.role is Role.BODY and small and paragraph.gap_above < 1.6:
            paragraph.role = Role.FOOTNOTE
        else:
            inside = False


def ends_sentence(text: str) -> bool:
    """Whether a text ends with a mark that ends sentences."""
    return text.rstrip("\"'”’») ")[-1:] in ENDS
