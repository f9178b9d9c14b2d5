"""How sure the default decoder's values are, and how often they are right.

    python -m benchmarks.answer_calibration [--letters 120] [--receipts ../shared/data/dev/receipts] [--fit]

Values of JSON answers about generated letters: curves are fitted on the letters of one seed and reported on those of
another, and on development receipts (their true lines stand in for OCR, so that this is about answers alone). A value
is right when it is the same number, the same date, or the same words as the truth, case and outer punctuation aside;
null is right for a field that the letter lacks. Expected calibration error: |confidence - right| over ten bins by size.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.confidence_fit import Judged, fit
from benchmarks.generated_letters import SCHEMA, letters
from decoder.answer import Answerer, AnswerTask
from decoder.calibration import UNCALIBRATED, Calibration, Grounds, written
from decoder.config import DecoderConfig
from decoder.evidence import normalised
from decoder.grounding import leaf_signals
from decoder.precontext import Precontext
from decoder.values import amounts, dates
from encoders.results import DocumentResult, Line, Page, quad

RECEIPT_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "company": {"type": "string", "maxLength": 60},
            "date": {"type": "string", "maxLength": 24},
            "total": {"type": "string", "maxLength": 16},
        },
        "required": ["company", "date", "total"],
        "additionalProperties": False,
    }
)
BINS = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """A document, the schema that is asked of it, and the truth of its fields."""

    document: DocumentResult
    schema: str
    truth: dict[str, str | float | None]


def same(value: object, truth: object) -> bool:
    """Whether two values mean the same."""
    if value is None or truth is None or value == "":
        return (value is None or value == "") and truth is None
    one, other = str(value), str(truth)
    if (sought := amounts(other)) and amounts(one) & sought:
        return True
    if (day := dates(other)) and dates(one) & day:
        return True
    return [normalised(word) for word in one.split()] == [normalised(word) for word in other.split()]


def judged(answerer: Answerer, asked: Sequence[Asked]) -> list[Judged]:
    """Ask, and compare every value with the truth."""
    tasks = [
        AnswerTask(str(i), None, item.schema, (Precontext("ocr", item.document, "p"),)) for i, item in enumerate(asked)
    ]
    prepared = [answerer.prepare(task) for task in tasks]
    found = []
    generations = answerer.engine.generate([item.request for item in prepared if item.request is not None])
    for task, item, generation in zip(tasks, asked, generations, strict=True):
        for leaf, signals, _ in leaf_signals(generation, answerer.fusion.tokenizer, task.precontext, ""):
            found.append(Judged(signals, same(leaf.value, item.truth[leaf.path[1:]])))
    return found


def receipts(folder: Path) -> Iterable[Asked]:
    """Development receipts as their labels have them."""
    for row in (json.loads(row) for row in (folder / "labels.jsonl").read_text("utf-8").splitlines()):
        lines = tuple(
            Line(line["text"], quad(*_extent(line["box"])), 1.0, (), paragraph=i)
            for i, line in enumerate(row["truth"]["lines"])
        )
        page = Page(1, 1000, 2000, "ocr", "\n".join(line.text for line in lines), lines)
        yield Asked(DocumentResult((page,)), RECEIPT_SCHEMA, row["truth"]["fields"])


def _extent(box: Sequence[float] | Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    corners = np.asarray(box, float).reshape(-1, 2)
    return (*map(float, corners.min(0)), *map(float, corners.max(0)))  # type: ignore[return-value]


def report(name: str, values: Sequence[Judged], calibration: Calibration, *, table: bool = True) -> None:
    """The reliability table and the expected calibration error."""
    confidence = np.array([calibration.confidence(value.signals) for value in values])
    right = np.array([value.right for value in values], float)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    error = 0.0
    rows = []
    for index in range(BINS):
        inside = place == index
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
            rows.append(f"  {index / BINS:.1f}-{(index + 1) / BINS:.1f}{int(inside.sum()):7}"
                        f"{confidence[inside].mean():12.2f}{right[inside].mean():8.2f}")  # fmt: skip
    brier = float(np.mean((confidence - right) ** 2))
    print(f"{name}: {len(values)} values, {right.mean():.1%} right, mean confidence {confidence.mean():.2f}, "
          f"expected calibration error {error:.3f}, Brier score {brier:.3f}")  # fmt: skip
    if table:
        print("  confidence  values  confidence   right", *rows, sep="\n", flush=True)


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--letters", type=int, default=120)
    options.add_argument("--receipts", type=Path, default=Path("../shared/data/dev/receipts"))
    options.add_argument("--fit", action="store_true", help="fit the curves anew and print them")
    chosen = options.parse_args()
    answerer = Answerer(DecoderConfig())
    answerer.load()
    started = time.process_time()
    calibration = answerer.calibration
    if chosen.fit:
        fitted_on = [Asked(item.document, SCHEMA, item.truth) for item in letters(100, chosen.letters)]
        known = judged(answerer, fitted_on)
        calibration = fit(known)
        print(f"decoder/calibration.json: {written({answerer.config.checkpoint: calibration})}")
        for grounds in Grounds:
            own = [value.right for value in known if value.signals.grounds is grounds]
            print(f"  {grounds}: {len(own)} values, {np.mean(own) if own else 0:.1%} right")
        report("letters that were fitted on", known, calibration, table=False)
    others = judged(answerer, [Asked(item.document, SCHEMA, item.truth) for item in letters(200, chosen.letters)])
    report("other letters, tokens' own probability", others, UNCALIBRATED, table=False)
    report("other letters", others, calibration)
    if (chosen.receipts / "labels.jsonl").exists():
        values = judged(answerer, list(receipts(chosen.receipts)))
        report("receipts, tokens' own probability", values, UNCALIBRATED, table=False)
        report("receipts", values, calibration)
    else:
        print(f"no receipts at {chosen.receipts}")
    print(f"({time.process_time() - started:.0f} s CPU)")
    answerer.close()


if __name__ == "__main__":
    main()
