"""GPU memory in the plan: shares from what actors need and cards have, nodes by label, and plans that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu_memory import GIB, NETWORKS, SLACK
from cluster.gpu_memory import Need, cap_allocator, gpu_needs, gpu_shares, need_of
from cluster.labels import label_selector, matches
from cluster.placing import Node
from cluster.planning import plan_pools
from cluster.pools import ClusterConfig, PoolPlan, Resources, Work
from cluster.service_times import ServiceTime
from decoder.config import DecoderConfig
from encoders.card.budget import (
    CONTEXT_GIB,
    CardShare,
    allocator_fraction,
    card_index,
    card_share,
    set_card_share,
    shared_fraction,
)
from encoders.checkpoints.lock import load_lock
from encoders.failures import InterlaceError
from encoders.ocr.config import OcrConfig
from encoders.registry import ENCODERS
from encoders.speech.config import SpeechConfig

OCR, SPEECH = Work("ocr", 1000, 10000.0, "pages"), Work("speech_to_text", 500, 360000.0, "seconds")
TIMES = {
    ("ocr", "cuda"): ServiceTime(0.8, "test", 0.02),
    ("speech_to_text", "cuda"): ServiceTime(0.008, "test", 0.0004),
}
H100, L4 = Node(16, 1, card_gib=80, labels={"card": "H100"}), Node(8, 1, card_gib=24, labels={"card": "L4"})
CPUS = Node(32, labels={"card": "none"})


def planned(work: list[Work], *nodes: Node, memory: dict[str, float], answers: int = 0, **config: object) -> PoolPlan:
    resources = Resources(sum(node.cpus for node in nodes), sum(node.gpus for node in nodes), nodes)
    needs = {task: Need(gib, "setting") for task, gib in memory.items()}
    return plan_pools(
        work, resources, ClusterConfig.model_validate(config), answers=answers, service=TIMES, needs=needs
    )


def test_the_share_of_a_card_is_the_memory_that_an_actor_needs() -> None:
    pool = planned([OCR], H100, memory={"ocr": 8.0}).pool("ocr")
    assert (pool.num_gpus, pool.actors, pool.gib) == (0.1, 10, 8.0)
    small = planned([OCR], L4, memory={"ocr": 8.0}).pool("ocr")
    assert (small.num_gpus, small.actors) == (0.334, 2)
    roomy = planned([OCR], H100, memory={"ocr": 0.1}).pool("ocr")  # the card is shared by as many as have a core each
    assert (roomy.num_gpus, roomy.actors) == (0.066, 15)


def test_actors_that_share_a_process_on_their_card_need_its_memory_together() -> None:
    needs = {"ocr": Need(8.0, "measured", clients=64), "speech_to_text": Need(6.0, "measured")}
    plan = plan_pools([OCR], Resources(8, 1, (L4,)), service=TIMES, needs=needs)
    assert plan.pool("ocr").actors == 7 and 7 * plan.pool("ocr").num_gpus == pytest.approx(1, abs=0.01)
    both = plan_pools([OCR, SPEECH], Resources(16, 1, (replace(H100, card_gib=16.0),)), service=TIMES, needs=needs)
    ocr = both.pool("ocr")
    assert ocr.num_gpus * ocr.crowd >= 8.0 / 16 and both.pool("speech_to_text").actors >= 1
    with pytest.raises(InterlaceError, match=r"ocr needs 30\.0 GiB"):
        plan_pools([OCR], Resources(8, 1, (L4,)), service=TIMES, needs={"ocr": Need(30.0, "measured", clients=64)})
    configs = {"ocr": OcrConfig(card_process=True)}
    assert gpu_needs({"ocr": ENCODERS["ocr"]}, configs)["ocr"].clients == 5
    assert gpu_needs({"ocr": ENCODERS["ocr"]}, configs, declared={"ocr": 2.0})["ocr"].clients == 5
    two = {"ocr": Need(8.0, "measured", clients=5)}  # seven actors, two processes
    some = plan_pools([OCR], Resources(8, 1, (L4,)), service=TIMES, needs=two).pool("ocr")
    assert some.actors == 7 and 16.0 / 24 <= 7 * some.num_gpus <= 1.01
    own, shared = (need_of(ENCODERS["speech_to_text"], SpeechConfig(card_process=value)) for value in (False, True))
    assert own and shared and shared.gib == pytest.approx(own.gib + SpeechConfig.card_gib)  # windows of all clients


def test_actors_whose_work_a_process_on_the_card_does_are_more_than_cores() -> None:
    light = {**TIMES, ("speech_to_text", "cuda"): ServiceTime(0.004, "test", 0.0001, core=0.25)}
    for clients, actors in ((64, 40), (1, 15)):
        needs = {"speech_to_text": Need(6.0 if clients > 1 else 1.0, "measured", clients=clients)}
        pool = plan_pools([SPEECH], Resources(16, 1, (H100,)), service=light, needs=needs).pool("speech_to_text")
        assert (pool.actors, pool.max_actors) == (actors, actors) and pool.actors * pool.num_cpus <= 15.8
        assert pool.actors * pool.num_gpus == pytest.approx(1, abs=0.05)
    both = plan_pools(
        [OCR, SPEECH],
        Resources(16, 1, (H100,)),
        service=light,
        needs={"speech_to_text": Need(6.0, "measured", clients=64)},
    )
    assert sum(pool.actors * pool.num_cpus for pool in both.pools) <= 15.8


def test_several_pools_share_one_card_and_one_pool_spreads_over_many() -> None:
    both = planned([OCR, SPEECH], H100, memory={"ocr": 6.0, "speech_to_text": 9.0, "answer": 3.0}, answers=9)
    assert both.decoder is not None
    used = both.decoder.num_gpus + sum(pool.actors * pool.num_gpus for pool in both.pools)
    assert 0.9 < used <= 1 and [pool.actors for pool in both.pools] == [8, 3]  # as 8,000 to 2,880 seconds of work
    many = planned([OCR], Node(64, 4, card_gib=80), memory={"ocr": 6.0}).pool("ocr")
    assert many.actors == 52 and int(1 / many.num_gpus) == 13  # thirteen on each of four, and not all on the first ones


@pytest.mark.parametrize(("origin", "share", "actors"), [("measured", 0.038, 14), ("derived", 0.25, 11)])
def test_a_decoder_beside_others_takes_what_was_measured_and_leaves_them_the_rest(
    origin: str, share: float, actors: int
) -> None:
    needs = {"ocr": Need(5.2, "measured"), "answer": Need(3.0, origin)}
    plan = plan_pools([OCR], Resources(16, 1, (H100,)), answers=9, service=TIMES, needs=needs)
    assert plan.decoder is not None and (plan.decoder.num_gpus, plan.pool("ocr").actors) == (share, actors)


def test_pools_go_to_the_nodes_that_labels_name() -> None:
    labels = {"ocr": "card=none", "speech_to_text": "card=L4"}
    plan = planned([OCR, SPEECH], H100, L4, CPUS, memory={"ocr": 6.0, "speech_to_text": 9.0}, labels=labels)
    assert (plan.pool("ocr").device, plan.pool("ocr").actors, plan.pool("ocr").num_gpus) == ("cpu", 32, 0.0)
    speech = plan.pool("speech_to_text")
    assert (speech.device, speech.num_gpus, speech.actors) == ("cuda", 0.375, 2)
    assert speech.labels == {"card": "L4"}
    anywhere = planned([OCR], H100, L4, memory={"ocr": 12.0}).pool("ocr")
    assert (anywhere.num_gpus, anywhere.actors) == (0.5, 4)  # by the smaller card: Ray may give it either


@pytest.mark.parametrize(
    ("config", "memory", "told"),
    [
        ({}, {"ocr": 30.0}, r"ocr needs 30\.0 GiB .* smallest card .* 24\.0 GiB.*cluster\.labels\.ocr"),
        ({"gpu_share": 0.5}, {"ocr": 16.0}, r"24\.0 GiB of which a run may fill 0\.5"),
        ({"labels": {"ocr": "card=A100"}}, {}, r"no node has the labels card=A100.*card=H100, card=L4"),
        (
            {"labels": {"ocr": "card=L4", "speech_to_text": "card=L4"}},
            {"ocr": 14.0, "speech_to_text": 12.0},
            r"GiB.*add",
        ),
        ({"labels": {"ocr": "card=L4"}, "actors": {"ocr": 4}}, {"ocr": 8.0}, r"4 of ocr at 8\.0 GiB.*cluster\.actors"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    config: dict[str, object], memory: dict[str, float], told: str
) -> None:
    with pytest.raises(InterlaceError, match=told):
        planned([OCR, SPEECH], H100, L4, memory=memory, **config)


def test_what_an_endpoint_holds_is_left_to_it() -> None:
    beside = planned([OCR], Node(16, 1, 0.3, 80), memory={"ocr": 8.0}).pool("ocr")
    assert (beside.actors, beside.num_gpus) == (7, 0.1)
    waits = planned([OCR], Node(16, 1, 0.99, 80), memory={"ocr": 8.0}).pool("ocr")  # for another run
    assert waits.actors == 10


@given(
    nodes=st.lists(
        st.builds(Node, cpus=st.integers(1, 32), gpus=st.integers(0, 4), card_gib=st.sampled_from([16.0, 24.0, 80.0])),
        min_size=1,
        max_size=5,
    ),
    memory=st.tuples(st.floats(0.5, 12), st.floats(0.5, 12), st.floats(0.5, 4)),
    answers=st.integers(0, 2),
)
def test_a_plan_fits_the_cluster_or_is_refused(
    nodes: list[Node], memory: tuple[float, float, float], answers: int
) -> None:
    needs = dict(zip(("ocr", "speech_to_text", "answer"), memory, strict=True))
    try:
        plan = planned([OCR, SPEECH], *nodes, memory=needs, answers=answers)
    except InterlaceError:
        assert any(node.gpus for node in nodes)  # cores are shared, cards are not
        return
    pools = [*plan.pools, *([plan.decoder] if plan.decoder else [])]
    assert sum(pool.actors * pool.num_gpus for pool in pools) <= sum(node.gpus for node in nodes) + 1e-6
    assert sum(pool.actors * pool.num_cpus for pool in plan.pools) <= sum(node.cpus for node in nodes)
    for pool in pools:
        smallest = min((node.card_gib or 0 for node in nodes if node.gpus), default=None)
        assert pool.device == "cpu" or pool.num_gpus * (smallest or 0) >= needs[pool.task] - 1e-6


def test_needs_come_from_the_lock_file_and_from_who_knows_better() -> None:
    configs = {task: entry.config_type()() for task, entry in ENCODERS.items()}
    needs = gpu_needs(ENCODERS, configs, DecoderConfig())
    assert set(needs) == {*ENCODERS, "answer"}
    locked = load_lock().checkpoints
    reader, finder = locked["ocr_recognition"].gpu_memory, locked["ocr_detection"].gpu_memory
    assert reader is not None and finder is not None
    held = reader.held_gib + finder.held_gib
    assert needs["ocr"].gib == pytest.approx(held + max(reader.pass_gib, finder.pass_gib) + CONTEXT_GIB)
    assert needs["answer"].gib > 1.1 + CONTEXT_GIB  # its caches are settings
    other = configs | {"object_detection": configs["object_detection"].model_copy(update={"checkpoint": "some/hub-id"})}
    assert "object_detection" not in gpu_needs(ENCODERS, other)
    assert gpu_needs(ENCODERS, other, declared={"object_detection": 4.0})["object_detection"].gib == 4.0 + CONTEXT_GIB
    assert gpu_shares(needs, [80.0, None]) == {}
    with pytest.raises(InterlaceError, match=r"cluster\.gpu_gib\.ocr"):
        gpu_shares(needs, [80.0, 4.0])


def test_what_is_derived_bounds_what_a_card_showed() -> None:
    held, passing, kept = NETWORKS["detection_network"]()
    declared = load_lock().checkpoints["detection_network"].gpu_memory
    assert declared is not None and declared.origin == "measured"
    assert held / GIB < declared.held_gib + declared.pass_gib <= (held + kept + SLACK * passing) / GIB


def test_a_card_of_80_gb_beside_16_cores_is_planned_as_it_was_measured() -> None:
    configs = {task: entry.config_type()() for task, entry in ENCODERS.items()}
    needs = gpu_needs(ENCODERS, configs, DecoderConfig())
    assert needs["ocr"].origin == "measured"
    card = Node(16, 1, card_gib=81_559 / 1024)
    plan = plan_pools([Work("ocr", 300, 2400.0, "pages")], Resources(16, 1, (card,)), needs=needs)
    assert plan.pool("ocr").actors == 15


def test_an_allocator_is_bound_to_its_share() -> None:
    assert allocator_fraction(0.1, 80.0) == pytest.approx(0.1 - CONTEXT_GIB / 80)
    assert allocator_fraction(0.001, 80.0) == 0.01
    cap_allocator("cpu")  # nothing to bind, and no card is looked for


def test_one_process_for_a_card_has_what_its_clients_were_given_and_never_less_than_it_needs() -> None:
    need = need_of(ENCODERS["ocr"], OcrConfig(card_process=True))
    assert need is not None and need.clients == 5
    actors = [CardShare(need.gib / 80 / 15, need.gib)] * 15
    for some in (actors, actors[:1]):  # the others are still to come, or have gone
        assert shared_fraction(some, 80.0) == pytest.approx((need.gib - CONTEXT_GIB) / 80)  # CUDA is there once
    assert shared_fraction([CardShare(0.25)] * 3, 80.0) == pytest.approx(0.75 - CONTEXT_GIB / 80)
    assert shared_fraction([CardShare()] * 2, 80.0) == 1.0


def test_bounding_an_allocator_does_not_start_cuda() -> None:
    import torch

    before = list(torch.cuda._queued_calls)
    try:
        cap_allocator("cuda", share=0.25)  # on a machine without a card it would raise
        assert card_share() == (0.25, 0.0) and len(torch.cuda._queued_calls) == len(before) + 1
        cap_allocator("cuda", 0.1, (ENCODERS["ocr"], OcrConfig(card_process=True)))
        assert card_share() == (0.1, pytest.approx(need_of(ENCODERS["ocr"], OcrConfig()).gib))  # type: ignore[union-attr]
        assert not torch.cuda.is_initialized()
    finally:
        torch.cuda._queued_calls[:] = before
        set_card_share(1.0)


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:3", 3)])
def test_the_bound_of_an_allocator_names_its_card_by_number(device: str, index: int) -> None:
    from torch.cuda._utils import _get_device_index  # refuses a device without a number, as on a real card

    assert _get_device_index(card_index(device)) == index


def test_labels_select_as_ray_does() -> None:
    selector = label_selector("card=in(L4, H100), zone=!b")
    assert selector == {"card": "in(L4, H100)", "zone": "!b"}
    assert matches(selector, {"card": "L4"}) and not matches(selector, {"card": "L4", "zone": "b"})
    assert not matches(selector, {"card": "A100"}) and matches({"card": "!in(L4)"}, {})
    with pytest.raises(InterlaceError, match="KEY=VALUE"):
        label_selector("L4")
