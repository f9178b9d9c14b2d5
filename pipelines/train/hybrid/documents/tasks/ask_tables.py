"""Questions about the rows of a table: cells, counts, the largest, lists, comparisons, and in training alone what leads
up to these: the larger of two that are named, the largest value itself, a column as a list, rows by their number."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.train.hybrid.documents import wordings
from pipelines.train.hybrid.documents.draft import Draft, Table
from pipelines.train.hybrid.documents.language import Language, languages
from pipelines.train.hybrid.documents.tasks.ask_fields import language_of_question
from pipelines.train.hybrid.samples import REFUSAL, Task


def _named(table: Table) -> int:
    """The column that names the rows."""
    return next((table.columns.index(key) for key in ("description", "name") if key in table.columns), 0)


def _usable(draft: Draft) -> Table | None:
    """A table whose rows have names that differ."""
    able = []
    for table in draft.tables:
        names = [row[_named(table)] for row in table.rows]
        if len(table.rows) > 1 and len(set(names)) == len(names):
            able.append(table)
    return draft.rng.choice(able) if able else None


def _column(lang: Language, draft: Draft, table: Table, index: int) -> str:
    """How a question names a column: by its heading where it is one of this document's own, else by its meaning."""
    key = table.columns[index]
    if key not in languages()["en"].data["labels"]:
        return table.heads[index]
    return lang.name(draft.rng, key)


def _asked(draft: Draft, table: Table, index: int, row: str) -> str:
    """A question for the cell of a row in a column: in training mostly one of many more wordings."""
    lang = language_of_question(draft)
    column = _column(lang, draft, table, index)
    if not draft.held_out and lang.code == "en" and draft.rng.random() < 0.7:
        return wordings.other(draft, "cell", c=column, r=row)
    return lang.ask(draft.rng, "cell", draft.held_out, column=column, row=row)


def cell(draft: Draft) -> Task | None:
    """One cell."""
    if not (table := _usable(draft)) or len(table.columns) < 2:
        return None
    named = _named(table)
    index = draft.rng.choice([n for n in range(len(table.columns)) if n != named])
    row = draft.rng.choice(table.rows)
    return Task("table", _asked(draft, table, index, row[named]), None, row[index])


def no_such_row(draft: Draft) -> Task | None:
    """A cell of a row that is not there."""
    from pipelines.train.hybrid.documents import words

    if not (table := _usable(draft)) or len(table.columns) < 2:
        return None
    named = _named(table)
    index = draft.rng.choice([n for n in range(len(table.columns)) if n != named])
    if "description" in table.columns and table.columns[named] == "description":
        other = words.item(draft.rng, draft.lang, draft.held_out)
    else:
        other = words.made_up(draft.rng, draft.held_out, 2).capitalize()
    if any(
        other.split()[-1].lower() in row[named].lower() or row[named].lower() in other.lower() for row in table.rows
    ):
        return None
    return Task("unanswerable", _asked(draft, table, index, other), None, REFUSAL)


def _question(draft: Draft, lang: Language, kind: str, **parts: str) -> str:
    """A question about the whole table: in training, in English, mostly one of many more wordings."""
    if not draft.held_out and lang.code == "en" and draft.rng.random() < 0.7:
        return wordings.other(draft, kind, **{name[0]: text for name, text in parts.items()})
    return lang.ask(draft.rng, kind, draft.held_out, **parts)


def counted(draft: Draft) -> Task | None:
    """How many rows."""
    if len(draft.tables) != 1:
        return None
    lang = language_of_question(draft)
    return Task("count", _question(draft, lang, "items_count"), None, str(len(draft.tables[0].rows)))


def listed(draft: Draft) -> Task | None:
    """The names of all rows."""
    if (
        len(draft.tables) != 1
        or not (table := _usable(draft))
        or len(table.rows) > (8 if draft.held_out else 14)
        or "description" not in table.columns
    ):
        return None
    lang = language_of_question(draft)
    return Task(
        "list",
        _question(draft, lang, "items_list"),
        None,
        "; ".join(row[_named(table)] for row in table.rows),
    )


def _counting(draft: Draft) -> tuple[Table, int, list[float]] | None:
    """A table, one of its columns that count, and the values there."""
    if not (table := _usable(draft)):
        return None
    able = [index for index, key in enumerate(table.columns) if key in table.numbers]
    if not able:
        return None
    index = draft.rng.choice(able)
    return table, index, table.numbers[table.columns[index]]


