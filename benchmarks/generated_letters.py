"""Business letters with known fields, as the OCR encoder would return them.

`letters(seed, count)` gives pages of lines with words and boxes, and the truth of a handful of fields. Some lack a
field, so that there is something to say null to; amounts and dates are printed in the formats of several countries.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from benchmarks.generated_text import Prose
from encoders.results import DocumentResult, Line, Page, Word, quad

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "company": {"type": "string", "maxLength": 40},
            "number": {"type": "string", "maxLength": 20},
            "date": {"type": "string", "maxLength": 24},
            "total": {"type": ["number", "null"]},
        },
        "required": ["company", "number", "date", "total"],
        "additionalProperties": False,
    }
)
QUESTIONS = {
    "company": "Which company sent this?",
    "number": "What is the number of the invoice?",
    "date": "What is the date of the invoice?",
    "total": "What is the total amount?",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A document with the truth of its fields; None where it has no such field."""

    document: DocumentResult
    truth: dict[str, str | float | None]


def letters(seed: int, count: int) -> Iterator[Letter]:
    """So many letters; the same seed gives the same."""
    for index in range(count):
        yield _letter(random.Random(f"{seed} {index}"))


def _letter(rng: random.Random) -> Letter:
    prose = Prose(rng)
    company = f"{prose.title(2)} {rng.choice(['Ltd', 'GmbH', 'Inc.', '& Sons', 'S.A.'])}"
    number = rng.choice(
        [
            f"{rng.randint(1000, 99999)}",
            f"INV-{rng.randint(100, 9999)}",
            f"{rng.randint(2015, 2025)}/{rng.randint(1, 400):03d}",
        ]
    )
    day = date(2010, 1, 1) + timedelta(days=rng.randint(0, 5800))
    printed = rng.choice(
        [day.isoformat(), day.strftime("%d/%m/%Y"), day.strftime("%d %B %Y"), day.strftime("%B %-d, %Y")]
    )
    items = [(prose.item(), round(rng.uniform(2, 900), 2)) for _ in range(rng.randint(1, 5))]
    total = round(sum(price for _, price in items), 2) if rng.random() < 0.85 else None
    currency, comma = rng.choice(["$", "€", "RM ", ""]), rng.random() < 0.2
    rows = [company, f"{rng.randint(1, 200)} {prose.words('noun').capitalize()} Street", prose.sentence()]
    rows.append(f"{rng.choice(['Invoice', 'Invoice No.', 'Invoice number:'])} {number}")
    rows.append(f"{rng.choice(['Date:', 'Dated', 'Issued on'])} {printed}")
    rows += [f"{name} {currency}{_money(price, comma)}" for name, price in items]
    if total is not None:
        rows.append(f"{rng.choice(['Total', 'TOTAL', 'Total amount due'])} {currency}{_money(total, comma)}")
    rows += [prose.sentence(), "Thank you for your custom."]
    lines = tuple(_line(text, 60 + 36 * index, index, rng) for index, text in enumerate(rows))
    page = Page(1, 900, 1200, "ocr", "\n".join(rows), lines)
    return Letter(DocumentResult((page,)), {"company": company, "number": number, "date": printed, "total": total})


def _money(value: float, comma: bool) -> str:
    printed = f"{value:,.2f}"
    return printed.translate({ord(","): ".", ord("."): ","}) if comma else printed


def _line(text: str, top: float, paragraph: int, rng: random.Random) -> Line:
    words, left = [], 60.0
    for word in text.split():
        words.append(Word(word, quad(left, top, left + 11 * len(word), top + 24), rng.uniform(0.9, 1.0)))
        left += 11 * len(word) + 11
    sure = sum(word.confidence for word in words) / len(words)
    return Line(text, quad(60, top, left - 11, top + 24), sure, tuple(words), paragraph=paragraph)
