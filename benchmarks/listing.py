"""Memory and time of a driver over a long listing: list, compare, cut, freeze, publish, count, and all again.

    python -m benchmarks.listing                                     # 300 thousand, 1 and 3 million assets
    python -m benchmarks.listing --assets 1000000 10000000 --list-only

Assets of one part each, of the names that an S3 prefix would have; nothing is probed or read, and no Ray is started:
the rows of `parts` are made up, in larger files than a run's. Each size runs in a process of its own; memory is
resident memory above what the imported modules take, sampled 20 times a second.
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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.figures import judge, must_be_zero
from cluster.planning import plan_pools
from cluster.pools import Resources
from encoders.media.opened import Probe
from encoders.registry import ENCODERS
from pipelines.batches import form_branches, work_of
from pipelines.known import known_assets
from pipelines.lease import Lease
from pipelines.ledger import read_ledger
from pipelines.manifest import MANIFEST, Manifest, build_manifest
from pipelines.publish import publish
from pipelines.runfiles import RunFiles, list_runs
from pipelines.settings import RunConfig
from pipelines.sources import Asset
from pipelines.storage import Storage
from pipelines.tables import ANSWERS, PARTS

MOST_BYTES = 32
"""Driver memory for each further asset that still counts as bounded: 300 MiB for 10 million."""
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_MIB = 2**20


class Phases:
    """The peak of resident memory and the CPU seconds of each phase."""

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self._me = psutil.Process()
        self._base = self._me.memory_info().rss
        self._name = ""
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while True:
            if name := self._name:
                mib = (self._me.memory_info().rss - self._base) / _MIB
                self.peaks[name] = max(self.peaks.get(name, 0.0), mib)
            time.sleep(0.05)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._name, started = name, time.process_time()
        yield
        self._name, self.seconds[name] = "", time.process_time() - started
        print(f"{name}: {self.seconds[name]:.0f} s, {self.peaks[name]:.0f} MiB", file=sys.stderr, flush=True)


def assets(count: int) -> Iterator[Asset]:
    for number in range(count):
        yield Asset(f"s3://archive/{number // 1000:06d}/{number:09d}.pdf", 100_000, f"{number * 7919:032x}", _WHEN)


def one_page_each(some: Iterable[Asset]) -> Iterator[tuple[Asset, Probe]]:
    for asset in some:
        yield asset, Probe("application/pdf", "document", pages=1)


def begin(storage: Storage, run_id: str, count: int) -> tuple[RunFiles, Manifest]:
    """As `Run` does."""
    known = known_assets(storage, list_runs(storage))
    found = build_manifest(assets(count), known, {"document": "x" * 32}, RunConfig(), one_page_each)
    entries = {"ocr": ENCODERS["ocr"]}
    plan = plan_pools(work_of(found.parts, entries), Resources(2))
    branches, parts = form_branches(found.parts, entries, plan)
    files = RunFiles(storage, run_id)
    files.freeze(Manifest(found.listing, parts))
    state = {"run_id": run_id, "started": _WHEN.isoformat(), "signature": "", "verb": "run"}
    files.write_state(state | {"branches": [[list(b.tasks), list(b.modalities), len(b.batches)] for b in branches]})
    return files, found


def read(files: RunFiles) -> None:
    """Rows of `parts` for the whole manifest, and their commit records."""
    page = pa.array([[{"page": 1, "text": "a line"}]], PARTS.field("pages").type)
    for rows in files.manifest_tables(MANIFEST.names):
        made = {"pages": page.take(pa.array(np.zeros(rows.num_rows, np.int64)))}
        for name, value in {"status": "ok", "text": "a line", "run_id": files.run_id, "attempts": 1}.items():
            made[name] = pa.repeat(pa.scalar(value, PARTS.field(name).type), rows.num_rows)
        for name in ("failures", "seconds"):
            made[name] = pa.repeat(pa.scalar([], PARTS.field(name).type), rows.num_rows)
        there = {name: rows[name] for name in PARTS.names if name in rows.column_names}
        none = {field.name: pa.nulls(rows.num_rows, field.type) for field in PARTS}
        columns = none | there | made
        files.commit(
            {"parts": pa.table([columns[n] for n in PARTS.names], schema=PARTS), "answers": ANSWERS.empty_table()}
        )


def measure(count: int, list_only: bool) -> dict[str, dict[str, float]]:
    """A first run and a second one that finds nothing new."""
    phases = Phases()
    folder = Path(tempfile.mkdtemp(prefix="interlace-listing-"))
    storage = Storage(str(folder / "out"))
    wrong = 0.0
    for number, phase in enumerate(("list and freeze", "list again")):
        with phases(phase):
            files, found = begin(storage, f"run-{number}", count)
        wrong += abs(found.count("unchanged" if number else "new") - count)
        if list_only:
            break
        if not number:
            with phases("made up"):
                read(files)
        with phases("publish again" if number else "publish"), Lease(storage, "bench") as lease:
            publish(files, lease)
        files.write_state(files.state() | {"finished": _WHEN.isoformat()})
        with phases("ledger again" if number else "ledger"):
            ledger = read_ledger(storage)
        wrong += abs(ledger.accounts["parts"].terms["done"] - count) + (not ledger.balanced)
    shutil.rmtree(folder)
    told = {"peaks": phases.peaks, "seconds": phases.seconds, "wrong": {"all": wrong}}
    return {what: {name: value for name, value in found.items() if name != "made up"} for what, found in told.items()}


def main() -> None:
    """Measure each size; print a line for each, and what the driver took for each further asset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=int, nargs="+", default=[300_000, 1_000_000, 3_000_000])
    parser.add_argument("--list-only", action="store_true", help="only list, compare, cut and freeze")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.assets[0], options.list_only)))
        sys.stdout.flush()
        os._exit(0)  # see pipelines.cli.main
    found = []
    for count in options.assets:
        command = [sys.executable, "-m", "benchmarks.listing", "--here", "--assets", str(count)]
        command += ["--list-only"] if options.list_only else []
        line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        found.append(json.loads(line))
        peaks, seconds = found[-1]["peaks"], found[-1]["seconds"]
        if len(found) == 1:
            print(f"{'MiB (s of CPU)':>16}" + "".join(f"{name:>20}" for name in peaks) + f"{'bytes an asset':>16}")
        columns = "".join(f"{f'{peaks[name]:.0f} ({seconds[name]:.0f})':>20}" for name in peaks)
        print(f"{count:16,}{columns}{max(peaks.values()) * _MIB / count:16.0f}", flush=True)
    for (less, before), (more, after) in pairwise(zip(options.assets, found, strict=True)):
        slope = (max(after["peaks"].values()) - max(before["peaks"].values())) * _MIB / (more - less)
        judge(f"driver memory for each asset between {less:,} and {more:,}", slope, at_most=MOST_BYTES, unit=" bytes")
    print(must_be_zero("assets lost, or counted wrong", sum(figures["wrong"]["all"] for figures in found)))


if __name__ == "__main__":
    main()
