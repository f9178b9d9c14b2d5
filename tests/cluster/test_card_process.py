"""The process that computes on a card, among actors of a Ray: whose end it outlives, and whose not."""

from __future__ import annotations

import os
import select
import signal
from typing import Any
from uuid import uuid4

import pytest
import ray

from encoders.card.client import CardClient
from encoders.card.service import ServiceSpec


@ray.remote(num_cpus=0)
class Asking:
    def __init__(self, spec: ServiceSpec) -> None:
        self._client = CardClient(spec)

    def pids(self) -> tuple[int, int]:
        return os.getpid(), self._client.facts

    def kept(self) -> list[int]:
        numbers: list[int] = self._client.ask("sum", None)()[0]
        return numbers


@pytest.mark.full
def test_it_outlives_the_actor_that_started_it_and_ends_after_the_last_one(ray_cluster: None) -> None:
    one = ServiceSpec("tests.encoders.card_sums:Sums", f"cpu:{uuid4()}", linger=1.0)
    actors: list[Any] = []
    pids = []
    for _ in range(3):
        actors.append(Asking.remote(one))  # type: ignore[attr-defined]
        pids.append(ray.get(actors[-1].pids.remote()))
    assert len({process for _, process in pids}) == 1
    process, *workers = [os.pidfd_open(pid) for pid in (pids[0][1], *(actor for actor, _ in pids))]
    try:
        ray.kill(actors[0])  # as Ray ends actors of a pool, and their children with them
        os.kill(pids[1][0], signal.SIGKILL)
        for worker in workers[:2]:
            assert select.select([worker], [], [], 60)[0]
        assert ray.get(actors[2].kept.remote()) == []
        assert not select.select([process], [], [], 0)[0]
        ray.kill(actors[2])
        assert select.select([process], [], [], 60)[0]
    finally:
        for handle in (process, *workers):
            os.close(handle)
