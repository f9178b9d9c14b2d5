"""Whether an answer's tokens depend on what ran beside it: the same prompts alone, together, shuffled, and as chats.

    python -m benchmarks.engine_identity [--prompts 500] [--dtype float32] [--new-tokens 8] [--device cuda]

Prompts are questions about generated letters, every fourth constrained to a JSON schema. Every way is compared with all
prompts together: token by token, and log probabilities to the last bit. A different token is printed with how much
likelier it was than the runner-up.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.generated_letters import QUESTIONS, SCHEMA, letters
from decoder.answer import Answerer, AnswerTask
from decoder.chat import ChatMessage, ChatRequest, ResponseFormat
from decoder.chat_answerer import ChatAnswerer
from decoder.config import DecoderConfig
from decoder.engine import Engine
from decoder.precontext import Precontext
from decoder.sequence import Generation


def tasks(count: int, new_tokens: int) -> list[AnswerTask]:
    """The prompts: a letter each, the questions in turn."""
    asked = list(QUESTIONS.values())
    return [
        AnswerTask(f"letter-{i}", asked[i % len(asked)], SCHEMA if i % 4 == 3 and new_tokens > 40 else None,
                   (Precontext("ocr", letter.document, "p"),))
        for i, letter in enumerate(letters(5, count))
    ]  # fmt: skip


def compare(name: str, ours: Sequence[Generation], reference: Sequence[Generation], seconds: float) -> int:
    """Print one way's figures; returns how many answers differ in a token."""
    tokens = bits = 0
    for index, (one, other) in enumerate(zip(ours, reference, strict=True)):
        tokens += one.tokens != other.tokens
        bits += one.logprobs != other.logprobs
        if one.tokens != other.tokens:
            place = next((i for i, (a, b) in enumerate(zip(one.tokens, other.tokens)) if a != b), -1)
            print(f"  prompt {index} parts at token {place} ({margin(other, place)}): {one.text!r} / {other.text!r}")
    print(f"{name:46}{len(ours) - tokens:6} of {len(ours)} same tokens, {len(ours) - bits:6} same bits"
          f"   ({seconds:.0f} s CPU)", flush=True)  # fmt: skip
    return tokens


def margin(generation: Generation, place: int) -> str:
    """By how much the likeliest token there led, when alternatives were asked for."""
    best = generation.alternatives[place] if place < len(generation.alternatives) else ()
    return f"the likeliest led by {best[0][1] - best[1][1]:.4f} nats" if len(best) > 1 else "margin unknown"


def main() -> None:
    """Run all ways."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--prompts", type=int, default=500)
    options.add_argument("--new-tokens", type=int, default=8)
    options.add_argument("--dtype", default="float32")
    options.add_argument("--device", default="cpu")
    options.add_argument("--checkpoint", default="decoder")
    options.add_argument("--sequences", type=int, default=32, help="most that run at once")
    options.add_argument("--alone", type=int, help="of the prompts are asked one at a time; default: all")
    chosen = options.parse_args()
    config = DecoderConfig(
        checkpoint=chosen.checkpoint,
        dtype=chosen.dtype,
        max_new_tokens=chosen.new_tokens,
        max_sequences=chosen.sequences,
    )
    engine = Engine(config)
    engine.load(chosen.device)
    answerer = Answerer(config)
    asked = tasks(chosen.prompts, chosen.new_tokens)
    prepared = [answerer.prepare(task).request for task in asked]
    requests = [replace(request, top_logprobs=2) for request in prepared if request is not None]
    assert len(requests) == len(asked)

    def timed(batches: Sequence[Sequence[int]]) -> tuple[list[Generation], float]:
        started, found = time.process_time(), dict[int, Generation]()
        for batch in batches:
            found |= dict(zip(batch, engine.generate([requests[i] for i in batch]), strict=True))
        return [found[i] for i in sorted(found)], time.process_time() - started

    order = list(range(len(requests)))
    reference, seconds = timed([order])
    compare("all together", reference, reference, seconds)
    shuffled = random.Random(1).sample(order, len(order))
    compare("all together, in another order", *_with(timed([shuffled]), reference))
    compare("seven at a time", *_with(timed([shuffled[i : i + 7] for i in range(0, len(order), 7)]), reference))
    alone, seconds = timed([[i] for i in order[: chosen.alone]])
    compare("one at a time", alone, reference[: len(alone)], seconds)
    chats = ChatAnswerer(engine)
    started = time.process_time()
    handles = []
    for task in asked:
        response = ResponseFormat.json_schema(task.schema) if task.schema else ResponseFormat.text()
        request = ChatRequest((ChatMessage("user", task.question or ""),), task.precontext, response)
        handles.append(engine.submit_or_fail(chats.prepare(request).sequence))
        if len(handles) % 32 == 0:
            handles[-32].result()
    compare("as chats of the endpoint", [h.result() for h in handles], reference, time.process_time() - started)
    engine.close()


def _with(
    timed: tuple[list[Generation], float], reference: list[Generation]
) -> tuple[list[Generation], list[Generation], float]:
    return timed[0], reference, timed[1]


if __name__ == "__main__":
    main()
