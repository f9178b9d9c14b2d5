"""The endpoint against the bare engine: time to first token that HTTP and Serve add, and goodput at 8 and 32.

python -m benchmarks.endpoint [--requests 200] [--tokens 48]

The added time is taken with an engine that answers at once (two layers, random weights), one request at a time: the
median over HTTP less the median in this process. Goodput is tokens per second of whole answers of the default decoder,
the same questions and limits, endpoint and bare engine one after the other, twice in turn. Both engines compute in one
thread; the endpoint has the machine's other cores for itself.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.endpoint_client import Asked, bare, served, through
from decoder.config import DecoderConfig

INSTANT = {"dtype": "float32", "prompt_tokens": 320, "max_new_tokens": 64, "context_tokens": 512}


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="of the first measurement; a tenth a client later")
    parser.add_argument("--tokens", type=int, default=48, help="longest answer")
    parser.add_argument("--repeats", type=int, default=2)
    chosen = parser.parse_args()
    added_time(chosen.requests, chosen.repeats)
    goodput(chosen.tokens, chosen.repeats)


def added_time(requests: int, repeats: int) -> None:
    """Time to first token over an instant engine."""
    from tests.decoder.tiny import save_tiny

    with tempfile.TemporaryDirectory() as folder:
        tiny = str(save_tiny(Path(folder), "llama"))
        config = DecoderConfig(checkpoint=tiny, **INSTANT)
        settings = {f"decoder.{name}": value for name, value in {"checkpoint": tiny, **INSTANT}.items()}
        limits = {"serve.limits.per_key_rate": 1e6, "serve.limits.per_key_burst": 1_000_000}
        with served({**settings, **limits, "serve.warm": ["decoder"]}) as endpoint:
            asyncio.run(through(endpoint.url, range(40), 1, 8))
            for _ in range(repeats):
                alone, _ = bare(config, range(requests), 1, 8)
                over, _ = asyncio.run(through(endpoint.url, range(requests), 1, 8))
                here, there = _firsts(alone), _firsts(over)
                print(
                    f"first token at concurrency 1: endpoint {_shown(there)}, engine alone {_shown(here)}: "
                    f"added {statistics.median(there) - statistics.median(here):.1f} ms (floor 10, goal 5)",
                    flush=True,
                )


def goodput(tokens: int, repeats: int) -> None:
    """Tokens per second of whole answers."""
    config = DecoderConfig(max_new_tokens=tokens)
    for at_once in (8, 32):
        numbers = range(at_once * 3)
        for _ in range(repeats):
            alone, seconds = bare(config, numbers, at_once, tokens)
            best = _rate(alone, seconds)
            settings = {"decoder.max_new_tokens": tokens, "serve.warm": ["decoder"]}
            with served(settings) as endpoint:
                over, seconds = asyncio.run(through(endpoint.url, numbers, at_once, tokens))
            rate = _rate(over, seconds)
            errors = sum(asked.status != 200 for asked in over)
            print(
                f"goodput at {at_once}: endpoint {rate:.1f}, engine alone {best:.1f} tokens/s: {rate / best:.2f}x "
                f"(floor 0.9, goal 0.97); {len(over)} answers, {errors} errors",
                flush=True,
            )


def _firsts(answers: Sequence[Asked]) -> list[float]:
    return [asked.first * 1e3 for asked in answers if asked.status == 200]


def _shown(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.1f} ms (90 % within {ordered[int(0.9 * len(ordered))]:.1f})"


def _rate(answers: Sequence[Asked], seconds: float) -> float:
    return sum(asked.tokens for asked in answers if asked.status == 200) / seconds


if __name__ == "__main__":
    main()
