"""Questions about fields, answered by the value as printed, and questions about fields that the document lacks."""

from __future__ import annotations

from pipelines.train.hybrid.documents import extras, wordings
from pipelines.train.hybrid.documents.draft import Draft, Fact
from pipelines.train.hybrid.documents.language import Language, languages
from pipelines.train.hybrid.samples import REFUSAL, Task

_PLAIN = {"phone", "email", "website", "iban", "due_date", "cashier", "order_number", "customer_number", "birth_date",
          "birth_place", "nationality", "discount", "shipping", "rounding", "change", "valid_until", "department",
          "position", "meter_number", "consumption", "tax_id", "bank", "payment_method", "version", "opening_balance",
          "closing_balance", "contact_person", "time", "invoice_number", "id_number"}  # fmt: skip
"""Fields whose names mean one thing, so that it is clear when a document lacks them."""


_SELDOM = {"cashier", "closing_balance", "opening_balance", "consumption", "discount", "due_date", "meter_number",
           "position", "payment_method", "rounding", "shipping", "time", "valid_until", "version",
           "website"}  # fmt: skip
"""Those that few documents print: asked oftener where they stand, or their names would tell that they do not."""


def unique(draft: Draft, fact: Fact) -> bool:
    """Whether the document holds one field of this key, and it may be asked."""
    return fact.asked and sum(other.key == fact.key for other in draft.facts) == 1


def absent(draft: Draft) -> list[str]:
    """Fields that this document surely lacks."""
    present = {fact.key for fact in draft.facts}
    for table in draft.tables:
        present |= set(table.columns)
    present |= ({"account_number"} & present and {"iban"}) or set()
    present |= ({"iban"} & present and {"account_number"}) or set()
    if {"invoice_number", "receipt_number"} & present:
        present |= {"invoice_number", "receipt_number"}
    people = {"company", "sender", "name", "customer", "recipient", "author", "signed_by"} & present
    if people & {"name", "recipient", "customer", "author", "signed_by"}:
        present |= {"contact_person"}
    lacks = sorted(key for key in _PLAIN - present if key in languages()["en"].data["labels"])
    return lacks if draft.held_out else extras.unlike(lacks, present)


def lacked(draft: Draft) -> str | None:
    """A field that this document lacks, for a question in English: in training as often one of those that few print."""
    if not draft.held_out and draft.rng.random() < (0.6 if draft.lang.code == "en" else 0.4):
        columns = {key for table in draft.tables for key in table.columns}
        return extras.absent(draft, {fact.key for fact in draft.facts} | columns)
    return _some_absent(draft)


def _some_absent(draft: Draft) -> str | None:
    """One of the fields that every document may have and this one lacks, in training seldom one that few print."""
    if not (able := absent(draft)):
        return None
    if draft.held_out:
        return draft.rng.choice(able)
    return draft.rng.choices(able, [0.4 if key in _SELDOM else 1.0 for key in able])[0]


def language_of_question(draft: Draft) -> Language:
    """English, or in half of the cases the document's own language."""
    return draft.lang if draft.rng.random() < 0.5 else languages()["en"]


def question(draft: Draft, key: str, lang: Language) -> str:
    """A question for a field, whether it is there or not: in training mostly one of many more wordings."""
    if not draft.held_out and lang.code == "en" and (key in extras.extras() or draft.rng.random() < 0.75):
        return wordings.ask(draft, key)
    return lang.ask(draft.rng, "field", draft.held_out, name=lang.name(draft.rng, key))


def field(draft: Draft) -> Task | None:
    """One field that the document holds."""
    able = [fact for fact in draft.facts if unique(draft, fact) and fact.key not in ("customer_address", "signed_by")]
    if not able:
        return None
    weights = [3.0 if fact.key in ("total", "date", "company", "address", "seller_address") else 1.0 for fact in able]
    if not draft.held_out:
        weights = [_weight(fact.key, weight) for fact, weight in zip(able, weights)]
    (fact,) = draft.rng.choices(able, weights)
    lang = languages()["en"] if fact.key in extras.extras() else language_of_question(draft)
    return Task("field", question(draft, fact.key, lang), None, fact.value)


def _weight(key: str, usual: float) -> float:
    """In training: how often a field is asked for that few documents print."""
    return 3.0 if key in _SELDOM else 2.0 if key in extras.extras() else usual


def lacking(draft: Draft) -> Task | None:
    """One field that it lacks."""
    lang = languages()["en"]
    if draft.held_out or draft.rng.random() < 0.4:
        if not absent(draft):
            return None
        lang = language_of_question(draft)
        key = _some_absent(draft)
    else:
        key = lacked(draft)
    return Task("unanswerable", question(draft, key, lang), None, REFUSAL) if key else None
