"""How a run sizes its pools, and what is ready on this machine before they start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from cluster.gpu_memory import Need, gpu_needs
from cluster.planning import plan_pools
from cluster.pools import PoolPlan, Resources, Work
from cluster.service_times import ServiceTime
from cluster.session import joins_a_cluster
from encoders.registry import EncoderEntry
from pipelines.fetching import fetch_checkpoints
from pipelines.measured import measured_times
from pipelines.runfiles import RunFiles
from pipelines.settings import SettingsTree


class RunPlanner:
    """The planner of one run: ``earlier`` are the runs before it, ``encoders`` the fingerprints of its own."""

    def __init__(
        self,
        settings: SettingsTree,
        entries: Mapping[str, EncoderEntry],
        configs: Mapping[str, Any],
        encoders: Mapping[str, str],
        earlier: Callable[[], Sequence[RunFiles]],
        note: Callable[[str], None],
    ) -> None:
        self._settings, self._entries, self._configs = settings, entries, configs
        self._encoders, self._earlier, self._note = encoders, earlier, note
        self._fetched: set[str] = set()

    def plan(self, work: Sequence[Work], resources: Resources, answers: int) -> PoolPlan:
        """The plan for this work, with the times that earlier runs into OUT measured where there are any."""
        times = self._times if any(item.parts for item in work) else {}
        config = self._settings.cluster
        return plan_pools(work, resources, config, answers=answers, service=times, needs=self.gpu_needs)

    def fetch(self, plan: PoolPlan) -> None:
        """Have here what a local run loads. Nodes of a cluster have folders of their own, which they fill themselves,
        and its head may have no encoders. Raises CheckpointError."""
        pools = [pool for pool in (*plan.pools, plan.decoder) if pool and pool.task not in self._fetched]
        if not joins_a_cluster():
            fetch_checkpoints(pools, self._entries, self._configs, self._settings.decoder.checkpoint, self._note)
            self._fetched |= {pool.task for pool in pools}

    @cached_property
    def _times(self) -> dict[tuple[str, str], ServiceTime]:
        return measured_times(self._earlier(), self._encoders)

    @cached_property
    def gpu_needs(self) -> dict[str, Need]:
        """GPU memory of an actor of each task."""
        settings = self._settings
        return gpu_needs(self._entries, self._configs, settings.decoder, settings.cluster.gpu_gib)