def extreme(draft: Draft) -> Task | None:
    """The row with the largest or the smallest number in a column."""
    if not (found := _counting(draft)):
        return None
    table, index, values = found
    kind: str
    pick: Callable[[list[float]], float]
    kind, pick = draft.rng.choice((("most", max), ("least", min)))
    best = pick(values)
    if values.count(best) > 1:
        return None
    lang = language_of_question(draft)
    question = _question(draft, lang, kind, column=_column(lang, draft, table, index))
    name = table.rows[values.index(best)][_named(table)]
    # named apart in training: some tokens of a name, where yes and no are one, which weighs more
    return Task("compare" if draft.held_out else "extreme", question, None, name)


def greater(draft: Draft) -> Task | None:
    """Whether one row has more than another."""
    if not (two := _two_rows(draft)):
        return None
    column, first, second, more = two
    rng = draft.rng
    if not draft.held_out and rng.random() < 0.5:
        kind = rng.choice(("greater", "lesser"))
        question = wordings.other(draft, kind, c=column, a=first, b=second)
        return Task("compare", question, None, "yes" if more == (kind == "greater") else "no")
    wording = rng.choice((
        "Is the {c} of {a} higher than that of {b}?", "Does {a} have a greater {c} than {b}?",
        "Is {a} above {b} in {c}?", "Compare the {c}: is {a} more than {b}?",
    ))  # fmt: skip
    return Task("compare", wording.format(c=column, a=first, b=second), None, "yes" if more else "no")


def among(draft: Draft) -> Task | None:
    """Which of two named rows has more, or less: in training, on the way to the largest of all."""
    if not (two := _two_rows(draft)):
        return None
    column, first, second, more = two
    kind = draft.rng.choice(("more_of_two", "less_of_two"))
    question = wordings.other(draft, kind, c=column, a=first, b=second)
    return Task("extreme", question, None, first if more == (kind == "more_of_two") else second)


def _two_rows(draft: Draft) -> tuple[str, str, str, bool] | None:
    """A column in English, the names of two rows that differ in it, and whether the first has more."""
    if not (found := _counting(draft)):
        return None
    table, index, values = found
    first, second = draft.rng.sample(range(len(values)), 2)
    if values[first] == values[second]:
        return None
    names = [row[_named(table)] for row in table.rows]
    column = _column(languages()["en"], draft, table, index)
    return column, names[first], names[second], values[first] > values[second]


def peak(draft: Draft) -> Task | None:
    """The largest or the smallest value of a column itself, as printed; in training."""
    if not (found := _counting(draft)):
        return None
    table, index, values = found
    kind = draft.rng.choice(("highest", "lowest"))
    best = max(values) if kind == "highest" else min(values)
    question = wordings.other(draft, kind, c=_column(languages()["en"], draft, table, index))
    return Task("extreme", question, None, table.rows[values.index(best)][index])


def column(draft: Draft) -> Task | None:
    """All values of a column, from the first row to the last; in training, for lists that end too early."""
    if not (table := _usable(draft)) or len(table.rows) > 12:
        return None
    index = draft.rng.randrange(len(table.columns))
    question = wordings.other(draft, "column", c=_column(languages()["en"], draft, table, index))
    return Task("list", question, None, "; ".join(row[index] for row in table.rows))


_NTH = ("first", "second", "third", "fourth", "fifth", "sixth")


def ordinal(draft: Draft) -> Task | None:
    """A row by its number, or by the one before or after it; in training."""
    if not (table := _usable(draft)):
        return None
    rng = draft.rng
    names = [row[_named(table)] for row in table.rows]
    place = rng.randrange(len(names))
    kind = rng.choice(("nth", "last", "next", "before"))
    if kind == "nth" and place < len(_NTH):
        return Task("layout", wordings.other(draft, "nth", n=_NTH[place]), None, names[place])
    if kind == "last":
        return Task("layout", wordings.other(draft, "last"), None, names[-1])
    step = -1 if kind == "before" else 1
    if not 0 <= place + step < len(names):
        return None
    question = wordings.other(draft, "before" if step < 0 else "next", r=names[place])
    return Task("layout", question, None, names[place + step])
