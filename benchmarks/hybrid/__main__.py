"""The hybrid model in numbers: one table, modes text / soft / both side by side, the untrained decoder beside them.

    python -m benchmarks.hybrid                                  # everything
    python -m benchmarks.hybrid --rows receipts --limit 4        # a look
    python -m benchmarks.hybrid --checkpoint FOLDER --adapters ocr=FOLDER,speech_to_text=FOLDER

Intervals are of 95 %: Wilson's for rates, a seeded bootstrap over documents for the rest. Pages are read by the real
encoders once and kept under bench-out/hybrid. The table goes to bench-out/hybrid/table.txt too, and with groups by
language and kind to table.json. Without a trained checkpoint only the untrained decoder is asked.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks.hybrid import documents, ratios, reading, receipts, speech, speed, sureness, trained
from benchmarks.hybrid.asking import Panel
from benchmarks.hybrid.columns import MODES, Softener, columns
from benchmarks.hybrid.setting import FONTS, OUT, SPEECH, TEXTS, Setting
from benchmarks.hybrid.table import Report

SECTIONS: dict[str, Callable[[Setting, Report], None]] = {
    "receipts": receipts.run,
    "documents": documents.run,
    "ratios": ratios.run,
    "reading": reading.run,
    "aloud": speech.aloud,
    "calls": speech.calls,
    "pairs": speech.pairs,
    "calibration": sureness.run,
    "speed": speed.run,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.hybrid", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(SECTIONS), help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--modes", default=",".join(MODES), help="some of text, soft, both; soft@16: 16 steps a token")
    parser.add_argument("--checkpoint", default=trained.decoder(), help="the trained decoder; default: the shipped one")
    parser.add_argument("--baseline", default=trained.BASE, help='the untrained decoder, asked in text mode; "": none')
    parser.add_argument("--adapters", default=None, help="TASK=CHECKPOINT,... ; default: the shipped ones")
    parser.add_argument("--limit", type=int, help="at most so many documents, lines or recordings in each row")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:n]")
    parser.add_argument("--workers", type=int, help="columns that are asked at once: 2 on CPU, 1 on CUDA, where an "
                        "engine records its passes and another must not disturb it")  # fmt: skip
    parser.add_argument("--receipts", type=Path, default=receipts.DATA, help="folder of the receipts' labels.jsonl")
    parser.add_argument("--fonts", type=Path, nargs="+", default=FONTS, help="folders of faces for generated pages")
    parser.add_argument("--texts", type=Path, default=TEXTS, help="gzipped English sentences, one a line")
    parser.add_argument(
        "--speech", type=Path, default=SPEECH, help="what pipelines.train.hybrid.speech.evaluation made"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.rows = [name for name in options.rows.split(",") if name]
    if unknown := [name for name in options.rows if name not in SECTIONS]:
        parser.error(f"--rows: there is no {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    try:
        options.columns = columns(options.baseline, options.checkpoint, [m for m in options.modes.split(",") if m])
    except ValueError as error:
        parser.error(f"--modes: {error}")
    if options.adapters is None:
        options.adapters = trained.adapters()
        return options
    try:
        options.adapters = dict(pair.split("=", 1) for pair in options.adapters.split(",") if pair)
    except ValueError:
        parser.error("--adapters: say TASK=CHECKPOINT, as in ocr=weights/ocr,speech_to_text=weights/speech")
    return options


def _workers(device: str) -> int:
    return 2 if device == "cpu" else 1


def main() -> None:
    """Ask, print the table and write it."""
    options = _arguments()
    if options.checkpoint is None:
        print("no trained checkpoint: only the untrained decoder is asked", file=sys.stderr)
    softener = Softener(options.adapters, options.device)
    panel = Panel(options.columns, softener, options.device, options.workers or _workers(options.device))
    setting = Setting(
        panel,
        options.receipts,
        options.limit,
        options.device,
        options.out,
        tuple(options.fonts),
        options.texts,
        options.speech,
    )
    report, seconds, failed = Report(), dict[str, float](), list[str]()
    panel.load()
    try:
        for name in options.rows:
            started = time.monotonic()
            try:
                SECTIONS[name](setting, report)
            except FileNotFoundError as error:
                report.lines.append(f"{name}: left out, {error}")
            except Exception as error:  # what the other rows found out must not be lost
                traceback.print_exc()
                failed.append(name)
                report.lines.append(f"{name}: FAILED, {type(error).__name__}: {error}")
            seconds[name] = round(time.monotonic() - started, 1)
            print(f"{name}: {seconds[name]:.0f} s", file=sys.stderr, flush=True)
    finally:
        panel.close()
    text = report.text()
    print(text)
    settings = {
        "baseline": options.baseline,
        "checkpoint": options.checkpoint,
        "adapters": options.adapters,
        "columns": [column.name for column in options.columns],
        "device": options.device,
        "limit": options.limit,
        "seconds": seconds,
    }
    report.write(options.out / "table.json", settings)
    (options.out / "table.txt").write_text(text + "\n", encoding="utf-8")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
