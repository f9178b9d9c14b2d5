"""Sizes of pools that work: other ones where the last pool ends clearly sooner, and then no more of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.placing import Node
from cluster.planning import plan_pools
from cluster.pools import PoolPlan, Resources, Work
from cluster.resizing import new_sizes
from cluster.service_times import ServiceTime, measured_time

OCR, SPEECH = Work("ocr", 100, 1000.0, "pages"), Work("speech_to_text", 100, 36000.0, "seconds")


def planned(cores: int, ocr: float, speech: float, units: tuple[float, float] = (1000.0, 36000.0)) -> PoolPlan:
    times = {("ocr", "cpu"): ServiceTime(ocr, "test"), ("speech_to_text", "cpu"): ServiceTime(speech, "test")}
    work = [Work("ocr", 100, units[0], "pages"), Work("speech_to_text", 100, units[1], "seconds")]
    return plan_pools(work, Resources(cores), service=times)


def sizes_of(plan: PoolPlan) -> dict[str, int]:
    return {pool.task: pool.actors for pool in plan.pools}


def test_a_wrong_time_is_corrected() -> None:
    assert sizes_of(planned(8, ocr=2.0, speech=0.02)) == {"ocr": 6, "speech_to_text": 2}
    told = planned(8, ocr=0.25, speech=0.02)  # eight times as fast as was thought: 250 s beside 720 s
    assert new_sizes(told, {"ocr": 6, "speech_to_text": 2}, batch_seconds=25) == {"ocr": 2, "speech_to_text": 6}


@pytest.mark.parametrize(
    ("sizes", "batch_seconds", "units"),
    [
        ({"ocr": 2, "speech_to_text": 6}, 25.0, (1000.0, 36000.0)),  # as they should be
        ({"ocr": 3, "speech_to_text": 5}, 25.0, (1000.0, 36000.0)),  # 24 s sooner, which moving an actor costs
        ({"ocr": 6, "speech_to_text": 2}, 25.0, (40.0, 1440.0)),  # the end is near
        ({"ocr": 1, "speech_to_text": 1}, 25.0, (1000.0, 36000.0)),  # nobody gives: Ray hands out what is free
        ({"ocr": 6, "speech_to_text": 0}, 25.0, (1000.0, 36000.0)),  # nothing works there yet
    ],
)
def test_sizes_stay(sizes: dict[str, int], batch_seconds: float, units: tuple[float, float]) -> None:
    assert new_sizes(planned(8, ocr=0.25, speech=0.02, units=units), sizes, batch_seconds) == {}


@given(
    cores=st.integers(2, 64),
    times=st.tuples(st.floats(0.01, 10), st.floats(0.001, 1)),
    noise=st.floats(0.9, 1.1),
    first=st.integers(1, 63),
)
def test_sizes_do_not_go_back_and_forth(cores: int, times: tuple[float, float], noise: float, first: int) -> None:
    ocr = min(first, cores - 1)
    sizes = {"ocr": ocr, "speech_to_text": cores - ocr}
    sizes |= new_sizes(planned(cores, *times), sizes, 25.0)
    sizes |= new_sizes(planned(cores, times[0] * noise, times[1]), sizes, 25.0)  # which may be what was lacking before
    assert new_sizes(planned(cores, *times), sizes, 25.0) == {}, "the same again, but for noise"


def test_actors_on_a_card_keep_their_share_of_it() -> None:
    node = Node(16, 1, card_gib=80)
    first = plan_pools([OCR, SPEECH], Resources(16, 1, (node,)))
    shares = {pool.task: pool.num_gpus for pool in first.pools}
    times = {("ocr", "cuda"): measured_time("ocr", "cuda", 3.0, "this run")}
    again = plan_pools([OCR, SPEECH], Resources(16, 1, (node,)), service=times, running=shares)
    assert {pool.task: pool.num_gpus for pool in again.pools} == shares
    assert again.pool("ocr").actors > first.pool("ocr").actors
    assert sum(pool.actors * pool.num_gpus for pool in again.pools) <= 1
