"""Fields that only some documents print, in English: asked where they stand, refused where they do not."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.train.hybrid.documents import words

if TYPE_CHECKING:
    from pipelines.train.hybrid.documents.draft import Draft

_FILE = Path(__file__).with_name("extras.toml")
_LETTERS = {
    "receipt": "r",
    "invoice": "i",
    "form": "f",
    "identity": "d",
    "statement": "s",
    "letter": "l",
    "report": "p",
}

_PERSONS = ("driver", "waiter", "landlord", "courier", "accountant", "doctor", "guarantor", "spouse", "lawyer",
            "teacher", "inspector", "insurer", "dentist", "sponsor", "mechanic", "notary", "interpreter", "trainer",
            "neighbour", "parent", "caretaker", "witness", "guest", "tenant", "passenger")  # fmt: skip
_BUYERS = ("buyer", "client", "purchaser", "shopper", "cardholder", "payer", "consignee", "account holder")
"""Those whose numbers and addresses a receipt or an invoice may print beside those of who sells."""
_PLACES = ("hotel", "hospital", "airline", "garage", "warehouse", "embassy", "clinic", "insurance")
_OWNED = {"phone": "phone number|telephone number|phone", "email": "e-mail address|email", "address": "address",
          "date": "date of birth|birthday"}  # fmt: skip
_EVENTS = ("departure", "collection", "opening", "closing", "landing", "boarding", "delivery", "return", "appointment",
           "inspection", "visit", "call", "meeting", "repair", "dispatch", "installation", "interview", "lesson",
           "admission", "discharge", "booking", "reservation", "take-off", "pick-up", "feeding", "start")  # fmt: skip
_TAGS = {"phone": "Tel", "email": "mail", "address": "addr.", "date": "born on", "fax": "Fax", "mobile": "HP"}
_OF_BUYERS = _OWNED | {"fax": "fax number|fax", "mobile": "mobile number|cell phone"}
_OF_CUSTOMERS = ("email", "fax", "mobile", "date")  # not the telephone, which the receipts' evaluation asks for


def _key(owner: str, of: str) -> str:
    return f"{owner.replace(' ', '_')}_{'birthday' if of == 'date' else of}"


_ALIKE = (
    {"cashier", "waiter", "salesperson", "manager"},
    {"id_number", "card_ending", "member_number", "staff_number", "student_number", "licence_number", "customer_number",
     "driving_licence"},
    {"date", "issued_on", "order_date", "payment_date", "service_date"},
    {"phone", "mobile", "hotline"},
    {"email", "complaints_email"},
    {"company", "employer", "school", "issuing_authority", "branch"},
    {"customer", "customer_address", "delivery_address", *(_key(owner, "address") for owner in _BUYERS)},
    {"mobile", *(_key(owner, of) for owner in (*_BUYERS, "customer") for of in ("phone", "mobile"))},
    *({_key(owner, of) for owner in (*_BUYERS, "customer")} for of in ("email", "fax", "date")),
    {"name", "patient"},
    {"total", "outstanding"},
    {"discount", "savings", "coupon"},
    {"points", "points_balance"},
    {"contact_person", "adviser"},
    {"author", "signed_by", "approved_by"},
    {"position", "occupation"},
    {"description", "colour", "model"},
    {"valid_until", "warranty_until"},
    {"iban", "account_number"},
    {"shipping", "carrier"},
)  # fmt: skip
"""Fields of which one may be taken for the other: none is said to be lacking where another stands."""


@dataclass(frozen=True, slots=True)
class Extra:
    """One such field: labels, names in questions, what its value is made of, letters of the kinds that print it."""

    labels: tuple[str, ...]
    names: tuple[str, ...]
    value: str
    kinds: str


@lru_cache(maxsize=1)
def _usual() -> frozenset[str]:
    return frozenset(tomllib.loads(_FILE.read_text("utf-8")))


@lru_cache(maxsize=1)
def extras() -> dict[str, Extra]:
    """All by key: those of the file, what belongs to some person or place, and when something happens."""
    rows = tomllib.loads(_FILE.read_text("utf-8"))
    found = {}
    for owner in (*_PERSONS, *_PLACES):
        for of, words_ in _OWNED.items():
            if of == "date" and owner in _PLACES:
                continue
            owned = words_.split("|")
            names = (*(f"{owner}'s {one}" for one in owned), f"{owned[0]} of the {owner}")
            called = [f"{owner.capitalize()} Tel", f"{owner.capitalize()} phone"] if of == "phone" else []
            labels = (*called, names[0].capitalize())
            found[_key(owner, of)] = Extra(labels, names, of, "rifslp")
    for owner in (*_BUYERS, "customer"):
        for of in _OF_CUSTOMERS if owner == "customer" else _OF_BUYERS:
            owned = _OF_BUYERS[of].split("|")
            names = (*(f"{owner}'s {one}" for one in owned), f"{owned[0]} of the {owner}")
            labels = (names[0].capitalize(), f"{owner.capitalize()} {owned[-1]}", f"{owner.capitalize()} {_TAGS[of]}")
            found[_key(owner, of)] = Extra(labels, names, {"fax": "phone", "mobile": "phone"}.get(of, of), "ri")
    for event in _EVENTS:
        for of in ("time", "date"):
            labels = (f"{event.capitalize()} {of}", f"{of.capitalize()} of {event}", event.capitalize())
            found[f"{event.replace('-', '_')}_{of}"] = Extra(
                labels, (f"{of} of {event}", f"{event} {of}", f"{of} of the {event}"), of, "rifslpd"
            )
    return found | {
        key: Extra(tuple(labels.split("|")), tuple(names.split("|")), value, kinds)
        for key, (labels, names, value, kinds) in rows.items()
    }


def some(draft: Draft, kind: str, shares: tuple[int, ...] = (0, 1, 1, 2, 2, 3)) -> list[tuple[str, str, list[str]]]:
    """Key, label and value of a few extras of a kind of document; none in what is held out or not English."""
    if draft.held_out or draft.lang.code != "en":
        return []
    able = [key for key, extra in extras().items() if _LETTERS[kind] in extra.kinds]
    usual = [key for key in able if key in _usual()]
    chosen = [draft.rng.choice(usual if draft.rng.random() < 0.6 else able) for _ in range(draft.rng.choice(shares))]
    if kind in ("receipt", "invoice") and draft.rng.random() < 0.2:
        owner = draft.rng.choice((*_BUYERS, "customer"))
        able = [_key(owner, of) for of in (_OF_CUSTOMERS if owner == "customer" else _OF_BUYERS)]
        chosen += draft.rng.sample(able, draft.rng.choice((1, 1, 2)))
    chosen = list(dict.fromkeys(chosen))
    return [(key, draft.rng.choice(extras()[key].labels), _value(draft, extras()[key].value)) for key in chosen]


def _value(draft: Draft, of: str) -> list[str]:
    rng = draft.rng
    match of:
        case "person":
            return [words.person(rng, draft.lang, draft.held_out)]
        case "company":
            return [words.company(rng, draft.lang, draft.held_out)]
        case "date":
            own = draft.days.get("date")  # the document's own date, near which others lie
            return [draft.dated(own + timedelta(days=rng.randint(1, 40)) if own else draft.day())]
        case "money":
            return [draft.money(round(rng.uniform(0.5, 400), 2))]
        case "word":
            return [words.made_up(rng, draft.held_out, 2).capitalize()]
        case "city":
            return [rng.choice(words.part(draft.lang.names["city"], draft.held_out))]
        case "time" | "phone" | "email" | "address":
            return draft.value(of)
        case _ if of.startswith("="):
            return [rng.choice(of[1:].split("|"))]
        case _:
            return [words.code(rng, of)]


_TYPES = {"phone": "phone", "time": "time", "date": "date", "due_date": "date", "birth_date": "date", "email": "email",
          "address": "address", "seller_address": "address", "personal_address": "address", "company": "company",
          "name": "person", "cashier": "person", "customer": "person", "recipient": "person", "author": "person",
          "total": "money", "subtotal": "money", "cash": "money", "closing_balance": "money", "tax": "money",
          "discount": "money", "shipping": "money", "rounding": "money", "change": "money", "opening_balance": "money",
          "valid_until": "date", "contact_person": "person", "signed_by": "person", "sender_address": "address",
          "customer_address": "address"}  # fmt: skip
_KNOWN_TYPES = {"phone", "time", "date", "email", "address", "company", "person", "money", "city", "word"}


def type_of(key: str) -> str:
    """What a field's value is: phone, date, money, or code for numbers of all kinds."""
    of = extras()[key].value if key in extras() else _TYPES.get(key, "code")
    return of if of in _KNOWN_TYPES else "code"


