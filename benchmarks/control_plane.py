"""The cost of the pipeline itself: memory and seconds of a run whose encoder reads nothing, by number of parts.

    python -m benchmarks.control_plane memory 1000 100000

Each size runs in a process of its own, with one page per part. The peaks are sampled five times a second: resident
memory of the driver, of the raylet and of the GCS (Ray's daemons), and what the object store holds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks.figures import judge, must_be_zero
from benchmarks.stub import STUB
from benchmarks.stub.config import StubConfig
from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings

PAGES_PER_FILE = 400
GOAL_BYTES = 1024
"""Driver memory per further part that still counts as flat: a hundred MiB for a hundred thousand."""
_MIB = 2**20


class Peaks(threading.Thread):
    """Samples this process, which is the driver, and the local Ray that it started, until stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib = {"driver": 0.0, "raylet": 0.0, "gcs_server": 0.0, "object store": 0.0}
        self.stopped = threading.Event()
        self._daemons: dict[str, psutil.Process] = {}

    def run(self) -> None:
        """Sample five times a second."""
        me = psutil.Process()
        while not self.stopped.wait(0.2):
            self._keep("driver", me.memory_info().rss)
            for name, process in self._found(me).items():
                with suppress(psutil.NoSuchProcess):  # Ray has ended, and the driver counts on
                    self._keep(name, process.memory_info().rss)
            self._keep("object store", _stored())

    def _found(self, me: psutil.Process) -> dict[str, psutil.Process]:
        if len(self._daemons) < 2:
            children = {child.name(): child for child in me.children(recursive=True)}
            self._daemons = {name: children[name] for name in ("raylet", "gcs_server") if name in children}
        return self._daemons

    def _keep(self, name: str, size: int) -> None:
        self.mib[name] = max(self.mib[name], size / _MIB)


def _stored() -> int:
    """Bytes in the object store; 0 while Ray does not run."""
    if "ray" not in sys.modules:
        return 0
    import ray
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    if not ray.is_initialized():
        return 0
    try:
        address = ray.get_runtime_context().gcs_address
        return int(get_memory_info_reply(get_state_from_address(address)).store_stats.object_store_bytes_used)
    except Exception:  # it is starting or ending
        return 0


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


def measure(parts: int) -> dict[str, float]:
    """Peak memory and seconds of a run of so many parts in this process."""
    folder = Path(tempfile.mkdtemp(prefix="interlace-bench-"))
    source = folder / "in"
    source.mkdir()
    make_documents(source, parts)
    peaks = Peaks()
    peaks.start()
    started = time.monotonic()
    outcome = run(source, folder / "out")
    seconds = time.monotonic() - started
    peaks.stopped.set()
    peaks.join()
    shutil.rmtree(folder)
    lost = parts - outcome.ledger.accounts["parts"].terms["done"]
    return {"parts": parts, "seconds": seconds, "lost": lost, **peaks.mib}


def main() -> None:
    """Measure each size; print a line for each, and what the driver took for each further part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory"])
    parser.add_argument("parts", type=int, nargs="+")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.parts[0])))
        sys.stdout.flush()
        os._exit(0)  # see pipelines.cli.main
    found = []
    names = ("driver", "raylet", "gcs_server", "object store")
    peaks = "".join(f"{name + ' MiB':>18}" for name in names)
    print(f"{'parts':>9}{'seconds':>9}{'parts/s':>9}{peaks}{'lost':>6}", flush=True)
    for parts in options.parts:
        command = [sys.executable, "-m", "benchmarks.control_plane", "memory", "--here", str(parts)]
        line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        figures = json.loads(line)
        found.append(figures)
        rate = figures["parts"] / figures["seconds"]
        peaks = "".join(f"{figures[name]:18.1f}" for name in names)
        print(f"{parts:9,}{figures['seconds']:9.1f}{rate:9.0f}{peaks}{figures['lost']:6.0f}", flush=True)
    for less, more in pairwise(found):
        slope = (more["driver"] - less["driver"]) * _MIB / (more["parts"] - less["parts"])
        title = f"driver memory for each part between {less['parts']:,} and {more['parts']:,}"
        judge(title, slope, at_most=GOAL_BYTES, unit=" bytes")
    print(must_be_zero("parts lost", sum(figures["lost"] for figures in found)))


if __name__ == "__main__":
    main()
