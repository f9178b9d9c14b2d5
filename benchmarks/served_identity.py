"""Whether a batch run and the endpoint give the same answers: `interlace run` over letters, then each as a chat.

    python -m benchmarks.served_identity [--letters 500] [--new-tokens 6] [--at-once 16]

The letters are plain text files, generated; every tenth is asked for a JSON object, the others a question. The run has
a Ray and a decoder of its own, the chats go to `interlace serve` in another order, so many at once. Compared are the
texts and the confidences, which are made of all tokens' probabilities. Exit 1 when one differs.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.endpoint_client import served
from benchmarks.generated_letters import QUESTIONS, SCHEMA, letters
from pipelines.tables import read_table

QUESTION = QUESTIONS["total"]
_LINES = 8  # of each letter, its end: two cores read five hundred prompts twice
_WHOLE = 72  # new tokens that the JSON object needs
Answer = tuple[str, float]  # text, confidence to four places as the endpoint gives it


def written(folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """The letters as files: those that are asked a question, and those that become JSON."""
    asked, extracted = [], []
    for index, letter in enumerate(letters(5, count)):
        kind = extracted if index % 10 == 9 else asked
        path = folder / ("json" if kind is extracted else "text") / f"letter-{index}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(letter.document.pages[0].text.splitlines()[-_LINES:]))
        kind.append(path)
    return asked, extracted


def run(source: Path, out: Path, settings: dict[str, Any], question: Sequence[str]) -> dict[str, Answer]:
    """Answers of `interlace run`, by the name of the file."""
    command = [sys.executable, "-m", "pipelines.cli", "run", str(source), "--out", str(out), *question]
    command += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    rows = read_table(str(out), "answers").to_table(columns=["uri", "answer", "confidence"]).to_pylist()
    return {row["uri"].rsplit("/", 1)[-1]: (row["answer"], round(row["confidence"], 4)) for row in rows}


async def chats(url: str, bodies: dict[str, dict[str, Any]], at_once: int) -> dict[str, Answer]:
    """Answers of the endpoint, by the name of the file."""
    found: dict[str, Answer] = {}
    room = asyncio.Semaphore(at_once)

    async def one(session: aiohttp.ClientSession, name: str) -> None:
        async with room, session.post(f"{url}/v1/chat/completions", json=bodies[name]) as response:
            answer = await response.json()
            if response.status != 200:
                raise SystemExit(f"{name}: {answer}")
            found[name] = answer["choices"][0]["message"]["content"].strip(), answer["confidence"]

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        await asyncio.gather(*(one(session, name) for name in random.Random(3).sample(sorted(bodies), len(bodies))))
    return found


def body(path: Path, form: dict[str, Any]) -> dict[str, Any]:
    """The chat that asks what the run asks."""
    data = base64.b64encode(path.read_bytes()).decode()
    parts: list[dict[str, Any]] = [{"type": "file", "file": {"filename": path.name, "file_data": data}}]
    if "response_format" not in form:
        parts.insert(0, {"type": "text", "text": QUESTION})
    return {"model": "interlace", "messages": [{"role": "user", "content": parts}], **form}


def compare(what: str, batch: dict[str, Answer], endpoint: dict[str, Answer]) -> bool:
    """Print how many are the same, and those that are not."""
    texts = [name for name in batch if batch[name][0] != endpoint[name][0]]
    sure = [name for name in batch if batch[name][1] != endpoint[name][1]]
    for name in texts[:5]:
        print(f"  {name}: batch {batch[name]}, endpoint {endpoint[name]}")
    print(
        f"{what}: {len(batch) - len(texts)} of {len(batch)} answers have the same text in a batch run and at the "
        f"endpoint, {len(batch) - len(sure)} the same confidence",
        flush=True,
    )
    return not texts and not sure and batch.keys() == endpoint.keys()


def main() -> None:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=500)
    parser.add_argument("--new-tokens", type=int, default=6, help="longest answer to the question")
    parser.add_argument("--at-once", type=int, default=16, help="chats")
    chosen = parser.parse_args()
    settings = {"decoder.dtype": "float32", "decoder.max_new_tokens": _WHOLE}
    schema = {"type": "json_schema", "json_schema": {"name": "letter", "schema": json.loads(SCHEMA)}}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        asked, extracted = written(root, chosen.letters)
        (root / "schema.json").write_text(SCHEMA)
        started = time.monotonic()
        short = settings | {"decoder.max_new_tokens": chosen.new_tokens}
        answers = run(root / "text", root / "text-lake", short, ("--prompt", QUESTION))
        objects = run(root / "json", root / "json-lake", settings, ("--schema", str(root / "schema.json")))
        print(f"batch runs: {time.monotonic() - started:.0f} s", flush=True)
        bodies = {path.name: body(path, {"max_tokens": chosen.new_tokens}) for path in asked}
        bodies |= {path.name: body(path, {"response_format": schema}) for path in extracted}
        started = time.monotonic()
        with served({**settings, "serve.warm": ["decoder"]}) as endpoint:
            found = asyncio.run(chats(endpoint.url, bodies, chosen.at_once))
        print(f"chats: {time.monotonic() - started:.0f} s", flush=True)
    well = compare("a question", answers, {name: found[name] for name in answers})
    well &= compare("JSON", objects, {name: found[name] for name in objects})
    raise SystemExit(0 if well else 1)


if __name__ == "__main__":
    main()
