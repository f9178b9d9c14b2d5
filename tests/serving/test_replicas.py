"""Replicas that die or are replaced cost nobody an answer."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.serving.conftest import Endpoint, until
from tests.serving.site import image_part

Ask = Callable[[], tuple[int, Any, Any]]


def picture(number: int) -> bytes:
    """A picture that nobody has read yet."""
    image = Image.new("RGB", (400, 100), "white")
    font = ImageFont.truetype("DejaVuSans.ttf", 30)
    ImageDraw.Draw(image).text((30, 30), f"number {number}", font=font, fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def reading(endpoint: Endpoint, number: int) -> Ask:
    system = {"role": "system", "content": "<task>ocr</task>"}
    user = {"role": "user", "content": [image_part(picture(number))]}
    return lambda: endpoint.chat(messages=[system, user])


def writing(endpoint: Endpoint, number: int) -> Ask:
    schema = {"type": "array", "items": {"const": "word"}, "minItems": 9, "maxItems": 9}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return lambda: endpoint.chat(f"list {number}", response_format=form, max_tokens=90)


def told(endpoint: Endpoint) -> dict[str, Any]:
    """What an open question is answered, to the last digit; all but the answer's number and hour."""
    status, body, _ = endpoint.chat("tell me of ports", max_tokens=12, logprobs=True, top_logprobs=2)
    assert status == 200 and len(body["choices"][0]["logprobs"]["content"]) == 12
    return {name: value for name, value in body.items() if name not in ("id", "created")}


def killed_under(endpoint: Endpoint, asks: list[Ask], holding: list[str], killed: list[str]) -> list[Any]:
    """Answers to requests that were inside of replicas when some were killed. ``holding`` stand still meanwhile, so
    that none of the requests can have ended before."""
    stopped = [process for name in holding for process in endpoint.processes(name)]
    for process in stopped:
        process.suspend()
    victims = [process for name in killed for process in endpoint.processes(name)]
    assert (len(stopped), len(victims)) == (len(holding), len(killed))
    with ThreadPoolExecutor(len(asks)) as pool:
        try:
            asked: list[Future[tuple[int, Any, Any]]] = [pool.submit(ask) for ask in asks]
            until(30, lambda: f"interlace_requests_running {len(asks)}.0" in endpoint.call("/metrics")[1])
            for victim in victims:
                victim.kill()
        finally:
            for process in stopped:
                if process not in victims:
                    process.resume()
        answers = [future.result() for future in asked]
    assert [status for status, _, _ in answers] == [200] * len(asks), answers
    return [body["choices"][0]["message"]["content"] for _, body, _ in answers]


def test_a_killed_encoder_and_a_killed_decoder_are_asked_again(endpoint: Endpoint) -> None:
    asks = [reading(endpoint, n) for n in range(4)] + [writing(endpoint, n) for n in range(4)]
    assert [ask()[0] for ask in (reading(endpoint, 99), writing(endpoint, 99))] == [200, 200]
    before = told(endpoint)
    both = ["endpoint:ocr", "ServeReplica:decoder"]
    answers = killed_under(endpoint, asks, both, both)
    assert [json.loads(text)["result"]["extracted_text"] for text in answers[:4]] == [f"number {n}" for n in range(4)]
    assert [json.loads(text) for text in answers[4:]] == [["word"] * 9] * 4
    assert told(endpoint) == before  # of another process, the same bytes


@pytest.mark.full  # the rolling restart replaces gateways too
def test_a_killed_gateway_is_asked_again(endpoint: Endpoint) -> None:
    [before] = endpoint.processes("endpoint:gateway")
    asks = [writing(endpoint, n) for n in range(8)]
    answers = killed_under(endpoint, asks, ["ServeReplica:decoder"], ["endpoint:gateway"])
    assert [json.loads(text) for text in answers] == [["word"] * 9] * 8
    [after] = endpoint.processes("endpoint:gateway")
    assert after.pid != before.pid


def test_a_rolling_restart_loses_nothing(endpoint: Endpoint) -> None:
    """One request is inside of the old gateway all the while, others come all the time."""
    assert writing(endpoint, 0)()[0] == reading(endpoint, 0)()[0] == 200
    readers = {process.pid for process in endpoint.processes("endpoint:ocr")}
    [before], [decoder] = endpoint.processes("endpoint:gateway"), endpoint.processes("ServeReplica:decoder")
    decoder.suspend()
    with ThreadPoolExecutor(1) as pool:
        try:
            held = pool.submit(writing(endpoint, 1))
            until(30, lambda: "interlace_requests_running 1.0" in endpoint.call("/metrics")[1])
            os.kill(endpoint.process, signal.SIGHUP)
            until(60, lambda: len(endpoint.processes("endpoint:gateway")) == 2)
        finally:
            decoder.resume()
        answers, end = 0, time.monotonic() + 60
        while before.is_running() and before.status() != psutil.STATUS_ZOMBIE:
            assert endpoint.chat(f"turn {answers}", max_tokens=2)[0] == 200 and time.monotonic() < end
            answers += 1
        assert held.result()[0] == 200 and answers > 0
    [after] = endpoint.processes("endpoint:gateway")
    assert after.pid != before.pid and endpoint.chat(max_tokens=2)[0] == 200
    assert {process.pid for process in endpoint.processes("endpoint:ocr")} == readers != set()  # encoders stay
