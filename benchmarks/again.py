"""A second run with nothing new: the whole command as a user types it, over more and more assets.

    python -m benchmarks.again [--counts 1000 10000 100000] [--repeats 3]

The tables are filled first without reading the assets (`benchmarks.seeded_lake`). Beside each time stands what the
bare listing of the folder takes, since a second run may grow with the listing only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import floor_and_goal, must_be_zero, spread
from benchmarks.seeded_lake import make_texts, seed
from pipelines.sources import list_assets


def command(*arguments: str) -> tuple[float, str]:
    """Seconds of one interlace command, and what it printed."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"interlace {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def measure(count: int, repeats: int) -> None:
    """Print the lines for one size."""
    folder = Path(tempfile.mkdtemp(prefix="interlace-again-"))
    source, out = folder / "in", folder / "out"
    try:
        make_texts(source, count)
        seed(source, out)
        started = time.monotonic()
        listed = sum(1 for _ in list_assets([str(source)]))
        listing = time.monotonic() - started
        runs = [command("run", str(source), "--out", str(out)) for _ in range(repeats)]
        seconds = [taken for taken, _ in runs]
        title = f"second run, nothing new, {count:,} assets"
        print(
            floor_and_goal(title, seconds, 5, 2, unit=" s") if count == 1000 else f"       {title}: {spread(seconds)} s"
        )
        print(f"       of which listing alone, in this process: {listing:.2f} s")
        ledgers = [command("status", str(out))[0] for _ in range(repeats)]
        print(f"       interlace status: {spread(ledgers)} s")
        print(must_be_zero("runs that found something new", sum("nothing new" not in said for _, said in runs)))
        print(must_be_zero("assets lost", count - listed), flush=True)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"       interlace --help: {spread([command('--help')[0] for _ in range(options.repeats)])} s", flush=True)
    for count in options.counts:
        measure(count, options.repeats)


if __name__ == "__main__":
    main()
