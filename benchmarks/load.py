"""`make load`: many clients at once for minutes, while a replica is killed and the gateway is replaced.

python -m benchmarks.load [--clients 200] [--seconds 120] [--tokens 24] [--only-killed]

First the bare engine at its best batch, for comparison; then the endpoint under load: goodput, latencies of accepted
requests, what was refused, who was served, memory over time; last, the same load, not streaming and with pictures to
read from every tenth client, while the decoder's, the encoder's and the gateway's replicas are killed and the gateway
restarts (a new one comes up, the old one drains): no accepted request may be lost.
Exit 1 when something is lost, somebody is never served, or an error other than 429 is seen.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psutil
from PIL import Image, ImageDraw

from benchmarks.endpoint_client import Asked, Served, ask, bare, chat_body, served
from decoder.config import DecoderConfig

_READERS = 10  # every so many clients one sends pictures


@dataclass(slots=True)
class Load:
    """What the clients saw."""

    answers: list[Asked] = field(default_factory=list)
    served: Counter[int] = field(default_factory=Counter)
    trouble: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)  # MiB of all the endpoint's processes, once a second
    seconds: float = 0.0


def main() -> None:
    """Run all three and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--waiting", type=int, default=32, help="requests that may be under way; more get a 429")
    parser.add_argument("--only-killed", action="store_true", help="only the load with killed replicas")
    chosen = parser.parse_args()
    config = DecoderConfig(max_new_tokens=chosen.tokens)
    best = None if chosen.only_killed else max(_bare_rate(config, at_once, chosen.tokens) for at_once in (8, 16))
    if best:
        print(f"engine alone at its best batch: {best:.1f} tokens/s", flush=True)
    settings = {
        "decoder.max_new_tokens": chosen.tokens,
        "serve.warm": ["decoder"],
        "serve.limits.requests": chosen.waiting,
        "serve.limits.per_key_requests": chosen.waiting,
        "serve.limits.per_key_rate": 1e6,
        "serve.limits.per_key_burst": 1_000_000,
    }
    with served(settings) as endpoint:
        well = True
        if best:
            load = asyncio.run(_press(endpoint, chosen.clients, chosen.seconds, chosen.tokens, stream=True))
            well = _tell("under load", load, chosen.clients, best)
        breaker = threading.Thread(target=_break, args=(endpoint, chosen.seconds), daemon=True)
        breaker.start()
        load = asyncio.run(_press(endpoint, chosen.clients, chosen.seconds, chosen.tokens, stream=False))
        breaker.join(60)
        well &= _tell("with killed replicas and a rolling restart", load, chosen.clients)
    raise SystemExit(0 if well else 1)


def _bare_rate(config: DecoderConfig, at_once: int, tokens: int) -> float:
    answers, seconds = bare(config, range(at_once * 4), at_once, tokens)
    return sum(asked.tokens for asked in answers) / seconds


async def _press(endpoint: Served, clients: int, seconds: float, tokens: int, stream: bool) -> Load:
    load = Load()
    started = time.perf_counter()
    end = started + seconds
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        watching = asyncio.create_task(_watch(endpoint, load))
        await asyncio.gather(*(_client(session, endpoint, n, end, tokens, stream, load) for n in range(clients)))
        watching.cancel()
    load.seconds = time.perf_counter() - started
    return load


async def _client(
    session: aiohttp.ClientSession, endpoint: Served, number: int, end: float, tokens: int, stream: bool, load: Load
) -> None:
    """One client: asks again and again until the time is over, and at least until it was served once."""
    turn = 0
    while time.perf_counter() < end or not load.served[number]:
        turn += 1
        try:
            draws = not stream and number % _READERS == 0
            name = number + 1000 * turn
            body = _picture_body(name) if draws else chat_body(name, tokens, stream)
            asked = await ask(session, endpoint.url, body, tries=1)
        except aiohttp.ClientError as error:
            load.trouble[type(error).__name__] += 1
            continue
        if asked.status == 200:
            load.served[number] += 1
            load.answers.append(asked)
        elif asked.status == 429:
            load.trouble["429"] += 1
            await asyncio.sleep(1 + (number % 20) / 10)  # Retry-After says 1 s; clients add some of their own
        else:
            load.trouble[str(asked.status)] += 1


async def _watch(endpoint: Served, load: Load) -> None:
    server = psutil.Process(endpoint.process)
    while True:
        total = 0
        for process in [server, *server.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        load.memory.append(total / 2**20)
        await asyncio.sleep(1)


def _break(endpoint: Served, seconds: float) -> None:
    """Kill a replica of each kind, then roll the gateway out anew, at even distances."""
    for name in ("ServeReplica:decoder", "endpoint:ocr", "endpoint:gateway"):
        time.sleep(seconds / 5)
        for process in psutil.Process(endpoint.process).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended since
                if name in (title := " ".join(process.cmdline()[:1]).strip()):
                    process.kill()
                    print(f"killed {title}", flush=True)
                    break
    time.sleep(seconds / 5)
    os.kill(endpoint.process, signal.SIGHUP)
    print("asked for a rolling restart of the gateway", flush=True)


def _picture_body(number: int) -> dict[str, Any]:
    """An OCR task over a picture that nobody else sends, so that the encoder reads each."""
    image = Image.new("RGB", (260, 60), "white")
    ImageDraw.Draw(image).text((20, 20), f"number {number}", fill="black", font_size=24)
    out = io.BytesIO()
    image.save(out, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    parts = [{"type": "text", "text": f"number {number}"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "system", "content": "<task>ocr</task>"}, {"role": "user", "content": parts}]
    return {"model": "interlace", "messages": messages, "stream": False}


def _tell(what: str, load: Load, clients: int, best: float | None = None) -> bool:
    """Print what the clients saw; False when there is something that must not be."""
    ordered = sorted(asked.seconds for asked in load.answers)
    rate = sum(asked.tokens for asked in load.answers) / load.seconds
    unserved = clients - len(load.served)
    others = {name: count for name, count in load.trouble.items() if name != "429"}
    quarter = max(1, len(load.memory) // 4)
    early, late = max(load.memory[quarter : 2 * quarter]), max(load.memory[-quarter:])
    compared = f", {rate / best:.2f}x of the engine alone (floor 0.9)" if best else ""
    print(
        f"{what}: {clients} clients, {load.seconds:.0f} s\n"
        f"  goodput {rate:.1f} tokens/s{compared}; {len(ordered)} answers\n"
        f"  accepted requests: median {_at(ordered, 0.5):.1f} s, 99 % within {_at(ordered, 0.99):.1f} s\n"
        f"  refused with 429: {load.trouble['429']}; other errors: {others or 'none'}; never served: {unserved}\n"
        f"  memory of all processes: at most {early:.0f} MiB in the second quarter, {late:.0f} MiB in the last",
        flush=True,
    )
    return not others and not unserved


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


if __name__ == "__main__":
    main()
