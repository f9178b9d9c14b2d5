"""The engine against `generate()` of transformers, one request after the other and in static batches.

    python -m benchmarks.engine_speed [--dtype float32] [--requests 32] [--repeats 3] [--threads 1]

Requests are prompts of 30 to 160 tokens that want 8 to 40 new ones, so many of them under way at a time. One by one:
`generate()` for each in turn; static: `generate()` for so many at once, padded, all waiting for the longest; engine: a
new request joins whenever one has ended. Weights, dtype and threads are the same. One by one and a single client answer
the first quarter of the requests only.

  tok/s CPU   new tokens per second of CPU time: what to compare on a busy machine
  tok/s       new tokens per second of the clock
  first       median seconds from a request's arrival to its first token
  same        requests whose tokens are those of `generate()` for it alone

Then the speed of reading a prompt of 1,000 tokens, and of steps that write one token of 1, 8 and 32 sequences. Figures
are medians of the repeats, with the least and the most.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LogitsProcessor, LogitsProcessorList

from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.model import chosen_dtype
from decoder.sequence import Priority, Sampling, SequenceRequest, TextSegment
from encoders.checkpoints.resolve import resolve

CLIENTS = (1, 8, 32)
_LOOPS_TOO = Sampling(frequency_penalty=1e-9)  # so small that nothing changes, but loops are not cut, as in generate()


@dataclass(slots=True)
class Reading:
    """One way to answer some requests: seconds, CPU seconds, and for each its new tokens and the wait for the first."""

    wall: float = 0.0
    cpu: float = 0.0
    tokens: dict[int, tuple[int, ...]] = field(default_factory=dict)
    first: list[float] = field(default_factory=list)

    @property
    def written(self) -> int:
        return sum(map(len, self.tokens.values()))


def some_requests(count: int, vocabulary: int, seed: int = 0) -> list[SequenceRequest]:
    """Prompts of random tokens, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [
        SequenceRequest(
            (TextSegment.of(rng.integers(100, vocabulary, int(rng.integers(30, 161))).tolist()),),
            max_new_tokens=int(rng.integers(8, 41)),
            sampling=_LOOPS_TOO,
            priority=Priority.ONLINE,
        )
        for _ in range(count)
    ]


class _FirstToken(LogitsProcessor):  # type: ignore[misc]
    """Notes when `generate()` has the logits of the first token."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.at = self.at or time.perf_counter()
        return scores


def static(model: Any, requests: Sequence[SequenceRequest], clients: int, end: int) -> Reading:
    """`generate()` for so many requests at once; with one, one by one."""
    reading, cpu, begun = Reading(), time.process_time(), time.perf_counter()
    for start in range(0, len(requests), clients):
        batch = requests[start : start + clients]
        prompts = [request.segments[0].tokens for request in batch]  # type: ignore[union-attr]
        longest, arrived = max(map(len, prompts)), time.perf_counter()
        ids = torch.full((len(batch), longest), end)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.from_numpy(prompt.astype(np.int64))
            mask[row, longest - len(prompt) :] = 1
        noted = _FirstToken()
        most = max(request.max_new_tokens or 0 for request in batch)
        with torch.inference_mode():
            out = model.generate(ids, attention_mask=mask, max_new_tokens=most, do_sample=False, pad_token_id=end,
                                 logits_processor=LogitsProcessorList([noted]))  # fmt: skip
        for row, request in enumerate(batch):
            written = out[row, longest:].tolist()[: request.max_new_tokens]
            reading.tokens[start + row] = tuple(written[: written.index(end)] if end in written else written)
            reading.first.append(noted.at - arrived)
    reading.wall, reading.cpu = time.perf_counter() - begun, time.process_time() - cpu
    return reading


def one_by_one(reading: Reading, clients: int) -> float:
    """The median wait for the first token when so many requests come at once and are answered in turn."""
    each = reading.wall / len(reading.first)
    return statistics.median(reading.first) + each * (clients - 1) / 2


def continuous(engine: Engine, requests: Sequence[SequenceRequest], clients: int) -> Reading:
    """The engine with so many clients, each asking again when it has its answer."""
    reading, todo, lock = Reading(), iter(enumerate(requests)), threading.Lock()

    def client() -> None:
        while True:
            with lock:
                index, request = next(todo, (None, None))
            if index is None or request is None:
                return
            arrived, seen = time.perf_counter(), list[float]()
            generation = engine.submit(request, lambda _, seen=seen: seen.append(time.perf_counter())).result()
            with lock:
                reading.tokens[index] = generation.tokens
                reading.first.append((seen[0] if seen else time.perf_counter()) - arrived)

    cpu, begun = time.process_time(), time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading.wall, reading.cpu = time.perf_counter() - begun, time.process_time() - cpu
    return reading


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """The median with the least and the most."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def report(name: str, readings: Sequence[Reading], first: Sequence[float], truth: dict[int, tuple[int, ...]]) -> None:
    """One line of the table."""
    known = [index for index in readings[0].tokens if index in truth]
    same = sum(readings[0].tokens[index] == truth[index] for index in known)
    cpu = spread([r.written / r.cpu for r in readings])
    wall = spread([r.written / r.wall for r in readings])
    print(f"{name:26}{cpu:>22}{wall:>22}{spread(first, '.2f'):>20}{same:>8} of {len(known)}", flush=True)


