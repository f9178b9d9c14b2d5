"""The decoder on a GPU: answers a second and time per step, against `generate()` of transformers on the same card.

    python -m benchmarks.gpu_decoder [--sequences 1,16,64,256] [--dtype bfloat16] [--generate 1,16,64] [--no-compiled]

An answer is a prompt of 1,000 random tokens and 64 new ones; nothing ends it earlier. Steady: four times as many
requests as may run at once, so that new ones join while others write. Step: what one token more costs all sequences
together, prompts apart, by the clock and on the card alone. `python -m benchmarks.engine_identity --device cuda` asks
whether answers depend on what ran beside them; `--checkpoint` takes any decoder.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

import decoder.running
from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.loops import LoopWatch
from decoder.sequence import SequenceRequest, TextSegment
from encoders.checkpoints.resolve import resolve

PROMPT, NEW = 1000, 64
_LENGTHS = (96, 160)


@contextmanager
def to_the_end(engine: Engine) -> Iterator[None]:
    """Neither the end token nor a loop ends an answer; looking for both is paid for."""
    repeats, push = decoder.running.repeats, LoopWatch.push
    loaded, table = engine._loaded, engine._stepper.table
    stop, loaded.stop_tokens = loaded.stop_tokens, frozenset([-1])
    stop_row, table._stop = table._stop, np.array([-1])
    decoder.running.repeats = lambda tokens: repeats(tokens) and None
    LoopWatch.push = lambda watch, rows, tokens: push(watch, rows, tokens) & False  # type: ignore[method-assign]
    try:
        yield
    finally:
        loaded.stop_tokens, decoder.running.repeats, table._stop = stop, repeats, stop_row
        LoopWatch.push = push  # type: ignore[method-assign]


def prompts(count: int, vocabulary: int, length: int = PROMPT) -> list[list[int]]:
    """So many prompts of random tokens, the same every time."""
    return np.random.default_rng(0).integers(100, vocabulary, (count, length)).tolist()  # type: ignore[no-any-return]


def seconds_of(engine: Engine, asked: Sequence[Sequence[int]], new: int) -> tuple[float, list[tuple[int, ...]]]:
    """Seconds until all are answered, and their tokens."""
    requests = [SequenceRequest((TextSegment.of(prompt),), max_new_tokens=new) for prompt in asked]
    torch.cuda.synchronize()
    begun = time.perf_counter()
    generations = engine.generate(requests)
    seconds = time.perf_counter() - begun
    assert all(len(generation.tokens) == new for generation in generations)
    return seconds, [generation.tokens for generation in generations]


def measure(config: DecoderConfig, running: Sequence[int], device: str) -> dict[str, Any]:
    """Figures of one engine, with so many sequences at once each."""
    begun = time.perf_counter()
    engine = Engine(config)
    engine.load(device)
    found: dict[str, Any] = {"load_s": time.perf_counter() - begun, "recorded": engine._loaded.recorded}
    with to_the_end(engine):
        seconds_of(engine, prompts(2, engine._loaded.vocabulary), 4)
        for count in running:
            asked = prompts(count * 4, engine._loaded.vocabulary)
            steady = min(seconds_of(engine, asked, NEW)[0] for _ in range(2))
            burst = min(seconds_of(engine, asked[:count], NEW)[0] for _ in range(2))
            # Both run all sequences together for some steps, and differ in how many.
            few, many = (min(seconds_of(engine, asked[:count], new)[0] for _ in range(2)) for new in _LENGTHS)
            found[str(count)] = {
                "answers_per_s": len(asked) / steady,
                "burst_answers_per_s": count / burst,
                "step_ms": 1000 * (many - few) / (_LENGTHS[1] - _LENGTHS[0]),
                "first_tokens_s": seconds_of(engine, asked[:count], 1)[0],
            }
    if engine._loaded.recorded:
        found["card_step_ms"] = card_seconds(engine._loaded.writing) * 1000
        found["card_reading_ms"] = card_seconds(engine._loaded.reading) * 1000
    engine.close()
    return found


def card_seconds(recorded: Any) -> float:
    """Seconds of one replay of a pass as it was left."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    recorded._step()
    start.record()
    for _ in range(20):
        recorded._step()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 20_000


def generate_speed(folder: str, dtype: str, counts: Sequence[int], device: str) -> dict[str, Any]:
    """`generate()` over static batches of so many, nothing padded."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval().to(device)
    found: dict[str, Any] = {}
    for count in counts:
        ids = torch.tensor(prompts(count, model.config.vocab_size), device=device)
        options = {"attention_mask": torch.ones_like(ids), "do_sample": False, "pad_token_id": 2}
        times: dict[int, list[float]] = {}
        for new in (4, 16, 16, NEW, NEW):
            torch.cuda.synchronize()
            begun = time.perf_counter()
            with torch.inference_mode():
                model.generate(ids, max_new_tokens=new, min_new_tokens=new, **options)
            torch.cuda.synchronize()
            times.setdefault(new, []).append(time.perf_counter() - begun)
        whole = min(times[NEW])
        found[str(count)] = {"answers_per_s": count / whole, "step_ms": 1000 * (whole - min(times[16])) / (NEW - 16)}
    return found


def config_for(checkpoint: str, dtype: str, sequences: int, *, compiled: bool = False) -> DecoderConfig:
    """Room for so many answers at once."""
    room = sequences * (PROMPT + max(_LENGTHS)) * 50_000  # bytes: more than a token of this decoder takes
    return DecoderConfig(
        checkpoint=checkpoint, dtype=dtype, max_sequences=sequences, reserved_online=0,
        kv_cache_bytes=max(2 << 30, room), prompt_tokens=PROMPT, max_new_tokens=NEW, prefix_cache_bytes=0,
        compile_passes=compiled,
    )  # type: ignore[arg-type]  # fmt: skip


def run(
    checkpoint: str,
    dtype: str,
    sequences: Sequence[int],
    generate: Sequence[int],
    device: str,
    *,
    compiled: bool = DecoderConfig.model_fields["compile_passes"].default,
) -> dict[str, Any]:
    """All figures; an engine is made for each number of sequences, and the largest is asked for one answer too."""
    found: dict[str, Any] = {"dtype": dtype}
    for most in sequences:
        counts = [most] if most != max(sequences) else sorted({1, most})
        found[f"engine {most}"] = measure(config_for(checkpoint, dtype, most, compiled=compiled), counts, device)
        print(f"engine for {most}: {found[f'engine {most}']}", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    found["generate"] = generate_speed(str(resolve(checkpoint)), dtype, generate, device) if generate else {}
    print(f"generate(): {found['generate']}", flush=True)
    return found


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checkpoint", default="decoder")
    options.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    options.add_argument("--device", default="cuda")
    options.add_argument("--sequences", default="1,16,64,256", help="most that run at once, an engine each")
    options.add_argument("--generate", default="1,16,64", help="batches of generate(); empty: none")
    usual = DecoderConfig.model_fields["compile_passes"].default
    options.add_argument(
        "--compiled", action=argparse.BooleanOptionalAction, default=usual, help="compile layers (compile_passes)"
    )
    chosen = options.parse_args()
    sequences, generate = (
        [int(count) for count in text.split(",") if count] for text in (chosen.sequences, chosen.generate)
    )
    run(chosen.checkpoint, chosen.dtype, sequences, generate, chosen.device, compiled=chosen.compiled)


if __name__ == "__main__":
    main()
