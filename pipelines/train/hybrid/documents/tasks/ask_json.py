"""Extraction into JSON: schemas of one to ten fields, named in many ways, with fields that the document lacks."""

from __future__ import annotations

import json
import random
from typing import Any

from pipelines.train.hybrid.documents.draft import Draft, Table
from pipelines.train.hybrid.documents.language import languages
from pipelines.train.hybrid.documents.tasks.ask_fields import absent, unique
from pipelines.train.hybrid.samples import Task

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
    missing = rng.sample(lacks, min(len(lacks), rng.choice((0, 0, 0, 1, 1, 2))))
    keys = [*wanted, *missing]
    if missing:
        rng.shuffle(keys)
    values = {fact.key: fact.value for fact in able}
    style, described = rng.choice(("snake", "snake", "camel", "plain", "title")), rng.random() < 0.25
    nullable = rng.random() < 0.6
    properties: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    for key in keys:
        name = _named(rng, key, style)
        if name in properties:
            continue
        properties[name] = {"type": ["string", "null"] if nullable else "string"}
        if described:
            properties[name]["description"] = languages()["en"].name(rng, key)
        answer[name] = values.get(key, None if nullable else "")
    if draft.tables and rng.random() < 0.35 and len(draft.tables[0].rows) <= 8 and len(keys) <= 5:
        name = _named(rng, rng.choice(("items", "rows", "lines")), style)
        properties[name], answer[name] = _rows(rng, draft.tables[0], style)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    if rng.random() < 0.5:
        schema["additionalProperties"] = False
    return Task(
        "json", rng.choice(_QUESTIONS), json.dumps(schema, ensure_ascii=False), json.dumps(answer, ensure_ascii=False)
    )


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


def _named(rng: random.Random, key: str, style: str) -> str:
    """A property's name for a key."""
    parts = rng.choice(_OTHER_NAMES.get(key, [key])).replace(" ", "_").split("_")
    match style:
        case "camel":
            return parts[0] + "".join(part.capitalize() for part in parts[1:])
        case "plain":
            return " ".join(parts)
        case "title":
            return " ".join(parts).capitalize()
        case _:
            return "_".join(parts)