def plain_speed(engine: Engine, vocabulary: int, repeats: int) -> None:
    """Reading prompts and writing tokens, each alone."""
    rng = np.random.default_rng(7)

    def timed(requests: Sequence[SequenceRequest]) -> tuple[float, float, int]:
        before, cpu, begun = engine.figures.steps, time.process_time(), time.perf_counter()
        engine.generate(requests)
        return time.perf_counter() - begun, time.process_time() - cpu, engine.figures.steps - before

    def prompt(length: int, new: int) -> SequenceRequest:
        tokens = rng.integers(100, vocabulary, length).tolist()
        return SequenceRequest((TextSegment.of(tokens),), max_new_tokens=new, sampling=_LOOPS_TOO)

    reads = [timed([prompt(1000, 1)]) for _ in range(repeats)]
    print(f"reading 1,000 tokens: {spread([1000 / cpu for _, cpu, _ in reads], '.0f')} tok/s CPU")
    for count in CLIENTS:
        steps = []
        for _ in range(repeats):
            few, many = timed([prompt(16, 2) for _ in range(count)]), timed([prompt(16, 26) for _ in range(count)])
            steps.append(1000 * (many[1] - few[1]) / max(1, many[2] - few[2]))
        print(f"a step of {count:2} sequences: {spread(steps)} ms CPU")


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options.add_argument("--requests", type=int, default=32)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = DecoderConfig(dtype=chosen.dtype, threads=chosen.threads, prefix_cache_bytes=0)
    engine = Engine(config)
    engine.load()
    dtype = chosen_dtype(config.dtype, torch.device("cpu"))
    model = AutoModelForCausalLM.from_pretrained(resolve(config.checkpoint), dtype=dtype).eval()
    vocabulary, end = model.config.vocab_size, model.generation_config.eos_token_id
    requests = some_requests(chosen.requests, vocabulary)
    few = requests[: max(4, chosen.requests // 4)]
    static(model, few[:1], 1, end), engine.generate(few[:1])
    readings: dict[str, list[Reading]] = {}
    runs: dict[str, Callable[[], Reading]] = {"one by one": lambda: static(model, few, 1, end)}
    for clients in CLIENTS:
        asked = few if clients == 1 else requests
        if clients > 1:
            runs[f"static {clients}"] = lambda asked=asked, clients=clients: static(model, asked, clients, end)  # type: ignore[misc]
        runs[f"engine {clients}"] = lambda asked=asked, clients=clients: continuous(engine, asked, clients)  # type: ignore[misc]
    for repeat in range(chosen.repeats):
        for name, run in runs.items():
            readings.setdefault(name, []).append(run())
            one = readings[name][-1]
            print(
                f"repeat {repeat + 1}, {name}: {one.written} tokens, {one.cpu:.1f} s CPU, {one.wall:.1f} s", flush=True
            )
    truth = readings["one by one"][0].tokens
    print(f"{chosen.dtype}, {chosen.threads} thread(s), {chosen.requests} requests, passes of up to {engine.rows} rows")
    print(f"{'':26}{'tok/s CPU':>22}{'tok/s':>22}{'first':>20}{'same':>12}")
    for clients in CLIENTS:
        alone = readings["one by one"]
        report(f"generate(), {clients} waiting", alone, [one_by_one(r, clients) for r in alone], truth)
        for way in ("static", "engine"):
            if found := readings.get(f"{way} {clients}"):
                report(f"{way}, {clients} clients", found, [statistics.median(r.first) for r in found], truth)
    plain_speed(engine, vocabulary, chosen.repeats)
    engine.close()


if __name__ == "__main__":
    main()
