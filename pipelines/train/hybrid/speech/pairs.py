"""A call and a page about the same thing, which agree or not, and questions that need both."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.train.hybrid.samples import REFUSAL, Sample, Task
from pipelines.train.hybrid.speech import fillers
from pipelines.train.hybrid.speech.calls import chosen_wordings, draw_facts, spoken, stated
from pipelines.train.hybrid.speech.comparing import pair_tasks
from pipelines.train.hybrid.speech.pages import Row, Sheet, page
from pipelines.train.hybrid.speech.questions import accepted
from pipelines.train.hybrid.speech.topics import TOPICS
from pipelines.train.script.render import Face

_TOPICS = tuple(topic for topic in TOPICS if topic.name in ("order", "invoice"))
_SHEETS = {"order": ("order confirmation", "offer", "delivery note"), "invoice": ("invoice", "bill", "statement")}


@dataclass(frozen=True, slots=True)
class _Both:
    """What the call states and what the page prints."""

    said: dict[str, str]
    sheet: Sheet
    row: Row | None  # the line of the goods that the caller names


def pair(seed: int, faces: Sequence[Face], *, held_out: bool = False) -> Sample:
    """A short call and a page, with 5 to 8 questions. ``faces``: what the page may be set in."""
    sample, sheet = _pair(seed, held_out)
    return replace(sample, documents=((page(sheet, seed, faces, held_out=held_out),),))


def pair_call(seed: int, *, held_out: bool = False) -> Sample:
    """The same without its page, where no fonts are at hand."""
    return _pair(seed, held_out)[0]


def _pair(seed: int, held_out: bool) -> tuple[Sample, Sheet]:
    rng = random.Random(f"pair {seed}")
    topic = rng.choice(_TOPICS)
    facts = draw_facts(rng, held_out)
    turns, slots = spoken(chosen_wordings(rng, topic, held_out, optional=rng.choice((0, 0, 1))), facts)
    said = stated(facts, slots)
    sheet = _sheet(rng, said, rng.choice(_SHEETS[topic.name]), held_out)
    row = next((row for row in sheet.rows if row.goods == said["items"]), None)
    tasks = _tasks(rng, _Both(said, sheet, row))
    if not held_out:
        tasks += pair_tasks(rng, said, sheet, row.count if row else None)
    notes = said | {f"page {name}": value for name, value in sheet.facts().items()}
    return Sample(seed, "pair", "en", topic.name, (), (turns,), tuple(tasks), held_out, notes), sheet


def _sheet(rng: random.Random, said: dict[str, str], title: str, held_out: bool) -> Sheet:
    """A page that agrees with the call in about half of what both state. In training the shares are such that every
    question of `_tasks` is answered yes about as often as no; an evaluation stays as it was."""
    quantities, listed, days = (0.5, 0.7, 0.6) if held_out else (0.4, 0.5, 0.72)
    total = int(said["amount"].lstrip("$"))
    if rng.random() < 0.5:
        total = rng.choice([total + 10, max(15, total - 10), total + 9, total * 2, fillers.amount(rng)])
    quantity = said["quantity"] if rng.random() < quantities else rng.choice(fillers.SMALL)
    goods = [fillers.item(rng, held_out)[1] for _ in range(rng.choice((1, 2, 2, 3)))]
    goods = [name for name in dict.fromkeys(goods) if name != said["items"]] or ["small parts"]
    if rng.random() < listed:
        goods.insert(rng.randrange(len(goods) + 1), said["items"])
    rows, left = [], total
    for place, name in enumerate(goods):
        price = left if place == len(goods) - 1 else max(1, round(left * rng.uniform(0.2, 0.7)))
        count = quantity if name == said["items"] else rng.choice(fillers.SMALL)
        rows.append(Row(name, str(fillers.NUMBERS.index(count)), f"${price}"))
        left -= price
    when = said.get("day") or said["date"]
    if rng.random() < days:
        when = rng.choice(fillers.DAYS) if "day" in said else _near(rng, said["date"])
    customer = said["caller"] if rng.random() < 0.5 else fillers.person(rng, held_out)
    number = f"{rng.choice('ABKRTW')}{rng.randint(1000, 9999)}"
    return Sheet(title, said["company"], number, customer, when, tuple(rows), f"${total}")


def _near(rng: random.Random, date: str) -> str:
    """Another date of the same month or of a neighbouring one."""
    month = fillers.MONTHS.index(date.split()[0])
    month = (month + rng.choice((0, 0, 1))) % 12
    return f"{fillers.MONTHS[month]} {fillers.ordinal(rng.randint(1, 28))}"


def _when(text: str) -> tuple[int, int]:
    if text in fillers.DAYS:
        return 0, fillers.DAYS.index(text)
    month, day = text.split()
    return fillers.MONTHS.index(month), int(day.rstrip("stndrh"))


def _tasks(rng: random.Random, both: _Both) -> list[Task]:
    makers = [_amounts, _goods, _customers, _days, _quantities, _looked_up, _higher]
    tasks = [task for make in rng.sample(makers, 5) if (task := make(rng, both)) is not None]
    tasks.append(_summary(rng, both))
    if rng.random() < 0.6:
        tasks.append(_missing(rng, both))
    return tasks


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _amounts(rng: random.Random, both: _Both) -> Task:
    ask = rng.choice((
        "Does the amount in the call match the total on the page?", "Is the total of the {title} the amount in the call?",
        "Do the call and the page give the same amount?", "Is the amount that is said also the total that is printed?",
        "Does the {title} show the same total as the call?", "Are the two amounts, spoken and printed, equal?",
        "Is the sum in the recording equal to the printed total?", "Does the price in the call agree with the {title}?",
    ))  # fmt: skip
    answer = _yes(both.said["amount"] == both.sheet.total)
    return Task("compare", ask.format(title=both.sheet.title), None, answer)


def _higher(rng: random.Random, both: _Both) -> Task | None:
    said, printed = (int(text.lstrip("$")) for text in (both.said["amount"], both.sheet.total))
    if said == printed:
        return None
    highest = rng.random() < 0.5
    ask = rng.choice((
        "Which amount is {word}, the one in the call or the total on the page? Give the amount.",
        "Give the {word} of the two: the amount in the recording or the printed total.",
        "Compare the spoken amount with the total of the {title}: what is the {word} one?",
        "What is the {word} amount, that of the call or that of the {title}?",
    ))  # fmt: skip
    answer = f"${(max if highest else min)(said, printed)}"
    question = ask.format(word="higher" if highest else "lower", title=both.sheet.title)
    return Task("compare", question, None, answer, accepted("amount", answer))


def _goods(rng: random.Random, both: _Both) -> Task:
    ask = rng.choice((
        "Is the product that the caller names on the page?", "Does the {title} list what the caller speaks of?",
        "Can the goods from the call be found on the {title}?", "Is the item in the call printed on the page?",
        "Does the page contain the caller's product?", "Are the goods of the caller listed on the page?",
        "Is what the caller talks about on the {title}?", "Does the printed list have the item from the recording?",
    ))  # fmt: skip
    return Task("compare", ask.format(title=both.sheet.title), None, _yes(both.row is not None))


def _customers(rng: random.Random, both: _Both) -> Task:
    ask = rng.choice((
        "Is the caller the customer on the page?", "Is the {title} made out to the caller?",
        "Do the name of the caller and the name on the page match?", "Is the page addressed to the person who calls?",
        "Does the {title} carry the caller's name?", "Is the customer of the {title} the one who calls?",
        "Are the caller and the printed customer the same person?", "Is the printed name that of the caller?",
    ))  # fmt: skip
    return Task("compare", ask.format(title=both.sheet.title), None, _yes(both.said["caller"] == both.sheet.customer))


def _days(rng: random.Random, both: _Both) -> Task:
    said, printed = both.said.get("day") or both.said["date"], both.sheet.when
    if said == printed or rng.random() < 0.5:
        ask = rng.choice((
            "Do the call and the page name the same day?", "Is the day in the call the day on the {title}?",
            "Does the day that is said match the one that is printed?", "Is it the same day in the recording and on paper?",
            "Does the {title} give the day that was agreed in the call?", "Are the spoken and the printed day the same?",
        ))  # fmt: skip
        return Task("compare", ask.format(title=both.sheet.title), None, _yes(said == printed))
    earliest = rng.random() < 0.5
    week = " of the week (Monday is first)" if "day" in both.said else ""
    ask = rng.choice((
        "Which day{week} is {word}, the one in the call or the one on the page?",
        "Give the {word} day{week}: the one that is said or the one that is printed.",
        "Of the day in the recording and the day on the {title}, which one{week} is {word}?",
        "What is the {word} day{week}, that of the call or that of the {title}?",
    ))  # fmt: skip
    answer = sorted((said, printed), key=_when)[0 if earliest else 1]
    question = ask.format(week=week, word="earlier" if earliest else "later", title=both.sheet.title)
    return Task("compare", question, None, answer, accepted("date", answer) if "date" in both.said else ())


def _quantities(rng: random.Random, both: _Both) -> Task | None:
    if both.row is None:
        return None
    said = str(fillers.NUMBERS.index(both.said["quantity"]))
    ask = rng.choice((
        "Is the quantity the same in the call and on the page?", "Does the page list as many as the caller says?",
        "Does the number of {goods} in the call match the {title}?", "Do both give the same number of {goods}?",
        "Is the quantity of {goods} on the {title} what the caller says?", "Are there as many {goods} on paper as in the call?",
        "Does the printed quantity agree with the spoken one?", "Is the number of {goods} the same in both?",
    ))  # fmt: skip
    return Task("compare", ask.format(goods=both.row.goods, title=both.sheet.title), None, _yes(said == both.row.count))


def _looked_up(rng: random.Random, both: _Both) -> Task | None:
    """What the page prints in the line of the goods that the call names."""
    if both.row is None:
        return None
    if rng.random() < 0.5:
        ask = rng.choice((
            "What price does the page give for the product that the caller names?",
            "How much do the caller's goods cost according to the {title}?",
            "Which amount stands on the page next to the product of the call?",
            "Look up the caller's product on the {title}: what is its amount?",
            "What is printed as the amount of what the caller speaks of?",
            "For the goods in the recording, what amount does the {title} show?",
        ))  # fmt: skip
        answer, fact = both.row.amount, "amount"
    else:
        ask = rng.choice((
            "What quantity does the page give for the product that the caller names?",
            "How many of the caller's goods does the {title} list?",
            "Which quantity stands on the page next to the product of the call?",
            "Look up the caller's product on the {title}: what is its quantity?",
            "What is printed as the quantity of what the caller speaks of?",
            "For the goods in the recording, what quantity does the {title} show?",
        ))  # fmt: skip
        answer, fact = both.row.count, ""
    return Task("merge", ask.format(title=both.sheet.title), None, answer, accepted(fact, answer))


def _missing(rng: random.Random, both: _Both) -> Task:
    ask = rng.choice((
        "What is the bank account number?", "Which discount was agreed?", "How much is the tax?", "Who signed the {title}?",
        "What is the email address of the company?", "How heavy are the goods?", "What is the tracking number?",
    ))  # fmt: skip
    return Task("unanswerable", ask.format(title=both.sheet.title), None, REFUSAL)


def _summary(rng: random.Random, both: _Both) -> Task:
    """Facts of both sides as JSON, with whether they agree."""
    sheet, said = both.sheet, both.said
    values: dict[str, tuple[str, object]] = {
        rng.choice(("caller", "caller_name", "callerName")): ("string", said["caller"]),
        rng.choice(("amount_in_call", "spokenAmount", "said amount")): ("string", said["amount"]),
        rng.choice(("total_on_page", "printedTotal", "page total")): ("string", sheet.total),
        rng.choice(("amounts_match", "sameAmount", "amounts equal")): ("boolean", said["amount"] == sheet.total),
        rng.choice(("number_on_page", "documentNumber", "number printed")): ("string", sheet.number),
        rng.choice(("item_on_page", "itemListed", "goods listed")): ("boolean", both.row is not None),
        rng.choice(("customer_on_page", "printedCustomer", "page customer")): ("string", sheet.customer),
    }
    chosen = sorted(rng.sample(sorted(values), rng.randint(2, 5)), key=list(values).index)
    schema = {
        "type": "object",
        "properties": {name: {"type": values[name][0]} for name in chosen},
        "required": chosen,
        "additionalProperties": False,
    }
    ask = rng.choice((None, "Compare the call with the page.", "Fill in the facts of the call and of the page."))
    answer = json.dumps({name: values[name][1] for name in chosen}, ensure_ascii=False)
    return Task("merge", ask, json.dumps(schema), answer)
