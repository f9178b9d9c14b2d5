"""Questions that only the geometry of the page answers."""

from __future__ import annotations

from collections import Counter

from pipelines.train.hybrid.documents import wordings
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.sheet import Sheet
from pipelines.train.hybrid.documents.tasks.ask_fields import language_of_question, unique
from pipelines.train.hybrid.samples import PrintedLine, Task

_THIRDS = (
    "Where is the {n}: top, middle or bottom?",
    "In which part of the page is the {n}: top, middle or bottom?",
    "Is the {n} at the top, in the middle or at the bottom of the page?",
    "Position of the {n} (top, middle, bottom)?",
)
_HALVES = (
    "Is the {n} in the left or the right half of the page?",
    "Left or right: where is the {n} printed?",
    "On which side of the page is the {n}, left or right?",
)


def _words(line: PrintedLine) -> bool:
    return any(c.isalnum() for c in line.text)


def _single(sheet: Sheet) -> list[int]:
    """Runs whose text stands once on the page."""
    counts = Counter(line.text for line in sheet.lines)
    return [n for n, line in enumerate(sheet.lines) if counts[line.text] == 1 and _words(line) and len(line.text) < 60]


def below(sheet: Sheet, index: int) -> int | None:
    """The run that clearly stands directly below another, if one does."""
    return _vertical(sheet, index, 1)


def above(sheet: Sheet, index: int) -> int | None:
    """The run that clearly stands directly above another."""
    return _vertical(sheet, index, -1)


def _vertical(sheet: Sheet, index: int, direction: int) -> int | None:
    left, top, right, bottom = sheet.lines[index].box
    found = []
    for other, line in enumerate(sheet.lines):
        gap = line.box[1] - bottom if direction > 0 else top - line.box[3]
        shared = min(right, line.box[2]) - max(left, line.box[0])
        if other != index and gap > -2 and shared > 0:
            found.append((gap, shared / min(right - left, line.box[2] - line.box[0]), other))
    found.sort()
    height = bottom - top
    if not found or found[0][0] > 1.3 * height or found[0][1] < 0.6:
        return None
    if len(found) > 1 and found[1][0] - found[0][0] < 0.5 * height:
        return None
    return found[0][2] if _words(sheet.lines[found[0][2]]) else None


def right_of(sheet: Sheet, index: int) -> int | None:
    """The run next to another on its right, in the same row."""
    _, top, right, bottom = sheet.lines[index].box
    row = []
    for other, line in enumerate(sheet.lines):
        shared = min(bottom, line.box[3]) - max(top, line.box[1])
        least = min(bottom - top, line.box[3] - line.box[1])
        if other != index and line.box[0] >= right - 1 and shared > 0:
            row.append((line.box[0], shared / least, other))
    row.sort()
    if not row or row[0][1] < 0.8 or row[0][0] - right > 0.7 * sheet.width:
        return None
    return row[0][2]


def left_of(sheet: Sheet, index: int) -> int | None:
    """The run of which another is the next on the right."""
    found = [other for other in range(len(sheet.lines)) if right_of(sheet, other) == index]
    return found[0] if len(found) == 1 else None


def neighbour(draft: Draft) -> Task | None:
    """What stands below, above or right of a text."""
    rng = draft.rng
    page = rng.randrange(len(draft.sheets))
    sheet = draft.sheets[page]
    searches = (("below", below), ("right_of", right_of), ("above", above), ("right_of", right_of))
    kind, search = rng.choice(searches if draft.held_out else (*searches, ("left_of", left_of)))
    able = _single(sheet)
    elsewhere = Counter(line.text for other in draft.sheets if other is not sheet for line in other.lines)
    for index in rng.sample(able, min(6, len(able))):
        text = sheet.lines[index].text
        if elsewhere[text] or '"' in text or (found := search(sheet, index)) is None:
            continue
        lang = language_of_question(draft)
        if kind == "left_of" or (not draft.held_out and lang.code == "en" and rng.random() < 0.6):
            question = wordings.other(draft, kind, t=text)
        else:
            question = lang.ask(rng, kind, draft.held_out, text=text)
        return Task("layout", question, None, sheet.lines[found].text)
    return None


def edge(draft: Draft) -> Task | None:
    """The first or last line, or what stands at the top right."""
    if len(draft.sheets) > 1:
        return None
    rng, sheet = draft.rng, draft.sheets[0]
    lang = language_of_question(draft)
    lines = sorted((line for line in sheet.lines if _words(line)), key=lambda line: line.box[1])
    first, second = lines[0], lines[1]
    kind = rng.choice(("first_line", "last_line", "top_right"))

    def question() -> str:
        if not draft.held_out and lang.code == "en" and rng.random() < 0.6:
            return wordings.other(draft, kind)
        return lang.ask(rng, kind, draft.held_out)

    if kind == "last_line":
        last = max(lines, key=lambda line: line.box[3])
        if any(line is not last and line.box[3] > last.box[1] for line in lines):
            return None
        return Task("layout", question(), None, last.text)
    alone = second.box[1] >= first.box[3] - 2
    if kind == "first_line":
        return Task("layout", question(), None, first.text) if alone else None
    row = [line for line in lines if line.box[1] < first.box[3] - 2]
    corner = max(row, key=lambda line: line.box[2])
    if corner.box[0] < sheet.width * 0.5 or corner.box[2] < sheet.width * 0.8:
        return None
    if any(line is not corner and line.box[1] < corner.box[3] and line.box[0] > sheet.width * 0.4 for line in lines):
        return None
    return Task("layout", question(), None, corner.text)


def where(draft: Draft) -> Task | None:
    """In which third of the page, or in which half, a field stands."""
    if len(draft.sheets) > 1:
        return None
    rng, sheet = draft.rng, draft.sheets[0]
    able = [fact for fact in draft.facts if unique(draft, fact) and fact.lines]
    if not able:
        return None
    fact = rng.choice(able)
    boxes = [sheet.lines[line].box for line in fact.lines]
    name = fact.key.replace("_", " ")
    height = sheet.y + sheet.margin
    if rng.random() < 0.55:
        third = sum(box[1] + box[3] for box in boxes) / 2 / len(boxes) / height * 3
        if min(abs(third - 1), abs(third - 2)) < 0.15:
            return None
        wording = rng.choice(_THIRDS)
        return Task("where", wording.format(n=name), None, ("top", "middle", "bottom")[min(2, int(third))])
    left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
    if left < sheet.width * 0.49 and right > sheet.width * 0.51:
        return None
    wording = rng.choice(_HALVES)
    return Task("where", wording.format(n=name), None, "left" if right <= sheet.width * 0.51 else "right")
