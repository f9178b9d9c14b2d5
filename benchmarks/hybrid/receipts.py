"""Scanned receipts: total, date, company and address, asked by one schema and by single questions; and what no receipt
holds. The first 15 by file name were looked at while the prompts and samples were written, the others were not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.hybrid.agreement import occurs, refused, same_amount, same_company, same_day, token_f1
from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report
from decoder.answer import Answer
from pipelines.train.hybrid.samples import Sample

SECTION = "receipts"
DATA = Path("../shared/data/dev/receipts")
LOOKED_AT = 15

_SAME: dict[str, Callable[[str, str], bool]] = {"total": same_amount, "date": same_day, "company": same_company}
_QUESTIONS = {
    "total": "What is the total amount?",
    "date": "What is the date of the receipt?",
    "company": "Which company issued the receipt?",
    "address": "What is the address of the company?",
}
_ABSENT = {
    "iban": "What is the IBAN of the bank account?",
    "customer_phone": "What is the customer's phone number?",
    "arrival_time": "What is the time of arrival?",
    "passport_number": "What is the passport number?",
}
_LONGEST = {"company": 80, "address": 160}


def _schema() -> str:
    """What stands on a receipt, then what does not; all may be null, since who asks does not know."""
    names = ["company", "date", "address", "total", "iban", "customer_phone", "arrival_time"]
    properties = {name: {"type": ["string", "null"], "maxLength": _LONGEST.get(name, 32)} for name in names}
    return json.dumps({"type": "object", "properties": properties, "required": names, "additionalProperties": False})


SCHEMA = _schema()


def run(setting: Setting, report: Report) -> None:
    """Ask all columns about the receipts; without the data say so and leave the rows out."""
    receipts = material(setting)
    if not receipts:
        report.lines.append(f"no receipts at {setting.receipts}: their rows are left out")
        return
    asked = [item for one in receipts for item in _about(one.sample.notes, one.inputs[0], {"half": one.sample.layout})]
    for column, replies in setting.panel.ask(asked, SECTION).items():
        report.add(column, (outcome for reply in replies for outcome in reply.outcomes))


def material(setting: Setting) -> list[Material]:
    """The receipts with their fields; none without the data."""
    return setting.material(SECTION, lambda: _read(setting))


def _read(setting: Setting) -> list[Material]:
    folder = setting.receipts
    if not (folder / "labels.jsonl").exists():
        return []
    rows = [json.loads(row) for row in (folder / "labels.jsonl").read_text("utf-8").splitlines()]
    rows = sorted(rows, key=lambda row: row["file"])[: setting.limit]
    inputs = setting.ocr.read((("image/jpeg", (folder / row["file"]).read_bytes()) for row in rows), SECTION)
    setting.ocr.close()
    found = []
    for index, (row, item) in enumerate(zip(rows, inputs, strict=True)):
        half = "looked at" if index < LOOKED_AT else "other half"
        found.append(Material(Sample(index, "receipt", "en", half, notes=row["truth"]["fields"]), (item,)))
    return found


def _about(truth: dict[str, str], item: Input, tags: dict[str, str]) -> list[Asked]:
    found = [Asked((item,), None, SCHEMA, partial(_judge_json, truth, item.key, tags))]
    for name, question in _QUESTIONS.items():
        found.append(Asked((item,), question, None, partial(_judge_text, name, truth[name], item.key, tags)))
    for question in _ABSENT.values():
        found.append(Asked((item,), question, None, partial(_judge_refusal, item.key, tags)))
    return found


def _outcomes(name: str, how: str, value: str, truth: str, unit: str, tags: dict[str, str]) -> list[Outcome]:
    row = f"{SECTION}: {name}, {how}"
    if name == "address":
        return [Outcome(row, Measure.MEAN, token_f1(value, truth), unit, tags=tags)]
    exact = Outcome(row, Measure.RATE, float(_SAME[name](value, truth)), unit, tags=tags)
    return [exact]


def _judge_text(name: str, truth: str, unit: str, tags: dict[str, str], answer: Answer) -> Sequence[Outcome]:
    found = _outcomes(name, "question", answer.text, truth, unit, tags)
    if name != "address":
        row = f"{SECTION}: {name} occurs in the answer"
        found.append(Outcome(row, Measure.RATE, float(occurs(answer.text, truth)), unit, tags=tags))
    return found


def _judge_json(truth: dict[str, str], unit: str, tags: dict[str, str], answer: Answer) -> Sequence[Outcome]:
    values: dict[str, Any] = {}
    try:
        values = json.loads(answer.text)
        valid = isinstance(values, dict) and set(values) == set(json.loads(SCHEMA)["required"])
    except ValueError:
        valid = False
    found = [Outcome(f"{SECTION}: valid JSON", Measure.RATE, float(valid), unit, tags=tags)]
    for name in _QUESTIONS:
        found += _outcomes(name, "schema", str(values.get(name) or ""), truth[name], unit, tags)
    for name in set(json.loads(SCHEMA)["required"]) - set(_QUESTIONS):
        null = valid and not values[name]
        found.append(Outcome(f"{SECTION}: refused, schema", Measure.RATE, float(null), unit, tags=tags))
    return found


def _judge_refusal(unit: str, tags: dict[str, str], answer: Answer) -> Sequence[Outcome]:
    refusal = not answer.failures and refused(answer.text)
    return [Outcome(f"{SECTION}: refused, question", Measure.RATE, float(refusal), unit, tags=tags)]
