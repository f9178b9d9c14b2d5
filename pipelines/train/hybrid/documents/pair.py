"""Two short documents that are asked about together."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.tasks.ask_fields import absent, unique
from pipelines.train.hybrid.samples import REFUSAL, Task

Builder = Callable[[Draft], None]
_TWO = (("receipt", "receipt"), ("invoice", "receipt"), ("invoice", "invoice"), ("identity", "form"),
        ("form", "identity"), ("identity", "identity"), ("invoice", "statement"), ("letter", "invoice"))  # fmt: skip
_NTH = ("first", "second")
_CALLED = {"receipt": "receipt", "invoice": "invoice", "identity": "card", "form": "form", "statement": "statement",
           "letter": "letter"}  # fmt: skip


def build(first: Draft, second: Draft, builders: Mapping[str, Builder]) -> tuple[str, str]:
    """Write both documents, about the same person or not; returns their kinds."""
    rng = first.rng
    kinds = rng.choice(_TWO)
    builders[kinds[0]](first)
    if rng.random() < (0.5 if first.held_out else 0.8):  # with one half, two in three of what is compared differed
        for fact in first.facts:
            if fact.key in ("name", "birth_date", "company", "date") and rng.random() < 0.6:
                second.given[fact.key] = [fact.value]
                if fact.key in first.days:
                    second.days[fact.key] = first.days[fact.key]
    builders[kinds[1]](second)
    return kinds


def tasks(drafts: tuple[Draft, Draft], kinds: tuple[str, str]) -> tuple[Task, ...]:
    """Six to nine tasks: comparisons of the two, fields of one of them, what neither holds."""
    rng = drafts[0].rng
    names = tuple(f"{nth} document" for nth in _NTH)
    if kinds[0] != kinds[1] and rng.random() < 0.5:
        names = (_CALLED[kinds[0]], _CALLED[kinds[1]])
    chosen: dict[str, Task] = {}
    refused = 0
    askers = (
        _field,
        _field,
        _agree,
        _agree,
        _more,
        _more,
        _later,
        _later,
        _of_the_greater,
        _together,
        _neither,
    )
    wanted = rng.randint(6, 9)
    for _ in range(50):
        if len(chosen) == wanted:
            break
        task = rng.choice(askers)(rng, drafts, (names[0], names[1]))
        if task is not None and task.question is not None:
            if not task.answerable and (refused := refused + 1) > 2:
                continue
            chosen.setdefault(task.question, task)
    if not drafts[0].held_out:
        of = (names[0], names[1])
        for ask in (_one_by_one, _verified, _verified, _of_the_greater):
            task = ask(rng, drafts, of)
            if task is not None and task.question is not None:
                chosen.setdefault(task.question, task)
    return tuple(chosen.values())


def _values(draft: Draft) -> dict[str, str]:
    return {fact.key: fact.value for fact in draft.facts if unique(draft, fact) and not fact.key.endswith("address")}


def _alike(drafts: tuple[Draft, Draft], key: str) -> bool:
    """Whether both give the same value for a key: a day is the same however it is written, capitals are but print."""
    if all(key in draft.days for draft in drafts):
        return drafts[0].days[key] == drafts[1].days[key]
    first, second = (_values(draft)[key].casefold() for draft in drafts)
    return first == second


def _plain(key: str) -> str:
    return {"id_number": "card number", "tax_id": "tax number", "iban": "IBAN"}.get(key, key.replace("_", " "))


def _field(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """A field of one of the two; best one that the other has as well."""
    which = rng.randrange(2)
    values = _values(drafts[which])
    shared = sorted(set(values) & set(_values(drafts[1 - which])))
    if not values:
        return None
    key = rng.choice(shared if shared and rng.random() < 0.7 else sorted(values))
    wording = rng.choice(
        ("What is the {k} in the {d}?", "Give the {k} of the {d}.", "{d}: {k}?", "Which {k} does the {d} have?")
    )
    return Task("merge", wording.format(k=_plain(key), d=names[which]), None, values[key])


def _agree(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """Whether both give the same value; asked of what agrees as often as of what differs."""
    first, second = _values(drafts[0]), _values(drafts[1])
    shared = [
        key for key in sorted(set(first) & set(second)) if key in ("name", "company", "date", "birth_date", "total")
    ]
    same = [key for key in shared if _alike(drafts, key)]
    other = [key for key in shared if key not in same]
    able = same if same and (not other or rng.random() < 0.6) else other
    if not able:
        return None
    key = rng.choice(able)
    wording = rng.choice((
        "Do both documents give the same {k}?", "Is the {k} the same in both documents?",
        "Does the {k} of the {a} agree with that of the {b}?", "Same {k} in the {a} and the {b}?",
    ))  # fmt: skip
    return Task("merge", wording.format(k=_plain(key), a=names[0], b=names[1]), None, "yes" if key in same else "no")


def _one_by_one(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """Several values compared in one answer, in training alone: yes or no is one token, and hard to learn from."""
    first, second = _values(drafts[0]), _values(drafts[1])
    shared = sorted(set(first) & set(second))
    if len(shared) < 2:
        return None
    keys = rng.sample(shared, min(len(shared), rng.randint(2, 4)))
    alike, other = rng.choice((("the same", "different"), ("yes", "no")))
    wording = rng.choice((
        "Compare both documents, one by one: {k}. Answer {x} or {y}.",
        "{k}: the same in the {a} and the {b}? Answer {x} or {y}.",
        "For each of {k}: do both documents agree? Answer {x} or {y}.",
    ))  # fmt: skip
    question = wording.format(k=", ".join(map(_plain, keys)), a=names[0], b=names[1], x=alike, y=other)
    answer = ", ".join(f"{_plain(key)}: {alike if _alike(drafts, key) else other}" for key in keys)
    return Task("merge", question, None, answer)


def _verified(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """Whether a value is that of one of the two, or what the other one gives for it; in training alone."""
    which = rng.randrange(2)
    own, other = _values(drafts[which]), _values(drafts[1 - which])
    keys = sorted(key for key in own if key in other and not _alike(drafts, key))
    if not keys:
        return None
    key = rng.choice(keys)
    value = (own if rng.random() < 0.5 else other)[key]
    wording = rng.choice((
        "Is {v} the {k} of the {d}?", "Does the {d} give {v} as the {k}?", "The {k} in the {d}: is it {v}?",
        "Is it the {d} that has the {k} {v}?",
    ))  # fmt: skip
    question = wording.format(v=value, k=_plain(key), d=names[which])
    return Task("merge", question, None, "yes" if value == own[key] else "no")


def _totals(drafts: tuple[Draft, Draft]) -> tuple[float, float] | None:
    first, second = (draft.amounts.get("total") for draft in drafts)
    if first is None or second is None or first == second or drafts[0].money_form != drafts[1].money_form:
        return None
    return first, second


def _more(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """Which total is the higher, or the lower, or whether one is."""
    if not (totals := _totals(drafts)):
        return None
    higher = int(totals[1] > totals[0])
    if rng.random() < 0.4:
        wording = rng.choice(
            ("Is the total of the {a} higher than that of the {b}?", "Does the {a} come to more than the {b}?")
        )
        asked = rng.randrange(2) if not drafts[0].held_out else 0  # an invoice, named first, is mostly the higher
        question = wording.format(a=names[asked], b=names[1 - asked])
        return Task("merge", question, None, "yes" if higher == asked else "no")
    up = rng.random() < 0.5
    word = rng.choice(("higher", "larger", "greater") if up else ("lower", "smaller"))
    wording = rng.choice(
        ("Which document has the {w} total, the first or the second?", "The {w} total: first or second document?")
    )
    return Task("merge", wording.format(w=word), None, _NTH[higher if up else 1 - higher])


def _later(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """Which of the two is dated later, or earlier."""
    keys = [key for key in ("date", "birth_date", "valid_until") if all(key in draft.days for draft in drafts)]
    keys = [
        key for key in keys if drafts[0].days[key] != drafts[1].days[key] and all(key in _values(d) for d in drafts)
    ]
    if not keys:
        return None
    key = rng.choice(keys)
    later = int(drafts[1].days[key] > drafts[0].days[key])
    up = rng.random() < 0.5
    word = "later" if up else "earlier"
    wording = rng.choice((
        "Which document has the {w} {k}, the first or the second?", "The {w} {k}: first or second document?",
        "In which of the two is the {k} {w}, the first or the second?",
    ))  # fmt: skip
    return Task("merge", wording.format(w=word, k=_plain(key)), None, _NTH[later if up else 1 - later])


def _of_the_greater(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """A field of the document with the higher or the lower total."""
    if not (totals := _totals(drafts)):
        return None
    up = rng.random() < 0.5
    higher = int(totals[1] > totals[0])
    which = higher if up else 1 - higher
    values = {
        key: value for key, value in _values(drafts[which]).items() if key in ("company", "date", "total", "time")
    }
    if not values:
        return None
    key = rng.choice(sorted(values))
    wording = rng.choice(
        ("What is the {k} of the document with the {w} total?", "Give the {k} of the one with the {w} total.")
    )
    return Task("merge", wording.format(k=key, w="higher" if up else "lower"), None, values[key])


def _together(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """How many items both list in all."""
    if any(len(draft.tables) != 1 or "description" not in draft.tables[0].columns for draft in drafts):
        return None
    wording = rng.choice(
        ("How many items do both documents list in all?", "Count the items of both documents together.")
    )
    return Task("merge", wording, None, str(sum(len(draft.tables[0].rows) for draft in drafts)))


def _neither(rng: random.Random, drafts: tuple[Draft, Draft], names: tuple[str, str]) -> Task | None:
    """A field that this document lacks, whatever the other one holds."""
    which = rng.randrange(2)
    lacks = absent(drafts[which])
    others = [key for key in lacks if key in _values(drafts[1 - which])]
    if not lacks:
        return None
    key = rng.choice(others if others and rng.random() < 0.6 else lacks)
    wording = rng.choice(
        ("What is the {k} in the {d}?", "Give the {k} of the {d}.", "{d}: {k}?", "Which {k} does the {d} have?")
    )
    return Task("unanswerable", wording.format(k=_plain(key), d=names[which]), None, REFUSAL)
