"""Questions about fields, answered by the value as printed, and questions about fields that the document lacks."""

from __future__ import annotations

from pipelines.train.hybrid.documents.draft import Draft, Fact
from pipelines.train.hybrid.documents.language import Language, languages
from pipelines.train.hybrid.samples import REFUSAL, Task

_PLAIN = {"phone", "email", "website", "iban", "due_date", "cashier", "order_number", "customer_number", "birth_date",
          "birth_place", "nationality", "discount", "shipping", "rounding", "change", "valid_until", "department",
          "position", "meter_number", "consumption", "tax_id", "bank", "payment_method", "version", "opening_balance",
          "closing_balance", "contact_person", "time", "invoice_number", "id_number"}  # fmt: skip
"""Fields whose names mean one thing, so that it is clear when a document lacks them."""


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
    return sorted(key for key in _PLAIN - present if key in languages()["en"].data["labels"])


def language_of_question(draft: Draft) -> Language:
    """English, or in half of the cases the document's own language."""
    return draft.lang if draft.rng.random() < 0.5 else languages()["en"]


def field(draft: Draft) -> Task | None:
    """One field that the document holds."""
    able = [fact for fact in draft.facts if unique(draft, fact) and fact.key not in ("customer_address", "signed_by")]
    if not able:
        return None
    weights = [3 if fact.key in ("total", "date", "company", "address", "seller_address") else 1 for fact in able]
    (fact,) = draft.rng.choices(able, weights)
    lang = language_of_question(draft)
    question = lang.ask(draft.rng, "field", draft.held_out, name=lang.name(draft.rng, fact.key))
    return Task("field", question, None, fact.value)


def lacking(draft: Draft) -> Task | None:
    """One field that it lacks."""
    if not (able := absent(draft)):
        return None
    lang = language_of_question(draft)
    question = lang.ask(draft.rng, "field", draft.held_out, name=lang.name(draft.rng, draft.rng.choice(able)))
    return Task("unanswerable", question, None, REFUSAL)
