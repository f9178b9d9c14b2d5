"""Actors that share a GPU: enough to keep it busy, each with a core; and how many GPUs there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.planning import plan_pools
from cluster.pools import OVERHEAD_CPUS, ClusterConfig, Resources, Work
from cluster.service_times import ServiceTime
from cluster.session import local_resources
from encoders.failures import InterlaceError

OCR, SPEECH = Work("ocr", 100, 1000.0, "pages"), Work("speech_to_text", 50, 36000.0, "seconds")
TIMES = {
    ("ocr", "cuda"): ServiceTime(0.2, "test", 0.04),
    ("speech_to_text", "cuda"): ServiceTime(0.008, "test", 0.0004),
}


def test_a_gpu_takes_as_many_actors_as_keep_it_busy() -> None:
    plan = plan_pools([OCR], Resources(16, 1), service=TIMES)
    assert (plan.pool("ocr").actors, plan.pool("ocr").num_gpus) == (5, 0.2)
    assert plan.hours == pytest.approx(1000 * 0.2 / 5 / 3600)


def test_actors_are_no_more_than_cores_and_parts() -> None:
    both = plan_pools([OCR, SPEECH], Resources(8, 1), answers=5, service=TIMES)
    assert {pool.task: pool.actors for pool in both.pools} == {"ocr": 3, "speech_to_text": 3}
    assert plan_pools([OCR], Resources(2, 1), service=TIMES).pool("ocr").actors == 1
    few = plan_pools([Work("ocr", 2, 20.0, "pages")], Resources(16, 1), service=TIMES)
    assert (few.pool("ocr").actors, few.pool("ocr").max_actors) == (2, 2)


def test_fixed_sizes_may_crowd_a_gpu_but_not_overfill_it() -> None:
    plan = plan_pools([OCR], Resources(16, 1), ClusterConfig(actors={"ocr": 3}), service=TIMES)
    assert (plan.pool("ocr").actors, plan.pool("ocr").max_actors) == (3, 3)
    with pytest.raises(InterlaceError, match=r"6 of ocr at 0\.2 of a card.*lower cluster\.actors"):
        plan_pools([OCR], Resources(16, 1), ClusterConfig(actors={"ocr": 6}), service=TIMES)


@given(cpus=st.integers(1, 64), gpus=st.integers(1, 8), parts=st.integers(1, 500), answers=st.integers(0, 3))
def test_a_crowded_plan_never_books_more_than_there_is(cpus: int, gpus: int, parts: int, answers: int) -> None:
    work = [Work("ocr", parts, 3.0 * parts, "pages"), Work("speech_to_text", parts, 60.0 * parts, "seconds")]
    plan = plan_pools(work, Resources(cpus, gpus), answers=answers, service=TIMES)
    assert sum(pool.actors * pool.num_cpus for pool in plan.pools) + min(OVERHEAD_CPUS, cpus / 2) <= cpus + 1e-6
    assert sum(pool.actors * pool.num_gpus for pool in plan.pools) <= gpus + 1e-6


@pytest.mark.parametrize(
    ("visible", "count"), [("", 0), ("-1", 0), ("0", 1), ("0,1", 2), ("GPU-ab, GPU-cd", 2), ("0,-1,2", 1)]
)
def test_gpus_are_those_that_cuda_may_see(monkeypatch: pytest.MonkeyPatch, visible: str, count: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local_resources(ClusterConfig()).gpus == count
