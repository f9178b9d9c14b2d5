"""The cost of the pipeline itself: memory from a thousand to a hundred thousand stub parts, and a second run.

python -m benchmarks.control_plane memory 100000
python -m benchmarks.control_plane again 1000
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks.stub import STUB
from benchmarks.stub.config import StubConfig
from pipelines.progress import Progress
from pipelines.run import Outcome, Run
from pipelines.settings import load_settings

PAGES_PER_FILE = 400


class Peak(threading.Thread):
    """Samples resident memory of this process, the driver, until stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.driver = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Sample five times a second."""
        me = psutil.Process()
        while not self.stopped.wait(0.2):
            self.driver = max(self.driver, me.memory_info().rss)


def make_documents(folder: Path, parts: int) -> None:
    """PDFs of blank pages; with one page per part they make this many parts."""
    import pymupdf

    for number in range(-(-parts // PAGES_PER_FILE)):
        pages = min(PAGES_PER_FILE, parts - number * PAGES_PER_FILE)
        with pymupdf.open() as document:
            for _ in range(pages):
                document.new_page(width=100, height=100)
            document.save(folder / f"{number:05d}.pdf")


def run(source: Path, out: Path) -> Outcome:
    """One run with the stub encoder, one page per part."""
    settings = load_settings(None, {"run.pages_per_part": 1}, {}).settings
    job = Run(settings, [str(source)], str(out), Progress(Console(file=sys.stderr)), {"ocr": STUB})
    job.configs = {"ocr": StubConfig()}
    return job.execute()


def memory(parts: int) -> dict[str, float]:
    """Peak memory of the driver for so many parts."""
    folder = Path(tempfile.mkdtemp(prefix="interlace-bench-"))
    source = folder / "in"
    source.mkdir()
    make_documents(source, parts)
    peak = Peak()
    peak.start()
    started = time.monotonic()
    outcome = run(source, folder / "out")
    peak.stopped.set()
    peak.join()
    shutil.rmtree(folder)
    return {
        "parts": parts,
        "driver_mib": peak.driver / 2**20,
        "seconds": time.monotonic() - started,
        "lost": parts - outcome.ledger.accounts["parts"].terms["done"],
    }


def again(assets: int) -> dict[str, float]:
    """Seconds of a second run with nothing new over so many one-page assets."""
    folder = Path(tempfile.mkdtemp(prefix="interlace-bench-"))
    source = folder / "in"
    source.mkdir()
    for number in range(assets):
        (source / f"{number:06d}.txt").write_text(f"asset {number}\n")
    first = run(source, folder / "out")
    second = run(source, folder / "out")
    shutil.rmtree(folder)
    return {"assets": assets, "first": first.seconds, "second": second.seconds, "nothing_new": second.nothing_new}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["memory", "again"])
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    print(json.dumps(memory(arguments.count) if arguments.what == "memory" else again(arguments.count)))
    sys.stdout.flush()
    os._exit(0)  # see pipelines.cli.main


if __name__ == "__main__":
    main()
