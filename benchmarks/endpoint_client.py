"""What the benches of the endpoint share: starting `interlace serve`, asking it, and the bare engine beside it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from decoder.config import DecoderConfig

_TOPICS = ("ships", "bread", "rivers", "clocks", "maps", "wool", "glass", "bees", "coal", "harbours", "kites", "salt")


@dataclass(frozen=True, slots=True)
class Served:
    """A running endpoint: its URL, and the address of its Ray."""

    url: str
    ray: str
    process: int


@dataclass(slots=True)
class Asked:
    """One request that was answered, or refused for good."""

    status: int
    seconds: float
    first: float = 0.0
    tokens: int = 0
    tries: int = 1


@contextmanager
def served(settings: dict[str, Any]) -> Iterator[Served]:
    """`interlace serve` on a free port, ended afterwards. INTERLACE_* of the environment apply as always."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pipelines.cli", "serve", "--port", str(port)]
    command += [part for name, value in settings.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = ""
    try:
        for line in process.stderr:
            said += line
            if "Ctrl-C ends it" in line:
                break
        address = re.search(r"RAY_ADDRESS=(\S+)", said)
        if address is None:
            raise RuntimeError(f"the endpoint did not start: {said}")
        yield Served(f"http://127.0.0.1:{port}", address[1], process.pid)
    finally:
        process.terminate()
        process.wait(90)


def question(number: int) -> str:
    """A short question; two numbers differ in their words, so that no prompt is another's."""
    topic = _TOPICS[number % len(_TOPICS)]
    return f"Question {number}: say something about {topic} and why people once needed {topic} every day."


def chat_body(number: int, max_tokens: int, stream: bool) -> dict[str, Any]:
    """A chat request of a few dozen tokens, answered freely."""
    message = {"role": "user", "content": question(number)}
    return {"model": "interlace", "messages": [message], "max_tokens": max_tokens, "stream": stream} | (
        {"stream_options": {"include_usage": True}} if stream else {}
    )


async def ask(session: aiohttp.ClientSession, url: str, body: dict[str, Any], tries: int = 1) -> Asked:
    """Ask, and again after a 429 as its Retry-After says. Times run from the try that was accepted."""
    for attempt in range(1, tries + 1):
        started = time.perf_counter()
        async with session.post(f"{url}/v1/chat/completions", json=body) as response:
            if response.status == 429 and attempt < tries:
                await response.read()
                await asyncio.sleep(float(response.headers["retry-after"]) * (0.5 + number_of(body) % 10 / 10))
                continue
            if response.status != 200:
                await response.read()
                return Asked(response.status, time.perf_counter() - started, tries=attempt)
            if not body["stream"]:
                found = json.loads(await response.read())
                seconds = time.perf_counter() - started
                return Asked(200, seconds, seconds, found["usage"]["completion_tokens"], attempt)
            return await _streamed(response, started, attempt)
    raise AssertionError("unreachable")


def number_of(body: dict[str, Any]) -> int:
    """The number of the question, for spreading retries."""
    return int(re.search(r"\d+", body["messages"][0]["content"])[0])  # type: ignore[index]


async def _streamed(response: aiohttp.ClientResponse, started: float, attempt: int) -> Asked:
    first, tokens, ended = 0.0, 0, False
    async for line in response.content:
        if not line.startswith(b"data: "):
            continue
        if line == b"data: [DONE]\n":
            ended = True
            continue
        event = json.loads(line[6:])
        if not first and event.get("choices") and event["choices"][0]["delta"].get("content"):
            first = time.perf_counter() - started
        if event.get("usage"):
            tokens = event["usage"]["completion_tokens"]
    return Asked(200 if ended else 599, time.perf_counter() - started, first, tokens, attempt)


def bare(config: DecoderConfig, numbers: range, at_once: int, max_tokens: int) -> tuple[list[Asked], float]:
    """The engine alone in this process with the same questions, ``at_once`` of them at a time: what each took, and
    the seconds of all. The engine is loaded and has answered once before the clock starts."""
    from decoder.chat import ChatMessage, ChatRequest
    from decoder.chat_answerer import ChatAnswerer
    from decoder.engine import Engine

    engine = Engine(config)
    engine.load("cpu")
    answerer = ChatAnswerer(engine)

    def one(number: int) -> Asked:
        started, first = time.perf_counter(), list[float]()
        prepared = answerer.prepare(ChatRequest((ChatMessage("user", question(number)),), max_tokens=max_tokens))
        handle = answerer.submit(prepared, lambda _: first or first.append(time.perf_counter() - started))
        result = answerer.finish(prepared, handle.result())
        seconds = time.perf_counter() - started
        return Asked(200, seconds, first[0] if first else seconds, result.usage.completion_tokens)

    try:
        one(numbers.start)
        started = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            answers = list(pool.map(one, numbers))
        return answers, time.perf_counter() - started
    finally:
        engine.close()


async def through(url: str, numbers: range, at_once: int, max_tokens: int) -> tuple[list[Asked], float]:
    """The same through the endpoint, streaming."""
    waiting = asyncio.Semaphore(at_once)

    async def one(session: aiohttp.ClientSession, number: int) -> Asked:
        async with waiting:
            return await ask(session, url, chat_body(number, max_tokens, stream=True), tries=50)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await ask(session, url, chat_body(numbers.start, max_tokens, stream=True), tries=50)
        started = time.perf_counter()
        answers = await asyncio.gather(*(one(session, number) for number in numbers))
        return list(answers), time.perf_counter() - started
