"""How sure the tuned decoder's values are, and how often right: on the generated documents of the table, before and
after the curves are fitted on other generated documents.

A value is a leaf of a JSON answer or a whole answer in words, in the mode that the rule picks for documents. Expected
calibration error: |mean confidence - share right| over ten bins of equally many values. Selective accuracy: the share
right of the surest 100, 90, ... 50 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.answer_calibration import fit
from benchmarks.hybrid import documents
from benchmarks.hybrid.confidences import Value, values
from benchmarks.hybrid.goals import Goal
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report
from decoder.answer import Answerer
from decoder.calibration import Calibration

SECTION = "calibration"
COUNT = 40
FIRST_SEED = 930_000_000
BINS = 10
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_ERROR, _AT_80 = Goal(at_most=0.08), Goal(at_least=0.97)


def run(setting: Setting, report: Report) -> None:
    """Fit, and report on the documents of the table."""
    column = report.default_of(documents.SECTION)
    if column is None or column not in setting.values:
        report.lines.append("calibration: left out, for no trained mode has answered about documents")
        return
    answerer = setting.panel.answerers[column]
    asked = documents.questions(material(setting))
    known = list(values(setting.panel.ask(asked, SECTION, [column])[column], answerer))
    fitted = fit([value.judged for value in known])
    others = setting.values[column]
    right = np.array([value.judged.right for value in others], float)
    before = np.array([value.confidence for value in others])
    after = np.array([_fitted(fitted, value) for value in others])
    report.lines.append("\n".join(_lines(column, answerer, fitted, right, before, after)))
    report.extras["calibration"] = {
        "column": column,
        "fitted_on": len(known),
        "curves": {str(grounds): curve for grounds, curve in fitted.curves.items()},
        **{name: _figures(own, right) for name, own in (("before", before), ("after", after))},
    }


def material(setting: Setting) -> list[Material]:
    """The documents that the curves are fitted on."""
    return documents.held_out(setting, SECTION, FIRST_SEED, COUNT)


def _fitted(calibration: Calibration, value: Value) -> float:
    signals = value.judged.signals
    return calibration.confidence(signals) if calibration.knows(signals.grounds) else value.confidence


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.float64], bins: int = BINS) -> float:
    """Expected calibration error over bins of equally many values."""
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [len(part) * abs(confidence[part].mean() - right[part].mean()) for part in parts if len(part)]
    return float(sum(gaps) / max(1, len(confidence)))


def selective(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> dict[float, float]:
    """Share right of the surest values, by coverage."""
    order = np.argsort(-confidence, kind="stable")
    return {share: float(right[order[: max(1, round(share * len(order)))]].mean()) for share in COVERAGES}


def _figures(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> dict[str, object]:
    return {
        "values": len(right),
        "calibration_error": calibration_error(confidence, right),
        "selective": {str(share): own for share, own in selective(confidence, right).items()},
    }


def _lines(
    column: str,
    answerer: Answerer,
    fitted: Calibration,
    right: NDArray[np.float64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> Sequence[str]:
    lines = [f"Calibration, mode {column}: {len(right)} values of documents, {100 * right.mean():.1f} % right"]
    lines.append(f"{'':12}{'error':>8}" + "".join(f"{f'{100 * share:.0f} %':>8}" for share in COVERAGES))
    for name, own in (("before", before), ("after", after)):
        shares = "".join(f"{100 * value:8.1f}" for value in selective(own, right).values())
        lines.append(f"{name:12}{calibration_error(own, right):8.3f}{shares}")
    lines.append(_ERROR.line("documents: calibration error after the fit", column, calibration_error(after, right)))
    lines.append(_AT_80.line("documents: right at 80 % coverage", column, selective(after, right)[0.8]))
    curves = ", ".join(f"Grounds.{grounds.name}: {curve}" for grounds, curve in fitted.curves.items())
    lines.append(f'decoder/calibration.py: "{answerer.config.checkpoint}": Calibration({{{curves}}}),')
    return lines
