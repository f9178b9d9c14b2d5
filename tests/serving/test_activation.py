"""A request takes the networks that it needs and no others, by the account of the processes that have them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from encoders.registry import ENCODERS
from tests.serving.activation import CASES, OCR, SPEECH, Case, asked, content
from tests.serving.conftest import Endpoint, started

LOADED = {
    "ocr": OCR | {"ocr_adapter"},
    "object_detection": {"finder", "namer", "text_embedding"},
    "gui_detection": {"finder", "namer", "text_embedding"},
    "speech_to_text": SPEECH,
}


def networks(parameters: dict[str, int]) -> set[str]:
    """Names, the decoder's folder as that."""
    assert all(count > 0 for count in parameters.values())
    return {"decoder" if name.endswith("/tiny") else name for name in parameters}


def once(case: Case) -> set[str]:
    """What may run for it or have run before: the names of all objects are embedded for the first image."""
    return {"text_embedding"} if case.encoder == "object_detection" else set()


def counted(endpoint: Endpoint) -> dict[str, float]:
    """Answered requests by network, of the endpoint's own metrics."""
    found = re.findall(r'interlace_network_requests_total\{network="(.+)"\} (\S+)', endpoint.call("/metrics")[1])
    return {name: float(count) for name, count in found}


@pytest.fixture(scope="module")
def awake(endpoint: Endpoint) -> Endpoint:
    """The endpoint when all encoders and the decoder are up: those that start together do so in half the time."""
    first = {case.encoder if case.task else "decoder": case for case in reversed(CASES)}
    with ThreadPoolExecutor(len(first)) as pool:
        list(pool.map(partial(asked, endpoint), first.values()))
    return endpoint


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_what_a_request_needs_runs_for_it(awake: Endpoint, case: Case) -> None:
    before = counted(awake)
    body = asked(awake, case)
    decoder = set() if case.task else {"decoder"}
    runs = case.runs | ({"ocr_adapter"} if case.adapter else set())
    active = networks(body["active_parameters"])
    assert active - once(case) == (runs | decoder) - once(case)
    loaded = networks(body["loaded_parameters"])
    assert loaded == (LOADED[case.encoder] if case.encoder else set()) | decoder
    assert {name for name, count in counted(awake).items() if count != before.get(name, 0)} == set(
        body["active_parameters"]
    )


def test_a_file_that_was_read_already_takes_no_encoder(awake: Endpoint) -> None:
    file = content("scan")
    turns = [awake.chat([{"type": "text", "text": "What is the total?"}, *file], max_tokens=2)[1] for _ in range(2)]
    first, second = (networks(turn["active_parameters"]) for turn in turns)
    assert first == OCR | {"ocr_adapter", "decoder"} and second == {"decoder"}
    assert turns[0]["choices"] == turns[1]["choices"] and turns[0]["precontext"] == turns[1]["precontext"]


@pytest.mark.full
def test_no_process_starts_that_a_request_does_not_need(tmp_path: Path) -> None:
    """On a fresh endpoint without an adapter every case starts its own encoder, those before it have started the
    others, and the decoder starts with the first question."""
    with started(tmp_path, {}) as endpoint:

        def running() -> set[str]:
            names = {task: f"endpoint:{task}" for task in ENCODERS} | {"decoder": "ServeReplica:decoder"}
            return {name for name, title in names.items() if endpoint.processes(title)}

        assert running() == set()
        expected: set[str] = set()
        for case in CASES:
            body: Any = asked(endpoint, case)
            expected |= {case.encoder} if case.encoder else set()
            expected |= set() if case.task else {"decoder"}
            assert running() == expected, case.name
            loaded = LOADED[case.encoder] if case.encoder else set()
            assert networks(body["loaded_parameters"]) == (loaded - {"ocr_adapter"}) | (
                set() if case.task else {"decoder"}
            )
            runs = case.runs | (set() if case.task else {"decoder"})
            assert networks(body["active_parameters"]) - once(case) == runs - once(case)
