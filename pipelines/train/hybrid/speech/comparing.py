"""What only training asks about a call and its page: to compare them value by value, and to tell whether a value is the one.

The evaluation's questions want one word, yes or no, of which training has one in a thousand answer tokens: after 2,000 steps
it was still guessed. Here an answer compares several things, or a question holds a value against what it is asked of.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from pipelines.train.hybrid.samples import Task
from pipelines.train.hybrid.speech import fillers
from pipelines.train.hybrid.speech.pages import Sheet
from pipelines.train.hybrid.speech.questions import WORDINGS

_ONE_BY_ONE = (
    "Compare {what} in the call and on the page, one by one.", "What is the same in both, and what is not: {what}?",
    "Hold the call against the {title}: {what}.", "For each of {what}: do call and page agree?",
)  # fmt: skip
_DIFFERENT = (
    "Which of {what} differ between the call and the page?", "What does not match, of {what}?",
    "Of {what}, where do the call and the {title} disagree?",
)  # fmt: skip
_VERIFY = (
    "Is {value} the {fact} {where}?", "Does the {fact} {where} read {value}?", "{where}: is the {fact} {value}?",
    "Is it right that the {fact} {where} is {value}?", "The {fact} {where} is {value}, yes or no?",
)  # fmt: skip
_SAID, _PRINTED = ("in the call", "in the recording"), ("on the page", "on the {title}")
_RIGHT = 0.5  # of the values that are held against a call or its page


def pair_tasks(rng: random.Random, said: Mapping[str, str], sheet: Sheet, listed: str | None) -> list[Task]:
    """Tasks of a pair; ``listed``: the quantity on the page of the goods that the caller names, None where they are not
    there."""
    both = {"amount": (said["amount"], sheet.total), "customer": (said["caller"], sheet.customer),
            "day": (said.get("day") or said["date"], sheet.when)}  # fmt: skip
    if listed is not None:
        both["quantity"] = (said["quantity"], listed)
    same = {name: _digits(a) == _digits(b) for name, (a, b) in both.items()}
    tasks = [_one_by_one(rng, same, sheet.title), _different(rng, same, sheet.title)]
    tasks += [_verified(rng, both, sheet.title) for _ in range(3)]
    goods = [row.goods for row in sheet.rows]
    named = rng.choice([rng.choice(goods), said["items"], fillers.item(rng, False)[1]])
    ask = rng.choice(
        ("Does the page list {goods}?", "Are {goods} on the {title}?", "Can {goods} be found on the page?")
    )
    tasks.append(Task("compare", ask.format(goods=named, title=sheet.title), None, _yes(named in goods)))
    ask = rng.choice(("How many kinds of goods does the page list?", "How many lines of goods has the {title}?",
                      "Count the goods printed on the page."))  # fmt: skip
    tasks.append(Task("count", ask.format(title=sheet.title), None, str(len(goods))))
    ask = rng.choice(
        ("Which goods does the page list?", "List the goods of the {title}.", "Name all goods on the page.")
    )
    tasks.append(Task("list", ask.format(title=sheet.title), None, "; ".join(goods)))
    first, second = (int(text.lstrip("$")) for text in both["amount"])
    if first != second and rng.random() < 0.3:
        ask = rng.choice(("By how much do the two amounts differ?", "What is the difference between the two amounts?"))
        tasks.append(Task("compare", ask, None, f"${abs(first - second)}"))
    return tasks


def call_tasks(rng: random.Random, known: Mapping[str, str], other: Mapping[str, str]) -> list[Task]:
    """Whether some values are those of a call; ``other``: values that another call might have."""
    tasks = []
    for fact in rng.sample(sorted(known), min(len(known), 2)):
        value = known[fact] if rng.random() < _RIGHT else other[fact]
        name = {"items": "product", "hour": "time", "caller": "name of the caller"}.get(fact, fact)
        question = rng.choice((*_VERIFY, *(f"{asked} Is it {{value}}?" for asked in WORDINGS[fact][:3])))
        question = question.format(value=value, fact=name, where=rng.choice(_SAID), thing="the call")
        tasks.append(Task("compare", question[0].upper() + question[1:], None, _yes(value == known[fact])))
    return tasks


def _one_by_one(rng: random.Random, same: Mapping[str, bool], title: str) -> Task:
    names = rng.sample(sorted(same), rng.randint(2, len(same)))
    alike, other = rng.choice((("the same", "different"), ("yes", "no")))
    answer = ", ".join(f"{name}: {alike if same[name] else other}" for name in names)
    ask = rng.choice(_ONE_BY_ONE).format(what=_list(names), title=title)
    return Task("compare", f"{ask} Answer {alike} or {other}.", None, answer)


def _different(rng: random.Random, same: Mapping[str, bool], title: str) -> Task:
    names = rng.sample(sorted(same), rng.randint(2, len(same)))
    answer = ", ".join(name for name in names if not same[name]) or "none"
    return Task("compare", rng.choice(_DIFFERENT).format(what=_list(names), title=title), None, answer)


def _verified(rng: random.Random, both: Mapping[str, tuple[str, str]], title: str) -> Task:
    fact = rng.choice(sorted(both))
    side = rng.randrange(2)
    true, other = both[fact][side], both[fact][1 - side]
    wrong = [value for value in (other, _other(rng, fact, true)) if _digits(value) != _digits(true)]
    value = true if rng.random() < _RIGHT or not wrong else rng.choice(wrong)
    where = rng.choice((_SAID, _PRINTED)[side]).format(title=title)
    question = rng.choice(_VERIFY).format(value=value, fact=fact, where=where)
    return Task("compare", question[0].upper() + question[1:], None, _yes(_digits(value) == _digits(true)))


def _other(rng: random.Random, fact: str, true: str) -> str:
    """A value that may be anybody's, of the form of the true one."""
    if fact == "amount":
        return f"${fillers.amount(rng)}"
    if fact == "customer":
        return fillers.person(rng, False)
    if fact == "day":
        day = f"{rng.choice(fillers.MONTHS)} {fillers.ordinal(rng.randint(1, 28))}"
        return rng.choice(fillers.DAYS) if true in fillers.DAYS else day
    other = rng.choice(fillers.SMALL)
    return str(fillers.NUMBERS.index(other)) if true.isdigit() else other


def _digits(value: str) -> str:
    return str(fillers.NUMBERS.index(value)) if value in fillers.NUMBERS else value


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
