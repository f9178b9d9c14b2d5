"""The hybrid model in numbers: one table, modes text / soft / both side by side, the untrained decoder beside them.

    python -m benchmarks.hybrid                                  # everything
    python -m benchmarks.hybrid --rows receipts --limit 4        # a look
    python -m benchmarks.hybrid --model RUN --modes text,soft@8,both@8,soft@16,both@16 --kit .train/eval \\
        --devices cuda:0 cuda:1 cuda:2 cuda:3                    # what was just trained, on four GPUs

Intervals are of 95 %: Wilson's for rates, a seeded bootstrap over documents for the rest. Pages are read by the real
encoders once and kept under bench-out/hybrid, or taken from a kit (`benchmarks.hybrid.kit`). The table goes to
bench-out/hybrid/table.txt too, and with groups by language and kind to table.json. Without a trained checkpoint only
the untrained decoder is asked.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.hybrid import kit, receipts, trained
from benchmarks.hybrid.columns import MODES, columns
from benchmarks.hybrid.rows import SECTIONS, run
from benchmarks.hybrid.setting import FONTS, OUT, SPEECH, TEXTS, Setting
from benchmarks.hybrid.spread import spread
from benchmarks.hybrid.table import Report


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.hybrid", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(SECTIONS), help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--modes", default=",".join(MODES), help="some of text, soft, both; soft@16: 16 steps a token")
    parser.add_argument("--model", type=Path, help="what export --decoder wrote: its decoder and its adapters")
    parser.add_argument("--checkpoint", help="the trained decoder; default: the shipped one")
    parser.add_argument("--baseline", default=trained.BASE, help='the untrained decoder, asked in text mode; "": none')
    parser.add_argument("--adapters", default=None, help="TASK=CHECKPOINT,... ; default: the shipped ones")
    parser.add_argument("--limit", type=int, help="at most so many documents, lines or recordings in each row")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:n]")
    parser.add_argument("--devices", nargs="+", help="rows and columns spread over a process on each of these; "
                        "one may be named several times")  # fmt: skip
    parser.add_argument("--kit", type=Path, help="what benchmarks.hybrid.kit read; the rest is read now")
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
    options.checkpoint = options.checkpoint or trained.decoder(options.model)
    try:
        options.columns = columns(options.baseline, options.checkpoint, [m for m in options.modes.split(",") if m])
    except ValueError as error:
        parser.error(f"--modes: {error}")
    try:
        pairs = [pair.split("=", 1) for pair in options.adapters.split(",") if pair] if options.adapters else []
        options.adapters = dict(pairs) if options.adapters is not None else trained.adapters(options.model)
    except ValueError:
        parser.error("--adapters: say TASK=CHECKPOINT, as in ocr=weights/ocr,speech_to_text=weights/speech")
    return options


def main() -> None:
    """Ask, print the table and write it."""
    options = _arguments()
    if options.checkpoint is None:
        print("no trained checkpoint: only the untrained decoder is asked", file=sys.stderr)
    report, seconds, failed = Report(), dict[str, float](), list[str]()
    for name, took, fine in (_spread if options.devices else _here)(options, report):
        seconds[name] = max(round(took, 1), seconds.get(name, 0.0))
        failed += [] if fine else [name]
        options.out.mkdir(parents=True, exist_ok=True)  # what is known stands there, whatever ends this process
        (options.out / "table.txt").write_text(report.text() + "\n", encoding="utf-8")
    print(report.text())
    _write(options, report, seconds)
    if failed:
        raise SystemExit(1)


def _write(options: argparse.Namespace, report: Report, seconds: dict[str, float]) -> None:
    settings = {
        "baseline": options.baseline,
        "checkpoint": options.checkpoint,
        "adapters": options.adapters,
        "columns": [column.name for column in options.columns],
        "device": options.devices or options.device,
        "limit": options.limit,
        "seconds": seconds,
    }
    report.write(options.out / "table.json", settings)


def _here(options: argparse.Namespace, report: Report) -> Iterator[tuple[str, float, bool]]:
    """Every row in this process: its name, the seconds that it took, and whether it ended well."""
    setting = Setting.of(options, options.device)
    try:
        for name in options.rows:
            started, fine = time.monotonic(), True
            try:
                run(name, setting, report)
            except Exception as error:  # what the other rows found out must not be lost
                traceback.print_exc()
                fine = False
                report.lines.append(f"{name}: FAILED, {type(error).__name__}: {error}")
            took = time.monotonic() - started
            print(f"{name}: {took:.0f} s", file=sys.stderr, flush=True)
            yield name, took, fine
    finally:
        setting.panel.close()


def _spread(options: argparse.Namespace, report: Report) -> Iterator[tuple[str, float, bool]]:
    """The same on several devices. What no kit has is read first, here, so that no two processes read the same."""
    if options.kit is None:
        options.kit = options.out / "kit"
        kit.make(Setting.of(options, options.devices[0]), options.rows, options.kit, anew=True)
    names = [column.name for column in options.columns]
    soft = next((column.name for column in options.columns if column.mode == "soft"), None)
    for done in spread(partial(Setting.of, options), options.devices, options.rows, names, soft, report):
        yield done.job.row, done.seconds, done.error is None


if __name__ == "__main__":
    main()
