"""Everything that `make eval` asks about, read here once, to be taken to a machine without encoders, fonts or data.

    python -m benchmarks.hybrid.kit --out .train/eval
    python -m benchmarks.hybrid --kit .train/eval --devices cuda:0 cuda:1 cuda:2 cuda:3

Written anew is only what is missing, or named with --rows. What the encoders read is kept under bench-out/hybrid too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.hybrid import material, receipts
from benchmarks.hybrid.asking import Panel
from benchmarks.hybrid.columns import Softener
from benchmarks.hybrid.rows import MATERIAL
from benchmarks.hybrid.setting import FONTS, OUT, SPEECH, TEXTS, Setting


def make(setting: Setting, rows: Sequence[str], folder: Path, *, anew: bool = False) -> None:
    """Write what some rows ask about, as far as a folder lacks it; of what has no data there is nothing."""
    for row in rows:
        for section, read in MATERIAL.get(row, {}).items():
            if material.there(folder, section) and not anew:
                continue
            try:
                found = read(setting)
            except FileNotFoundError as error:
                print(f"{section}: left out, {error}", flush=True)
                continue
            size = material.save(folder, section, found)
            print(f"{section}: {len(found)} samples, {size / 1e6:.1f} MB", flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.hybrid.kit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(".train/eval"))
    parser.add_argument("--rows", help=f"write these anew: some of {', '.join(MATERIAL)}")
    parser.add_argument("--limit", type=int, help="at most so many documents, lines or recordings of each")
    parser.add_argument("--device", default="cpu", help="what the encoders run on")
    parser.add_argument("--receipts", type=Path, default=receipts.DATA, help="folder of the receipts' labels.jsonl")
    parser.add_argument("--fonts", type=Path, nargs="+", default=FONTS, help="folders of faces for generated pages")
    parser.add_argument("--texts", type=Path, default=TEXTS, help="gzipped English sentences, one a line")
    parser.add_argument("--speech", type=Path, default=SPEECH, help="what speech.evaluation made")
    parser.add_argument("--read", type=Path, default=OUT, help="where what was read is kept")
    options = parser.parse_args()
    rows = options.rows.split(",") if options.rows else list(MATERIAL)
    if unknown := [name for name in rows if name not in MATERIAL]:
        parser.error(f"--rows: nothing is read for {', '.join(unknown)}; there are {', '.join(MATERIAL)}")
    setting = Setting(
        Panel((), Softener({})),
        options.receipts,
        options.limit,
        options.device,
        options.read,
        tuple(options.fonts),
        options.texts,
        options.speech,
    )
    make(setting, rows, options.out, anew=options.rows is not None)
    size = sum(path.stat().st_size for path in options.out.glob("*"))
    print(f"{options.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
