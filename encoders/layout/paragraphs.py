"""Where one paragraph ends and the next begins, from gaps, indents, sizes, short last rows and list markers."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from encoders.layout.blocks import Flow, Row, line_pitch
from encoders.layout.joining import ends_in_hyphen
from encoders.results import Role

# A recogniser may leave out the space after a number: "1.Item".
MARKER = re.compile(
    r"^(?:(?:[•◦▪‣●○■□►➢✓*·–—-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxlIVXL]{1,4})[.)]|[①-⑳])(?=\s|$)|\(?\d{1,2}[.)](?=[^\W\d_]))"
)
BULLET = re.compile(r"^[•◦▪‣●○■□►➢✓*·–—-](?=\s)")
NUMBERED = re.compile(r"^\(?(\d{1,3}|[a-zA-Z](?=[.)]\s)|[ivxlIVXL]{1,4}(?=[.)]\s))[.)](?:\s|(?=[^\W\d_]))")
CAPTION = re.compile(
    r"^(?:fig(?:ure|ura|\.)?|table(?:au)?|tab\.|tabelle|abb(?:ildung|\.)|tabla|chart|plate|photo|scheme|listing|exhibit"
    r"|рис(?:унок|\.)|табл(?:ица|\.))\s*[A-Z]?\d+(?:[.\-]\d+)*\s*(?:[.:|–—-]|\s\S)|^[图圖表図]\s*\d+",
    re.IGNORECASE,
)
FOOTNOTE = re.compile(r"^(?:\[?\d{1,3}\]?|[*†‡§¶]{1,3}|[¹²³⁴⁵⁶⁷⁸⁹⁰]+)[\s.)]?\s*(?=[^\W\d_]|[\"“„(])")
ENDS = ".!?。！？…:;؟।"


@dataclass(slots=True, eq=False)
class Paragraph:
    """Rows that are one paragraph, list item, heading or line of an address."""

    rows: list[Row]
    left: float
    right: float
    gap_above: float = 9.0  # distance from the row before to its first row, in its line pitches
    gap_below: float = 9.0
    role: Role = Role.BODY
    short: float = math.inf  # room in em at the end of a row of its column from which on it is not stretched
    foot: float = 0.0  # where the last row of its column stands

    @property
    def text(self) -> str:
        """Its rows, unjoined; for patterns and lengths only."""
        return " ".join(row.text for row in self.rows)

    @property
    def em(self) -> float:
        """Its font size."""
        return median([row.em for row in self.rows])


def paragraphs_of(flow: Flow, em: float, pitch: float) -> list[Paragraph]:
    """Cut a flow. ``pitch`` is the page's usual line distance in em."""
    rows = flow.rows
    own = line_pitch(rows, em)
    pitch = min(own, 1.3 * pitch) if len(rows) >= 4 else min(pitch, own)
    left, right = _edges(rows, flow, em)
    paragraphs = [Paragraph([rows[0]], left, right, short=_short_from(rows, right), foot=rows[-1].cy)]
    for i in range(1, len(rows)):
        gap = (rows[i].cy - rows[i - 1].cy) / max(pitch * max(rows[i].em, 0.8 * em), 1e-3)
        last = paragraphs[-1]
        following = rows[i + 1] if i + 1 < len(rows) else None
        if _starts_anew(last, rows[i], following, gap, em):
            last.gap_below = gap
            paragraphs.append(replace(paragraphs[0], rows=[rows[i]], gap_above=gap, gap_below=9.0))
        else:
            last.rows.append(rows[i])
    return paragraphs


def _edges(rows: Sequence[Row], flow: Flow, em: float) -> tuple[float, float]:
    """Left edge where most rows begin, right edge that full rows reach; a heading may stand out over it."""
    starts = sorted(row.x0 for row in rows)
    best, left = 0, flow.left
    for start in starts:
        near = bisect_left(starts, start + 0.6 * rows[0].em) - bisect_left(starts, start - 0.1)
        if near > best:
            best, left = near, start
    ends = [row.x1 for row in rows if row.em < 1.12 * em]
    return left, max(ends) if len(ends) >= 3 else flow.right


def _short_from(rows: Sequence[Row], right: float) -> float:
    """The room in em at the end of a row from which on it was not stretched to the column's right edge, to which most
    rows are: exactly in a text layer, nearly in a recogniser's boxes. Infinite in a ragged column."""
    rooms = [(right - row.x1) / max(row.em, 1e-3) for row in rows]
    for near, share, short in ((0.1, 0.3, 0.25), (0.25, 0.45, 0.7)):
        if len(rows) >= 5 and sum(room < near for room in rooms) >= share * len(rows):
            return short
    return math.inf


