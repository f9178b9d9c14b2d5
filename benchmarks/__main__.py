"""All benchmarks, one after the other: what they print goes to the terminal and to bench-out/NAME.txt.

    python -m benchmarks                 # everything, 1-2 hours on 2 cores
    python -m benchmarks --quick         # smaller sizes and single repeats, about 20 minutes
    python -m benchmarks bulk_ocr again  # some of them

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

OUT = Path("bench-out")


@dataclass(frozen=True, slots=True)
class Bench:
    """A module of this folder with the arguments of a full and of a quick run, and what it tells."""

    name: str
    tells: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()


BENCHES = (
    Bench("receipts", "reading of scanned receipts, RapidOCR beside it (development data)", "ocr_receipts"),
    Bench("layout", "reading order, paragraphs, roles and tables of generated pages", "layout_quality",
          ("--seed", "9000", "--ocr"), ("--seed", "9000", "--pages", "20", "--tables", "8")),
    Bench("scripts", "script of a page and reading in it", "ocr_scripts",
          ("--pages", "10"), ("--pages", "2", "--languages", "ru", "ar", "hi", "ko", "th", "he")),
    Bench("parity", "OCR engines against ONNX Runtime", "ocr_parity"),
    Bench("speech_wer", "word error of generated speech, faster-whisper beside it", "speech_wer",
          ("--voices", "heart"), ("--voices", "heart")),
    Bench("diarization", "who speaks when (development data)", "speech_diarization"),
    Bench("bulk_ocr", "bulk OCR: pipeline, bare encoders, RapidOCR", "bulk_ocr",
          ("--pages", "240", "--baseline-pages", "12", "--repeats", "3"),
          ("--pages", "40", "--baseline-pages", "6", "--repeats", "1")),
    Bench("speech_speed", "speech with speakers against bare faster-whisper", "speech_speed",
          ("--minutes", "5", "--repeats", "3"), ("--minutes", "2", "--repeats", "1")),
    Bench("memory_1k", "memory at a thousand stub parts", "control_plane", ("memory", "1000"), ("memory", "1000")),
    Bench("memory_100k", "memory at a hundred thousand stub parts", "control_plane",
          ("memory", "100000"), ("memory", "10000")),
    Bench("again", "a second run with nothing new over a thousand assets", "control_plane",
          ("again", "1000"), ("again", "1000")),
)  # fmt: skip


def run(bench: Bench, quick: bool) -> bool:
    """Run one bench; True when it ended well."""
    command = [sys.executable, "-m", f"benchmarks.{bench.module}", *(bench.quick if quick else bench.full)]
    print(f"\n== {bench.name}: {bench.tells}\n   python {' '.join(command[1:])}", flush=True)
    started, load = time.monotonic(), os.getloadavg()[0]
    with (OUT / f"{bench.name}.txt").open("w") as kept:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            kept.write(line)
            print(line, end="", flush=True)
        code = process.wait()
        summary = f"({time.monotonic() - started:.0f} s, load at the start {load:.1f}, exit {code})"
        kept.write(summary + "\n")
    print(summary, flush=True)
    return code == 0


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(bench.name for bench in BENCHES))
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - {bench.name for bench in BENCHES}
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}")
    OUT.mkdir(exist_ok=True)
    failed = [b.name for b in BENCHES if (not chosen.names or b.name in chosen.names) and not run(b, chosen.quick)]
    if failed:
        print(f"\nended with an error: {', '.join(failed)}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
