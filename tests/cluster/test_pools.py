"""The pool plan: who gets what, with and without GPUs, and that it always fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.planning import plan_pools
from cluster.pools import OVERHEAD_CPUS, ClusterConfig, Resources, Work
from cluster.service_times import ServiceTime
from encoders.failures import InterlaceError

OCR, SPEECH = Work("ocr", 100, 1000.0, "pages"), Work("speech_to_text", 10, 36000.0, "seconds")


def test_actors_follow_the_work() -> None:
    times = {("ocr", "cpu"): ServiceTime(2.0, "test"), ("speech_to_text", "cpu"): ServiceTime(0.02, "test")}
    plan = plan_pools([OCR, SPEECH], Resources(8), service=times)
    assert {pool.task: pool.actors for pool in plan.pools} == {"ocr": 6, "speech_to_text": 2}
    assert plan.bottleneck == "speech_to_text" or plan.pool("ocr").wall_seconds >= 720 / 2
    assert plan.hours == pytest.approx((2000 + 720) / 8 / 3600)


def test_gpus_are_shared_out_whole_while_they_last() -> None:
    alone = {(task, "cuda"): ServiceTime(0.02, "test") for task in ("ocr", "speech_to_text")}  # no crowd, see _gpu
    plan = plan_pools([OCR, SPEECH], Resources(32, 4), answers=10, service=alone)
    assert {pool.num_gpus for pool in plan.pools} == {1.0}
    assert sum(pool.actors for pool in plan.pools) <= 4
    one = plan_pools([OCR, SPEECH], Resources(16, 1), answers=10, service=alone)
    assert [pool.num_gpus for pool in one.pools] == [0.333, 0.333]
    assert all(pool.device == "cuda" and pool.num_cpus > 0 for pool in one.pools)


@given(
    cpus=st.integers(1, 64),
    gpus=st.integers(0, 8),
    parts=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    answers=st.integers(0, 100),
)
def test_a_plan_never_books_more_than_there_is(cpus: int, gpus: int, parts: tuple[int, int], answers: int) -> None:
    work = [
        Work("ocr", parts[0], 3.0 * parts[0], "pages"),
        Work("speech_to_text", parts[1], 60.0 * parts[1], "seconds"),
    ]
    plan = plan_pools(work, Resources(cpus, gpus), answers=answers)
    booked = sum(pool.actors * pool.num_cpus for pool in plan.pools)
    assert booked + min(OVERHEAD_CPUS, cpus / 2) <= cpus + 1e-6
    assert sum(pool.actors * pool.num_gpus for pool in plan.pools) <= gpus + 1e-6
    assert {pool.task for pool in plan.pools} == {item.task for item in work if item.parts}


def test_fixed_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InterlaceError, match=r"cluster\.actors"):
        plan_pools([OCR], Resources(2), ClusterConfig(actors={"ocr": 5}))
