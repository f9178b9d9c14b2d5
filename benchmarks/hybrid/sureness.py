"""How sure the tuned decoder's values are, and how often right: on the generated documents of the table, before and
after the curves are fitted on other generated documents.

    python -m benchmarks.hybrid --model RUN --kit .train/eval --rows documents,calibration --out OUT
    python -m benchmarks.hybrid.sureness OUT --kit .train/eval --checkpoint RUN/decoder    # again, from OUT/answers
    cp OUT/calibration.json decoder/

A value is a leaf of a JSON answer or a whole answer in words, in the mode that the rule picks for documents. Expected
calibration error: |mean confidence - share right| over ten bins of equally many values. Selective accuracy: the share
right of the surest 100, 90, ... 50 %. Area: the share wrong among the surest, over all coverages on average.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.confidence_fit import fit
from benchmarks.hybrid import documents, recorded, trained
from benchmarks.hybrid.asking import Panel
from benchmarks.hybrid.columns import Softener
from benchmarks.hybrid.confidences import Value, values
from benchmarks.hybrid.goals import Goal
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.selective import COVERAGES, area, calibration_error, interval, selective
from benchmarks.hybrid.setting import OUT, Setting
from benchmarks.hybrid.table import Report
from decoder.answer import Answerer
from decoder.calibration import Calibration, fitted, written
from decoder.config import DecoderConfig
from encoders.checkpoints.home import file_sha256
from encoders.checkpoints.resolve import resolve

SECTION = "calibration"
COUNT = 40
FIRST_SEED = 930_000_000
_ERROR, _AT_80 = Goal(at_most=0.08), Goal(at_least=0.97)


def run(setting: Setting, report: Report) -> None:
    """Fit, and report on the documents of the table."""
    column = report.default_of(documents.SECTION)
    if column is None or column not in setting.values:
        report.lines.append("calibration: left out, for no trained mode has answered about documents")
        return
    answerer = setting.panel.answerers[column]
    replies = setting.panel.ask(documents.questions(material(setting)), SECTION, [column])[column]
    recorded.save(recorded.file_of(setting.out, SECTION, column), replies)
    judge(column, answerer, list(values(replies, answerer)), setting.values[column], setting.out, report)


def material(setting: Setting) -> list[Material]:
    """The documents that the curves are fitted on."""
    return documents.held_out(setting, SECTION, FIRST_SEED, COUNT)


def judge(
    column: str, answerer: Answerer, known: Sequence[Value], others: Sequence[Value], out: Path, report: Report
) -> None:
    """Fit on known values, write the curves to ``out``, and report on others."""
    calibration = fit([value.judged for value in known], _weights_sha256(answerer.config.checkpoint))
    out.mkdir(parents=True, exist_ok=True)
    name = trained.ships_as(answerer.config.checkpoint)
    (out / "calibration.json").write_text(written({**fitted(), name: calibration}), encoding="utf-8")
    right = np.array([value.judged.right for value in others], float)
    before = np.array([value.confidence for value in others])
    after = np.array([_fitted(calibration, value) for value in others])
    units = [value.unit for value in others]
    report.lines.append("\n".join(_lines(column, units, right, before, after)))
    report.extras[SECTION] = {
        "column": column,
        "fitted_on": len(known),
        **{kind: _figures(own, right) for kind, own in (("before", before), ("after", after))},
    }


def _weights_sha256(checkpoint: str) -> str:
    weights = resolve(checkpoint) / "model.safetensors"
    return file_sha256(weights) if weights.exists() else ""


def _fitted(calibration: Calibration, value: Value) -> float:
    signals = value.judged.signals
    return calibration.confidence(signals) if calibration.knows(signals.grounds) else value.confidence


def _figures(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> dict[str, object]:
    return {
        "values": len(right),
        "calibration_error": calibration_error(confidence, right),
        "area": area(confidence, right),
        "selective": {str(share): own for share, own in selective(confidence, right).items()},
    }


def _lines(
    column: str,
    units: Sequence[str],
    right: NDArray[np.float64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> Sequence[str]:
    most = min(1.0, right.mean() / 0.8)
    lines = [
        f"Calibration, mode {column}: {len(right)} values of documents, {100 * right.mean():.1f} % right, "
        f"so at most {100 * most:.1f} % of the surest 80 %"
    ]
    lines.append(f"{'':12}{'error':>8}{'area':>8}" + "".join(f"{f'{100 * share:.0f} %':>8}" for share in COVERAGES))
    for name, own in (("before", before), ("after", after)):
        shares = "".join(f"{100 * value:8.1f}" for value in selective(own, right).values())
        lines.append(f"{name:12}{calibration_error(own, right):8.3f}{area(own, right):8.3f}{shares}")
    lows, highs = interval(after, right, units)
    for name, ends in (("after, from", lows), ("to (95 %)", highs)):
        shares = "".join(f"{100 * value:8.1f}" for value in ends[2:])
        lines.append(f"{name:12}{ends[0]:8.3f}{ends[1]:8.3f}{shares}")
    lines.append(_ERROR.line("documents: calibration error after the fit", column, calibration_error(after, right)))
    lines.append(_AT_80.line("documents: right at 80 % coverage", column, selective(after, right)[0.8]))
    return lines


def main() -> None:
    """Fit again on answers that are on file."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.hybrid.sureness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, nargs="?", default=OUT, help="--out of benchmarks.hybrid: has answers/")
    parser.add_argument("--kit", type=Path, required=True, help="what those answers are about")
    parser.add_argument("--column", default="text", help="the mode that answered")
    parser.add_argument("--checkpoint", default="decoder", help="the decoder that answered")
    options = parser.parse_args()
    setting = Setting(Panel((), Softener({})), Path(), out=options.out, kit=options.kit)
    answerer = Answerer(DecoderConfig(checkpoint=options.checkpoint))
    found = {}
    for section, made in ((SECTION, material), (documents.SECTION, documents.material)):
        file = recorded.file_of(options.out, section, options.column)
        if not file.exists():
            parser.error(f"{file} is not there: benchmarks.hybrid --rows documents,calibration --out OUT writes it")
        asked = documents.questions(made(setting))
        try:
            replies = recorded.load(file, asked, answerer)
        except ValueError as error:
            parser.error(str(error))
        found[section] = list(values(replies, answerer))
    report = Report()
    judge(options.column, answerer, found[SECTION], found[documents.SECTION], options.out, report)
    print("\n".join(report.lines))
    print(f"wrote {options.out / 'calibration.json'}: copy it to decoder/")


if __name__ == "__main__":
    main()
