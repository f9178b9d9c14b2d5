"""Extraction into JSON: schemas of one to ten fields, named in many ways, with fields that the document lacks."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from decoder.values import amounts
from pipelines.train.hybrid.documents import extras, wordings
from pipelines.train.hybrid.documents.draft import Draft, Table
from pipelines.train.hybrid.documents.language import languages
from pipelines.train.hybrid.documents.tasks.ask_fields import absent, lacked, unique
from pipelines.train.hybrid.samples import Task

_NUMBERS = 0.35  # of the amounts of a training: a decoder that never wrote one gives null, or the digits before a comma
_NEAR = 0.35  # of the schemas of a training: ask for what is lacking and looks like something that is there
_MONEY = re.compile(r"[.,]\d\d(?!\d)")
_OTHER_NAMES = {
    "company": ["company", "vendor", "seller", "shop_name", "company_name", "merchant"],
    "address": ["address", "company_address", "shop_address"],
    "seller_address": ["seller_address", "company_address", "vendor_address"],
    "personal_address": ["address", "home_address"],
    "total": ["total", "total_amount", "grand_total", "amount_due"],
    "date": ["date", "issue_date", "document_date"],
    "phone": ["phone", "telephone", "phone_number"],
    "tax": ["tax", "tax_amount"],
    "tax_id": ["tax_id", "tax_number"],
    "name": ["name", "full_name", "holder"],
    "unit_price": ["unit_price", "price", "price_each"],
    "description": ["description", "item", "product", "name"],
    "amount": ["amount", "line_total"],
    "quantity": ["quantity", "qty"],
    "cash": ["cash", "cash_paid"],
    "customer": ["customer", "customer_name", "bill_to"],
    "change": ["change", "change_given"],
}
_QUESTIONS = (
    None,
    None,
    "Extract the fields.",
    "Fill in the form from the document.",
    "Extract the data as JSON.",
    "Return the requested fields as printed.",
    "Read the document into this structure.",
    "Give the fields as JSON.",
)
_MORE_QUESTIONS = (
    "Extract this.",
    "Please fill in this structure.",
    "Give me these values as JSON.",
    "What are these fields? Leave out what is not there.",
    "Complete the JSON with what the document says; null for what it does not say.",
    "Parse the document.",
    "Only what is printed, please.",
)
_ROWS = ("All rows of the table.", "List every row, from the first to the last.", "Give the table as JSON.",
         "Extract all lines.")  # fmt: skip
_GROUPS = ("details", "header", "data", "document", "info", "fields", "extracted", "general")
_OF_THE_SELLER = {"company", "address", "seller_address", "phone", "email", "website", "tax_id", "fax", "hotline"}
_SELLERS = ("seller", "vendor", "shop", "merchant", "issuer", "store", "supplier")
_SMALL = {"the", "of", "a", "an", "on", "it", "is", "by", "in", "at", "for", "or", "and", "to", "who", "which"}


def extraction(draft: Draft) -> Task | None:
    """One schema over some fields, perhaps with the table's rows."""
    rng = draft.rng
    able = [fact for fact in draft.facts if unique(draft, fact) and fact.key not in ("customer_address", "signed_by")]
    if not able:
        return None
    receipt = {"company", "date", "address", "total"}
    if rng.random() < 0.3 and receipt <= {fact.key for fact in able}:
        wanted = ["company", "date", "address", "total"]
    else:
        wanted = [fact.key for fact in rng.sample(able, min(len(able), rng.choice((1, 2, 3, 3, 4, 5, 6, 8))))]
    lacks = absent(draft)
    if draft.held_out:
        missing = rng.sample(lacks, min(len(lacks), rng.choice((0, 0, 0, 1, 1, 2))))
    else:
        wanted = wanted if rng.random() > 0.04 else []
        many = rng.choice((0, 0, 1, 1, 2, 3, 4)) if wanted else 3
        missing = sorted({key for key in (lacked(draft) for _ in range(many)) if key})
        if whose := sorted(fact.key for fact in able if fact.key in extras.extras() and fact.key not in wanted):
            wanted += whose[: rng.randint(0, len(whose))]
        if rng.random() < _NEAR:
            wanted, missing = _neighbours(draft, wanted, {fact.key for fact in able})
    keys = [*wanted, *missing]
    if missing and (draft.held_out or rng.random() < 0.7):  # else what is lacking comes last, as in many schemas
        rng.shuffle(keys)
    values = {fact.key: fact.value for fact in able}
    styles = ("snake", "snake", "camel", "plain", "title") + (() if draft.held_out else ("snake", "pascal", "upper"))
    style, described = rng.choice(styles), rng.random() < (0.25 if draft.held_out else 0.35)
    nullable = rng.random() < 0.6
    mixed = not draft.held_out and rng.random() < 0.3  # some may be null and some not, as people write schemas
    properties: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    for key in keys:
        name = _named(rng, key, style) if draft.held_out else _called(draft, key, style)
        if name in properties:
            continue
        nullable = rng.random() < 0.5 if mixed else nullable
        properties[name] = {"type": ["string", "null"] if nullable else "string"}
        if described:
            properties[name]["description"] = (
                languages()["en"].name(rng, key) if draft.held_out else wordings.name(draft, key)
            )
        answer[name] = values.get(key, None if nullable else "")
        if not draft.held_out and (amount := _amount(values.get(key))) is not None and rng.random() < _NUMBERS:
            properties[name]["type"] = ["number", "null"] if nullable else "number"
            answer[name] = amount
    longest, often = (8, 0.35) if draft.held_out else (14, 0.4)
    if draft.tables and rng.random() < often and len(draft.tables[0].rows) <= longest and len(keys) <= 5:
        name = _named(rng, rng.choice(("items", "rows", "lines")), style)
        properties[name], answer[name] = _rows(rng, draft.tables[0], style)
    if not draft.held_out and len(properties) > 2 and rng.random() < 0.2:
        properties, answer = _nested(rng, keys, properties, answer, style)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    if rng.random() < 0.5:
        schema["additionalProperties"] = False
    asked = _QUESTIONS if draft.held_out else (*_QUESTIONS, *_MORE_QUESTIONS)
    return Task(
        "json", rng.choice(asked), json.dumps(schema, ensure_ascii=False), json.dumps(answer, ensure_ascii=False)
    )


