"""What the decoder answered, on file: so that confidence can be looked into and fitted again without asking again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.hybrid.asking import Asked, Reply
from benchmarks.hybrid.perceived import keys
from decoder.answer import Answerer, AnswerTask, Prepared
from decoder.precontext import Precontext
from decoder.sequence import Finish, Generation


def file_of(out: Path, section: str, column: str) -> Path:
    """Where a section's answers in a column are."""
    return out / "answers" / f"{section}.{column}.jsonl.gz"


def save(file: Path, replies: Iterable[Reply]) -> None:
    """A line for each reply: text, tokens, and their natural-log probabilities; null where there is no answer."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        for reply in replies:
            said = reply.generation
            known = None
            if said is not None and said.failure is None:
                known = {
                    "text": said.text,
                    "tokens": said.tokens,
                    "logprobs": [round(logprob, 7) for logprob in said.logprobs],
                    "end_logprob": said.end_logprob,
                    "finish": said.finish,
                    "prompt_tokens": said.prompt_tokens,
                }
            line = {"question": reply.asked.question, "schema": reply.asked.schema, "answer": known}
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def load(file: Path, asked: Sequence[Asked], answerer: Answerer) -> list[Reply]:
    """The replies of a file to what was asked. Raises `ValueError` for a file of other questions."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        known = [json.loads(line) for line in lines]
    if [(one["question"], one["schema"]) for one in known] != [(one.question, one.schema) for one in asked]:
        raise ValueError(f"{file} answers other questions than this kit asks: read it with the kit that it was made of")
    found = []
    for item, answer in zip(asked, (one["answer"] for one in known), strict=True):
        precontext = tuple(
            Precontext(one.name, result, one.key, pages=one.perception.pages)
            for one in item.inputs
            if (result := one.perception.result) is not None
        )
        prepared = Prepared(AnswerTask(keys(item.inputs), item.question, item.schema, precontext), None)
        generation = None if answer is None else _generation(**answer)
        found.append(Reply(item, prepared, generation, answerer.finish(prepared, generation)))
    return found


def _generation(
    text: str, tokens: list[int], logprobs: list[float], end_logprob: float | None, finish: str, prompt_tokens: int
) -> Generation:
    return Generation(text, tuple(tokens), tuple(logprobs), Finish(finish), prompt_tokens, end_logprob)
