"""What earlier runs into a lake measured of its actors: `plan --out` and `run` both plan with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from cluster.pools import PoolPlan
from cluster.service_times import ServiceTime, measured_time
from pipelines.figures import MEASURED, PoolFigures, RunFigures
from pipelines.runfiles import RunFiles

RUNS = 50  # that are looked at, one small read each, side by side
ORIGIN = "this lake"


def measured_times(runs: Sequence[RunFiles], encoders: Mapping[str, str]) -> dict[tuple[str, str], ServiceTime]:
    """Seconds of an actor per unit by task and device, of the newest of these runs (oldest first) that together had
    enough batches. What ran on another kind of device, or with another checkpoint or other settings than ``encoders``
    have (fingerprints, by task), is no measure. Empty when nothing was measured."""
    found: dict[tuple[str, str], PoolFigures] = {}
    with ThreadPoolExecutor(16) as readers:
        told = readers.map(told_by, islice(reversed(runs), RUNS))
    for figures in told:
        for task, pool in figures.pools.items() if figures else ():
            if pool.encoder != encoders.get(task):
                continue
            known = found.setdefault((task, pool.device), pool)
            if known is not pool and known.timed_batches < MEASURED:
                known.timed_batches += pool.timed_batches
                known.timed_seconds += pool.timed_seconds
                known.timed_units += pool.timed_units
    times = {(task, device): pool.service_seconds for (task, device), pool in found.items() if device}
    return {key: measured_time(*key, seconds, ORIGIN) for key, seconds in times.items() if seconds}


def told_by(files: RunFiles) -> RunFigures | None:
    """What a run told; None where that cannot be read: it is empty where power went before it was on the disk, for it
    is never waited for, and another version may tell other things. No run may fail for want of it."""
    try:
        return RunFigures.of(value) if (value := files.live()) else None
    except (ValueError, KeyError, TypeError):
        return None


def plan_line(plan: PoolPlan) -> str:
    """The pools of a run, and which times they were sized by, in one line."""
    pools = [
        f"{pool.task} {pool.actors} on {pool.device} at {pool.service.seconds:.3g} s per {pool.unit.removesuffix('s')} "
        f"({pool.service.origin})"
        for pool in plan.pools
    ]
    return f"pools: {'; '.join(pools)}"
