"""Scale on paper: weak scaling over GPUs by simulation, and the cost of a million pages.

    python -m benchmarks.scale  # two runs to calibrate, then the simulation

Simulated is what one driver and all actors do while a run streams: an actor has one batch in work and one in hand, and
the driver, one thread, spends its own CPU time on each. That time is measured here, with an encoder that reads nothing,
as the slope between two runs, with two actors and with eight; the larger one counts. Not in it: the listing, the probes
and the publish, which one host does before and after; loading; and what a thousand actors may cost Ray's loop.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.control_plane import make_documents
from benchmarks.figures import judge
from benchmarks.stub import STUB
from benchmarks.stub.config import StubConfig
from cluster.service_times import DEFAULTS
from pipelines.batches import form_batches
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings

ACTORS = 15  # of one card: OCR on 80 GiB with 16 cores
BATCH_SECONDS, SPREAD = 25.0, 0.2  # service time of a batch, and how far it may be off
GPU_PRICE = 2.5  # an hour of a card with its cores, as in run.price_per_gpu_hour
SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A run on one card, to check the simulation against (docs/gpu.md)."""

    actors: int
    parts: int
    pages_a_part: int
    budget: float  # pages of a full batch
    seconds_a_page: float  # of an actor, all stages, as the run's report sums them; planning of new shapes included
    start: float  # seconds until actors work: the first commit less the first batch
    steady: float  # pages a second between the first and the last commit
    whole: float  # with start-up


_PAGE = 1094.6 / 12_000
MEASURED = MeasuredRun(15, 1500, 8, 25 / 0.154, _PAGE, 21.18 - 16 * _PAGE, 164.3, 127.5)

ON_ONE_HOST = 159.9, 279.1
"""Pages a second of one H200 with half of a host's 32 cores, and of two with all of them, 15 and 30 actors."""


def driver_seconds(batches: int, actors: int) -> float:
    """CPU seconds of the driver of a run of so many batches of one part each."""
    folder = Path(tempfile.mkdtemp(prefix="interlace-bench-"))
    (folder / "in").mkdir()
    make_documents(folder / "in", batches)
    given = {"run.pages_per_part": 1, "cluster.batch_seconds": 2, "cluster.num_cpus": actors}
    settings, progress = load_settings(None, given, {}).settings, Progress(Console(file=sys.stderr))
    job = Run(settings, [str(folder / "in")], str(folder / "out"), progress, {"ocr": STUB})
    job.configs = {"ocr": StubConfig()}
    before = time.process_time()
    outcome = job.execute()
    spent = time.process_time() - before
    assert outcome.ledger.accounts["parts"].terms["done"] == batches
    shutil.rmtree(folder)
    return spent


def calibrated(actors: int, sizes: tuple[int, int] = (200, 1000)) -> float:
    """Driver seconds for each further batch, between two runs in processes of their own."""
    spent = []
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.scale", "--here", str(size), str(actors)]
        line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        spent.append(float(json.loads(line)))
    return (spent[1] - spent[0]) / (sizes[1] - sizes[0])


def finished(actors: int, driver: float, batches: Sequence[float]) -> list[float]:
    """When each batch is done, in order: so many actors, a driver that spends ``driver`` seconds on each, and the
    seconds that each takes an actor."""
    waiting = deque(batches)
    in_hand: list[deque[float]] = [deque() for _ in range(actors)]
    working = [False] * actors
    events: list[tuple[float, int, int, float]] = []  # when, 0 the driver has handed out or 1 the actor is done, actor
    done: list[float] = []
    free = now = 0.0

    def hand_out(actor: int) -> None:
        nonlocal free
        if waiting:
            free = max(free, now) + driver
            heapq.heappush(events, (free, 0, actor, waiting.popleft()))

    for _ in range(2):
        for actor in range(actors):
            hand_out(actor)
    while events:
        now, kind, actor, seconds = heapq.heappop(events)
        if kind:
            done.append(now)
            working[actor] = False
            hand_out(actor)
        else:
            in_hand[actor].append(seconds)
        if in_hand[actor] and not working[actor]:
            working[actor] = True
            heapq.heappush(events, (now + in_hand[actor].popleft(), 1, actor, 0.0))
    return done


def simulated(actors: int, driver: float, batches: int = 100) -> float:
    """Batches a second of so many actors, ``batches`` per actor."""
    rng = random.Random(actors)
    sizes = [BATCH_SECONDS * rng.uniform(1 - SPREAD, 1 + SPREAD) for _ in range(actors * batches)]
    return len(sizes) / finished(actors, driver, sizes)[-1]


def one_card(driver: float) -> tuple[float, float]:
    """Pages a second of the run that was measured on one card, as simulated: steady and with its start-up."""
    numbers = form_batches([MEASURED.pages_a_part] * MEASURED.parts, MEASURED.budget, MEASURED.actors)
    pages = [MEASURED.pages_a_part * count for count in Counter(numbers).values()]
    done = finished(MEASURED.actors, driver, [count * MEASURED.seconds_a_page for count in pages])
    return (sum(pages) - pages[0]) / (done[-1] - done[0]), sum(pages) / (MEASURED.start + done[-1])


def main() -> None:
    """Calibrate, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(driver_seconds(*options.here)))
        sys.stdout.flush()
        os._exit(0)  # see pipelines.cli.main
    measured = {actors: calibrated(actors) for actors in (2, 8)}
    for actors, seconds in measured.items():
        print(f"driver, for each batch, with {actors} actors: {seconds * 1000:.1f} ms of CPU", flush=True)
    driver = max(measured.values())
    steady, whole = one_card(driver)
    print(f"one H100, pages/s, simulated: steady {steady:.1f}, with start-up {whole:.1f}", flush=True)
    print(f"one H100, pages/s, measured:  steady {MEASURED.steady:.1f}, with start-up {MEASURED.whole:.1f}", flush=True)
    one_of_two, two = ON_ONE_HOST
    alike = simulated(2 * ACTORS, driver) / simulated(ACTORS, driver)
    print(
        f"two H200 of one host, times one of them: simulated {alike:.2f}, measured {two / one_of_two:.2f}", flush=True
    )
    print(f"one card: {ACTORS} actors, {BATCH_SECONDS:g} s a batch, {GPU_PRICE} an hour")
    print(f"{'GPUs':>6}{'actors':>8}{'batches/s':>11}{'efficiency':>12}{'a million pages':>17}")
    pages = BATCH_SECONDS / DEFAULTS["ocr", "cuda"].seconds  # of one batch
    one = simulated(ACTORS, driver)
    for gpus in SIZES:
        rate = simulated(ACTORS * gpus, driver)
        cost = 1e6 / (rate * pages * 3600) * gpus * GPU_PRICE
        print(f"{gpus:6}{ACTORS * gpus:8}{rate:11.1f}{rate / (one * gpus):12.3f}{cost:17.2f}", flush=True)
    judge("weak scaling to 64 GPUs, simulated", simulated(ACTORS * 64, driver) / (one * 64), at_least=0.9)


if __name__ == "__main__":
    main()