def of_buyers(key: str) -> bool:
    """Whether it is a number or an address of who buys."""
    return key in _buyers()


@lru_cache(maxsize=1)
def _buyers() -> frozenset[str]:
    return frozenset(_key(owner, of) for owner in (*_BUYERS, "customer") for of in _OF_BUYERS)


def near(draft: Draft, present: set[str], others: Iterable[str], most: int) -> list[str]:
    """Up to ``most`` fields that the document does not print, of extras and ``others``, each of the type of one that it
    does print: the due date where only the day of issue stands, the buyer's telephone where only the shop's does."""
    types = {type_of(key) for key in present} - {"code"}
    able = [key for key in unlike((*extras(), *others), present) if _fits(draft, key) and type_of(key) in types]
    chosen: list[str] = []
    for _ in range(most if able else 0):
        of = draft.rng.choice(sorted({type_of(key) for key in able}))
        same = [key for key in able if type_of(key) == of]
        whose = [key for key in same if of_buyers(key)]
        usual = [key for key in same if key in others or key in _usual()]
        pick = draft.rng.random()
        chosen.append(draft.rng.choice((pick < 0.4 and whose) or (pick < 0.75 and usual) or same))
    return list(dict.fromkeys(chosen))


def _fits(draft: Draft, key: str) -> bool:
    """Not whose number it is that a statement or a form prints, which nobody says."""
    return draft.kind in ("receipt", "invoice") or not of_buyers(key)


def absent(draft: Draft, present: set[str]) -> str:
    """One that the document does not print; more often than not one of a type of which it prints another."""
    able = [key for key in unlike(extras(), present) if _fits(draft, key)]
    types = sorted({_TYPES[key] for key in present if key in _TYPES})
    if types and draft.rng.random() < 0.6:
        of = draft.rng.choice(types)
        if "phone" in types and draft.rng.random() < 0.3:  # the number most often given for another's
            of = "phone"
        able = [key for key in able if extras()[key].value == of] or able
    return draft.rng.choice(able)


def named(rng: random.Random, key: str) -> str:
    """How a question names it."""
    return rng.choice(extras()[key].names)


def unlike(keys: Iterable[str], present: set[str]) -> list[str]:
    """The keys that cannot be taken for one that is present."""
    near = {key for group in _ALIKE if group & present for key in group}
    return [key for key in keys if key not in present and key not in near]