def _neighbours(draft: Draft, wanted: list[str], able: set[str]) -> tuple[list[str], list[str]]:
    """Fields that are there and fields that are not, of the same types; of the former at times none that the latter
    could be taken for."""
    rng = draft.rng
    present = {fact.key for fact in draft.facts} | {key for table in draft.tables for key in table.columns}
    missing = extras.near(draft, present, absent(draft), rng.choice((1, 2, 2, 3, 4)))
    types = {extras.type_of(key) for key in missing}
    alike = sorted(key for key in able if extras.type_of(key) in types or extras.of_buyers(key))
    if rng.random() < 0.6:
        wanted = list(dict.fromkeys([*wanted, *rng.sample(alike, min(len(alike), rng.choice((1, 2, 3))))]))
    else:
        wanted = [key for key in wanted if key not in alike or extras.type_of(key) != "phone"]
    return wanted, missing


def listing(draft: Draft) -> Task | None:
    """The rows of a table alone, the more of them the better: in training, for lists that end too early."""
    rng = draft.rng
    able = [table for table in draft.tables if 2 <= len(table.rows) <= 14]
    if not able:
        return None
    table = max(able, key=lambda one: len(one.rows)) if rng.random() < 0.7 else rng.choice(able)
    style = rng.choice(("snake", "camel", "plain", "title", "pascal"))
    name = _named(rng, rng.choice(("items", "rows", "lines", "entries", "table")), style)
    properties, answer = _rows(rng, table, style)
    schema = {"type": "object", "properties": {name: properties}, "required": [name]}
    asked = rng.choice((None, *_ROWS))
    return Task("json", asked, json.dumps(schema, ensure_ascii=False), json.dumps({name: answer}, ensure_ascii=False))


def _amount(printed: str | None) -> float | None:
    """The number that an amount of money is, if it can be but one."""
    found = amounts(printed) if printed and _MONEY.search(printed) else frozenset()
    return next(iter(found)) if len(found) == 1 else None


def _rows(rng: random.Random, table: Table, style: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Schema and answer for the rows of a table, with some of its columns."""
    chosen = sorted(rng.sample(range(len(table.columns)), rng.randint(1, min(3, len(table.columns)))))
    names = {index: _named(rng, table.columns[index], style) for index in chosen}
    row = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names.values()},
        "required": list(names.values()),
    }
    answer = [{name: cells[index] for index, name in names.items()} for cells in table.rows]
    return {"type": "array", "items": row}, answer


def _nested(
    rng: random.Random, keys: list[str], properties: dict[str, Any], answer: dict[str, Any], style: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two or more neighbours under an object of their own."""
    names = list(properties)
    start = rng.randint(0, len(names) - 2)
    inner = names[start : start + rng.randint(2, len(names) - start)]
    of_seller = all(key in _OF_THE_SELLER for name, key in zip(names, keys) if name in inner)
    group = _styled([rng.choice(_SELLERS if of_seller and len(keys) == len(names) else _GROUPS)], style)
    if group in names:
        return properties, answer
    own = {name: properties[name] for name in inner}
    shape = {"type": "object", "properties": own, "required": inner}
    around = [name for name in names if name not in inner or name == inner[0]]
    return (
        {group if name == inner[0] else name: shape if name == inner[0] else properties[name] for name in around},
        {
            group if name == inner[0] else name: {one: answer[one] for one in inner}
            if name == inner[0]
            else answer[name]
            for name in around
        },
    )


def _called(draft: Draft, key: str, style: str) -> str:
    """A property's name in training: also any short way in which a question would name the field, in English or, now
    and then, in the document's language."""
    rng = draft.rng
    if rng.random() < 0.5 or key in ("personal_address",):
        if key not in extras.extras():
            return _named(rng, key, style)
        return _styled(key.split("_"), style)
    local = draft.lang if rng.random() < 0.25 and key not in extras.extras() else None
    full = local.name(rng, key) if local else wordings.name(draft, key)
    turned = re.sub(r"^(.*) of (?:the )?(.*)$", r"\2 \1", full)  # name of the shop: shop_name
    words = [word for word in re.findall(r"[^\W_]+", turned.replace("'s", "").lower()) if word not in _SMALL]
    return _styled(words, style) if 1 <= len(words) <= 3 else _styled(key.split("_"), style)


def _named(rng: random.Random, key: str, style: str) -> str:
    """A property's name for a key."""
    return _styled(rng.choice(_OTHER_NAMES.get(key, [key])).replace(" ", "_").split("_"), style)


def _styled(parts: list[str], style: str) -> str:
    """Words as one name."""
    match style:
        case "pascal":
            return "".join(part.capitalize() for part in parts)
        case "upper":
            return "_".join(parts).upper()
        case "camel":
            return parts[0] + "".join(part.capitalize() for part in parts[1:])
        case "plain":
            return " ".join(parts)
        case "title":
            return " ".join(parts).capitalize()
        case _:
            return "_".join(parts)
