"""Whether pools that work should have other sizes, now that it was measured how long their work takes."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.pools import PoolPlan

GAIN = 0.2  # of the time until the last pool ends: less is noise, and sizes would go back and forth
BATCHES = 2.0  # and so many batches' time, which moving an actor costs: those in hand, and loading a network


def new_sizes(plan: PoolPlan, sizes: Mapping[str, int], batch_seconds: float) -> dict[str, int]:
    """The sizes of ``plan``, one of the work that is left, where the last pool ends clearly sooner with them than with
    the ``sizes`` that there are; else nothing. Nothing, too, unless some pool gives what another takes: what is free
    Ray hands out by itself."""
    pools = plan.pools
    if any(sizes.get(pool.task, 0) < 1 for pool in pools):
        return {}
    gives = any(pool.actors < sizes[pool.task] for pool in pools)
    takes = any(pool.actors > sizes[pool.task] for pool in pools)
    if not (gives and takes):
        return {}
    now = max(pool.seconds / sizes[pool.task] for pool in pools)
    gain = now - max(pool.wall_seconds for pool in pools)
    return {pool.task: pool.actors for pool in pools} if gain > max(GAIN * now, BATCHES * batch_seconds) else {}
