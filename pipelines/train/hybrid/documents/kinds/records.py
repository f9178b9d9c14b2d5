"""Pages of made-up names with made-up values, for training alone: nothing but looking up and copying exactly answers.

Nobody can know these names, so that what is learnt holds for names and languages that training never sees.
"""

from __future__ import annotations

from pipelines.train.hybrid.documents import blocks, words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.sheet import Style

_MODES = ("inline", "columns", "spread", "above", "boxed", "leader", "under", "right")
_OVER = ("above", "boxed", "above", "boxed", "under")
_CODES = ("9999999", "99-99-999", "AA 999/99", "A9A9-9A9A", "999.999.999", "9999999999999", "AAA-99999-9", "99/9999/A",
          "No. 99/A", "A/S 9999", "9A 9A 9A", "AA99 9999 9999 9999", "#9999-9", "v9.99.9", "(999) 999-99")  # fmt: skip


def name(draft: Draft) -> str:
    """A name: one to three made-up words, a code, or a word with a number."""
    rng = draft.rng
    how = rng.random()
    if draft.lang.wide:
        return rng.choice(draft.lang.names["last"]) + rng.choice(draft.lang.names["first"])[:2]
    if how < 0.2:
        return words.code(rng, rng.choice(("AA-99", "A9", "AAA 9", "99A", "A.99")))
    parts = [_word(draft) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    if how < 0.35:
        parts.append(str(rng.randint(1, 40)))
    text = " ".join(parts)
    return text.upper() if how > 0.85 else text[:1].upper() + text[1:]


def _word(draft: Draft) -> str:
    """A made-up word, perhaps with a letter of the language's own."""
    rng, word = draft.rng, words.made_up(draft.rng, draft.held_out)
    own = [letter for letter in draft.lang.letters if letter.isalpha() and not letter.isascii() and letter.islower()]
    if own and rng.random() < 0.4:
        at = rng.randrange(len(word))
        word = word[:at] + rng.choice(own) + word[at + 1 :]
    return word


def value(draft: Draft) -> str:
    """An amount, a date, a code, a time, a person, words: as likely as one another."""
    rng = draft.rng
    match rng.randrange(8):
        case 0:
            return draft.money(round(10 ** rng.uniform(0, 5), draft.places), rng.random() < 0.5)
        case 1:
            return draft.dated(draft.day())
        case 2:
            return draft.value("time")[0]
        case 3:
            return words.person(rng, draft.lang, draft.held_out)
        case 4:
            return name(draft)
        case 5:
            return str(rng.randint(0, 10 ** rng.randint(1, 6)))
        case _:
            return words.code(rng, rng.choice(_CODES))


def build(draft: Draft) -> None:
    """Names with values one under the other, in one to three columns, or in one or two tables."""
    rng = draft.rng
    sheet = draft.sheet(rng.randint(620, 1280), rng.randint(30, 100), rng.uniform(1.15, 1.6))
    size = max(15, round(sheet.width / rng.uniform(38, 60)))
    style = Style(draft.face("sans", "serif", "mono", "condensed", "receipt").face, size)
    bold = Style(draft.face("sans", "serif", "hand", "mono").face, size) if rng.random() < 0.4 else style
    if rng.random() < 0.6:
        sheet.line(name(draft), Style(style.face, round(size * 1.5)), rng.choice(("left", "center", "right")))
        sheet.y += size * 0.5
    if rng.random() < 0.6:
        _pairs(draft, style, bold)
        if rng.random() < 0.3:
            sheet.y += size
            _table(draft, style, bold)
    else:
        for _ in range(rng.choice((1, 1, 1, 2))):
            _table(draft, style, bold)
            sheet.y += size
    draft.layout = "records"


def _names(draft: Draft, count: int) -> list[str]:
    """So many names, none of which holds another."""
    found: list[str] = []
    printed = " ".join(line.text for line in draft.sheets[-1].lines).lower()
    for _ in range(count * 4):
        one = name(draft)
        like = any(one.lower() in other.lower() or other.lower() in one.lower() for other in found)
        if len(found) < count and one.lower() not in printed and not like:
            found.append(one)
    return found


def _value_rows(draft: Draft) -> list[str]:
    """A value, at times of two or three rows: neighbours in columns then stand no longer in one row."""
    more = 0 if draft.rng.random() < 0.85 else draft.rng.choice((1, 1, 2))
    return [value(draft) for _ in range(1 + more)]


def _pairs(draft: Draft, style: Style, bold: Style) -> None:
    rng = draft.rng
    columns = rng.choice((1, 1, 2, 2, 3, 3, 4 if draft.sheets[-1].width > 950 else 3))
    details = [(label, label, _value_rows(draft)) for label in _names(draft, rng.randint(4, 14))]
    if rng.random() < 0.3 and len(details) > 3:  # two that say the same
        details[-1] = (*details[-1][:2], details[0][2])
    mode = rng.choice(_MODES if columns < 3 or rng.random() < 0.4 else _OVER)
    if columns == 1:
        blocks.fields(draft, details, style, mode, bold=bold, mark=rng.choice((":", "", " :", " -", " =")))
        return
    each = -(-len(details) // columns)
    blocks.beside(draft, [details[n : n + each] for n in range(0, len(details), each)], style, mode, bold=bold)


def _table(draft: Draft, style: Style, bold: Style) -> None:
    """Named rows, where cells of different columns are alike and some come more than once."""
    rng = draft.rng
    heads = _names(draft, rng.randint(2, 6))
    rows = _names(draft, rng.randint(2, 12))
    alike = rng.random() < 0.6  # cells of one form, which only their place tells apart
    form, places = rng.choice(_CODES), rng.choice((0, 1, 2))
    scale = rng.choice((9, 99, 999, 9999))

    def cell() -> str:
        if alike:
            return draft.lang.number(rng.uniform(0, scale), places) if scale % 2 and places else words.code(rng, form)
        return value(draft)

    cells = [[row, *(cell() for _ in heads[1:])] for row in rows]
    aligned = rng.random() < 0.5
    columns = [blocks.Column(head, head, number > 0 and aligned) for number, head in enumerate(heads)]
    if len(heads) > 1 and rows:
        blocks.table(draft, columns, cells, {}, style, rng.choice(("grid", "head", "rows", "none", "none")), bold=bold)