def _starts_anew(last: Paragraph, row: Row, following: Row | None, gap: float, em: float) -> bool:
    before = last.rows[-1]
    size = row.em / max(before.em, 1e-3)
    if gap > 1.38:
        return True
    mid_sentence = row.text[:1].islower() or before.text.rstrip()[-1:] not in ENDS
    usual = row.em / max(last.em, 1e-3)  # a recogniser's boxes differ in height with the letters in them
    alike = 0.82 < size < 1.22 or (len(last.rows) > 2 and mid_sentence and 0.82 < usual < 1.22)
    if ends_in_hyphen(before.text) and row.text[:1].islower() and 0.7 < size < 1.4:
        return False
    if not alike and (min(len(row.text), len(before.text)) > 3 or not 0.7 < size < 1.4):
        return True
    if is_marked(row) and _marker_counts(last, row):
        return True
    unit = row.em
    in_list = is_marked(last.rows[0])
    if _centred(before, row, last):
        return False
    if in_list:
        if gap > 1.2 and (before.text.rstrip()[-1:] in ENDS or row.text[:1].isupper()):
            return True
        if row.x0 < last.rows[0].x0 - 0.5 * unit:
            return True
        if len(last.rows) > 1 and row.x0 < last.rows[1].x0 - 0.6 * unit and not following_hangs(last):
            return True
    else:
        indented = row.x0 - before.x0 > 0.7 * unit and not _hangs(last, row, following)
        if indented or _both_indented(last, row) or (len(last.rows) >= 3 and before.x0 - row.x0 > 0.7 * unit):
            return True
    # A row stops early although the next row's first word would have fitted: the paragraph ended there.
    room = last.right - before.x1
    goes_on_small = row.text[:1].islower() and before.text.rstrip()[-1:] not in ENDS
    if goes_on_small and before.x1 - before.x0 > 0.6 * (last.right - last.left):
        return False
    return room > row.lead + 0.28 * unit + 0.45 * unit and room > 1.2 * unit


def is_marked(row: Row) -> bool:
    """Whether a row begins with a bullet, number or letter of a list."""
    return row.bullet or bool(MARKER.match(row.text))


def following_hangs(last: Paragraph) -> bool:
    """Whether a list item's second row stands further in than its marker."""
    return last.rows[1].x0 < last.rows[0].x0 + 0.3 * last.rows[0].em


def _marker_counts(last: Paragraph, row: Row) -> bool:
    """A bullet always starts an item; a number or letter only where a line begins like one before it, or a gap helps,
    since "in 1998. 5 were" may break anywhere."""
    if row.bullet or BULLET.match(row.text):
        return True
    first = last.rows[0]
    ended = last.rows[-1].text.rstrip()[-1:] in ENDS or last.right - last.rows[-1].x1 > 2 * row.em
    return bool(NUMBERED.match(first.text)) or ended


def _centred(before: Row, row: Row, last: Paragraph) -> bool:
    """Two rows around one axis that both leave room on both sides; beside a row that fills the column, the other must
    leave more than the indent of a first line."""
    unit = row.em
    middle = abs((before.x0 + before.x1) - (row.x0 + row.x1)) / 2
    wide, narrow = sorted((before.x0 - last.left, row.x0 - last.left))
    differs = narrow - wide > 0.5 * unit
    return middle < 0.4 * unit and differs and narrow > (0.9 if wide > 0.5 * unit else 3.0) * unit


def _both_indented(last: Paragraph, row: Row) -> bool:
    """A paragraph of one row whose line is full and ends a sentence, and the first row of the next, as far in."""
    first = last.rows[0]
    inset = first.x0 - last.left
    alike = abs(first.x0 - row.x0) < 0.3 * row.em
    return len(last.rows) == 1 and alike and 0.7 * row.em < inset < 4 * row.em and first.text[-1:] in ENDS


def _hangs(last: Paragraph, row: Row, following: Row | None) -> bool:
    """A hanging indent: the paragraph's first row stands out to the left, all others in."""
    if len(last.rows) != 1 or following is None:
        return False
    full = last.right - last.rows[0].x1 < 3 * row.em
    return full and abs(following.x0 - row.x0) < 0.4 * row.em and row.x0 - last.rows[0].x0 < 4 * row.em


def goes_on(before: Paragraph, after: Paragraph, foot: float) -> bool:
    """Whether a paragraph at the foot of a column goes on at the head of the next; ``foot`` is how far down the column
    could have gone."""
    if before.role not in (Role.BODY, Role.LIST) or after.role is not Role.BODY:
        return False
    last, first = before.rows[-1], after.rows[0]
    ends = last.text.rstrip("\"'”’»)")[-1:] in ENDS
    if before.role is Role.LIST and ends:
        return False
    if not 0.85 < first.em / max(last.em, 1e-3) < 1.18:
        return False
    if ends_in_hyphen(last.text) and first.text[:1].islower():
        return True
    room = before.right - last.x1
    inset = first.x0 - after.left
    if before.role is Role.LIST:
        if abs(inset - _hang(before)) > 0.5 * first.em:
            return False
    elif inset > 0.7 * first.em and len(after.rows) > 1:
        return False
    elif ends and foot - last.cy > 4.5 * last.em:
        return False  # there was room for more lines
    elif ends and room > before.short * last.em:
        return False  # a line that is not stretched to the edge
    # A sentence that ends with a full line ends its paragraph three times less often than it does not.
    return room < first.lead + 0.75 * last.em and not is_marked(first) and last.x1 - last.x0 > 6.5 * last.em


def _hang(item: Paragraph) -> float:
    """How far the lines of a list item stand in from its column's edge, but for its marker."""
    if len(item.rows) > 1:
        return item.rows[-1].x0 - item.left
    pieces = item.rows[0].pieces
    if item.rows[0].bullet:
        return item.rows[0].x0 - item.left
    if len(pieces) > 1:
        return pieces[1].x0 - item.left
    return (pieces[0].spans[1][0] if len(pieces[0].spans) > 1 else pieces[0].x0) - item.left
