"""All benchmarks, one after the other: what they print goes to the terminal and to bench-out/NAME.txt.

    python -m benchmarks                 # everything, about 2 hours on 2 cores
    python -m benchmarks speed           # the CPU rows of the README's table of speed, at most 45 minutes
    python -m benchmarks speed --quick   # smaller sizes and single repeats
    python -m benchmarks bulk_ocr again  # some of them
    python -m benchmarks speed --resume  # without those that ended well, going on where one was interrupted

Each runs in a process of its own. Figures of a busy machine are not figures: the load at the start is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import is_verdict

OUT = Path("bench-out")


@dataclass(frozen=True, slots=True)
class Bench:
    """A module of this folder with the arguments of a full and of a quick run, and what it tells."""

    name: str
    tells: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    group: str = ""


# Why these sizes: a run of ours has to last five minutes, which is 440 pages at 1.4 pages/s, and three of them with as
# many of the bare encoders take half an hour; RapidOCR reads 12 other pages in each repeat, 36 in all: five minutes.
BENCHES = (
    Bench("receipts", "reading of scanned receipts, RapidOCR beside it (development data)", "ocr_receipts"),
    Bench("layout", "reading order, paragraphs, roles and tables of generated pages", "layout_quality",
          ("--seed", "9000", "--ocr"), ("--seed", "9000", "--pages", "20", "--tables", "8")),
    Bench("scripts", "script of a page and reading in it", "ocr_scripts",
          ("--pages", "10"), ("--pages", "2", "--languages", "ru", "ar", "hi", "ko", "th", "he")),
    Bench("detection", "interface elements and drawn things that training never saw", "detection",
          (), ("--pages", "12", "--only", "elements", "scenes", "speed")),
    Bench("chat_routing", "which specialists a plain chat wakes, over written prompts", "chat_routing"),
    Bench("parity", "OCR engines against ONNX Runtime", "ocr_parity"),
    Bench("speech_wer", "word error of generated speech, faster-whisper beside it", "speech_wer",
          ("--voices", "heart"), ("--voices", "heart")),
    Bench("diarization", "who speaks when (development data)", "speech_diarization"),
    Bench("again", "a second run with nothing new, over more and more assets", "again", (),
          ("--counts", "1000", "10000", "--repeats", "1"), "speed"),
    Bench("memory", "memory by number of stub parts", "control_plane",
          ("memory", "1000", "100000"), ("memory", "1000", "5000"), "speed"),
    Bench("scale", "weak scaling over GPUs, simulated", "scale", (), (), "speed"),
    Bench("listing", "memory of a driver by number of assets: list, freeze, publish, count, list again", "listing",
          ("--assets", "300000", "1000000"), ("--assets", "20000"), "speed"),
    Bench("first_reads", "bytes read over bytes listed on a first run", "first_reads",
          (), ("--repeats", "1"), "speed"),
    Bench("speech_speed", "speech with speakers against bare faster-whisper", "speech_speed",
          ("--minutes", "2", "--repeats", "3"), ("--minutes", "1", "--repeats", "1"), "speed"),
    Bench("bulk_ocr", "bulk OCR: pipeline, bare encoders, RapidOCR", "bulk_ocr",
          ("--pages", "440", "--baseline-pages", "12", "--repeats", "3", "--keep", "bench-out/bulk_ocr.jsonl"),
          ("--pages", "24", "--baseline-pages", "4", "--repeats", "1", "--keep", "bench-out/bulk_ocr.jsonl"), "speed"),
    Bench("speech_long", "a recording of three hours, end to end", "speech_long", (), ("--hours", "0.1")),
    Bench("engine", "continuous batching against generate() one by one and static batches", "engine_speed",
          (), ("--requests", "8", "--repeats", "1")),
    Bench("engine_bfloat16", "the same in the dtype of processors with AMX", "engine_speed",
          ("--dtype", "bfloat16"), ("--dtype", "bfloat16", "--requests", "8", "--repeats", "1")),
    Bench("identity", "the same prompts alone, together, shuffled and as chats", "engine_identity",
          (), ("--prompts", "24")),
    Bench("served_identity", "the same letters through a batch run and through the endpoint", "served_identity",
          (), ("--letters", "20")),
    Bench("calibration", "how sure the decoder's values are, and how often right", "answer_calibration",
          (), ("--letters", "20")),
    Bench("endpoint", "time to first token over an instant engine, goodput over the bare one", "endpoint",
          (), ("--requests", "100", "--repeats", "1")),
)  # fmt: skip
GROUPS = sorted({bench.group for bench in BENCHES if bench.group})


def run(bench: Bench, quick: bool, judged: list[str]) -> bool:
    """Run one bench; True when it ended well. What it held and missed is added to ``judged``."""
    command = [sys.executable, "-m", f"benchmarks.{bench.module}", *(bench.quick if quick else bench.full)]
    print(f"\n== {bench.name}: {bench.tells}\n   python {' '.join(command[1:])}", flush=True)
    started, load = time.monotonic(), os.getloadavg()[0]
    with (OUT / f"{bench.name}.txt").open("w") as kept:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            kept.write(line)
            print(line, end="", flush=True)
            if is_verdict(line):
                judged.append(f"{bench.name:14} {line.rstrip()}")
        code = process.wait()
        summary = f"({time.monotonic() - started:.0f} s, load at the start {load:.1f}, exit {code})"
        kept.write(summary + "\n")
    print(summary, flush=True)
    return code == 0


def _ended_well(bench: Bench) -> bool:
    kept = OUT / f"{bench.name}.txt"
    return kept.exists() and kept.read_text().rstrip().endswith("exit 0)")


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join([*GROUPS, *(bench.name for bench in BENCHES)]))
    parser.add_argument("--quick", action="store_true", help="smaller sizes and single repeats")
    parser.add_argument("--resume", action="store_true", help="leave out what ended well the last time")
    options = parser.parse_args()
    unknown = set(options.names) - {bench.name for bench in BENCHES} - set(GROUPS)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}")
    OUT.mkdir(exist_ok=True)
    chosen = [bench for bench in BENCHES if not options.names or {bench.name, bench.group} & set(options.names)]
    if options.resume:
        chosen = [bench for bench in chosen if not _ended_well(bench)]
    else:
        for bench in chosen:
            for kept in OUT.glob(f"{bench.name}.*"):
                kept.unlink()
    judged: list[str] = []
    failed = [bench.name for bench in chosen if not run(bench, options.quick, judged)]
    if judged:
        print("\n== what is wanted", *judged, sep="\n")
    if failed:
        print(f"\nended with an error: {', '.join(failed)}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
