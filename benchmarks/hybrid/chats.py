"""Chats without a document: does the tuned decoder still answer them, and as the untrained one does?

Asked as the endpoint asks, greedily: what people ask every day, and chats generated of wordings and words that the
training has not. Modes differ in what is read of documents only, so one trained column is asked.

    answered      the answer is no refusal such as "not in the document"; what is no document lacks nothing
    as the base   F1 of the words against the untrained decoder's answer
    surprise      natural-log units a token of the untrained decoder's answer, its end included, in either decoder
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from benchmarks.hybrid.agreement import refused, token_f1
from benchmarks.hybrid.columns import ZERO_SHOT, Column
from benchmarks.hybrid.outcomes import Measure, Outcome
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report
from decoder.answer import Answerer
from decoder.chat import ChatMessage, ChatRequest
from decoder.chat_answerer import ChatAnswerer
from decoder.model import chosen_dtype
from decoder.sequence import Finish, TextSegment
from encoders.checkpoints.resolve import resolve
from pipelines.train.hybrid.chats.chat import Chat
from pipelines.train.hybrid.chats.prompts import chats

SECTION = "chats"
COUNT = 60
FIRST_SEED = 940_000_000
LONGEST = 60  # tokens of an answer
EVERYDAY = (
    "What is the capital of France?",
    "Who wrote Romeo and Juliet?",
    "Hello, how are you?",
    "Tell me a joke.",
    "What is 2 + 2?",
    "How many legs does a spider have?",
    "Translate \"good morning\" into French.",
    "Write a poem about the sea.",
    "What can I cook with eggs and potatoes?",
    "Why is the sky blue?",
    "Give me three tips for a good night's sleep.",
    "Explain what a computer is.",
    "What is the largest ocean?",
    "Who was the first person on the moon?",
    "Write a Python program that prints hello world.",
    "What is the difference between a frog and a toad?",
    "Can you recommend a book?",
    "How do I make coffee?",
    "What day comes after Tuesday?",
    "Thank you for your help!",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, and the tokens of prompt and answer; the end of the turn is one of them unless the answer was cut."""

    text: str
    prompt: list[int]
    answer: list[int]


def run(setting: Setting, report: Report) -> None:
    """Ask the untrained and a trained decoder; of only one of them there is less to say."""
    everyday = [Chat("everyday", ({"role": "user", "content": text},)) for text in EVERYDAY]
    asked = everyday[: setting.count(len(everyday))] + chats(setting.count(COUNT), FIRST_SEED, held_out=True)
    trained = [column for column in setting.panel.columns if column.name != ZERO_SHOT][:1]
    columns = [column for column in setting.panel.columns if column.name == ZERO_SHOT] + trained
    setting.panel.only([column.name for column in columns]).load()
    said = {column.name: answers(setting.panel.answerers[column.name], asked) for column in columns}
    base = said.get(ZERO_SHOT)
    if base is None:
        report.lines.append(
            "chats: without the untrained decoder (--baseline), so nothing is compared with its answers"
        )
    for column in columns:
        report.add(column.name, _outcomes(column, asked, said[column.name], base, setting.device))
    report.extras[SECTION] = [
        {"asked": [*one.turns], **{name: found[index].text for name, found in said.items()}}
        for index, one in enumerate(asked)
    ]


def answers(answerer: Answerer, asked: Sequence[Chat]) -> list[Said]:
    """What a decoder answers, through the engine, as the endpoint would ask it."""
    chatting = ChatAnswerer(answerer.engine)
    end = answerer.fusion.tokenizer.eos_token_id
    prepared = [
        chatting.prepare(
            ChatRequest(
                tuple(ChatMessage(turn["role"], turn["content"]) for turn in one.turns),  # type: ignore[arg-type]
                max_tokens=LONGEST,
            )
        )
        for one in asked
    ]
    found = []
    for own, generation in zip(prepared, answerer.engine.generate([one.sequence for one in prepared]), strict=True):
        result = chatting.finish(own, generation)
        prompt = [t for one in own.sequence.segments if isinstance(one, TextSegment) for t in one.tokens.tolist()]
        closing = [end] if generation.finish is Finish.STOP else []
        found.append(Said(result.text or "", prompt, [*generation.tokens, *closing]))
    return found


def _outcomes(
    column: Column, asked: Sequence[Chat], said: Sequence[Said], base: Sequence[Said] | None, device: str
) -> Iterator[Outcome]:
    surprises = surprise(column.checkpoint, device, base) if base is not None else [0.0] * len(said)
    for index, (one, own) in enumerate(zip(asked, said, strict=True)):
        group = "every day" if one.kind == "everyday" else "generated"
        unit, tags = f"chat {index}", {"kind": one.kind}
        yield Outcome(f"{SECTION}: answered, {group}", Measure.RATE, float(not refused(own.text)), unit, tags=tags)
        if base is None:
            continue
        if column.name != ZERO_SHOT:
            alike = token_f1(own.text, base[index].text)
            yield Outcome(f"{SECTION}: as the base, {group}", Measure.MEAN, alike, unit, tags=tags)
        length = len(base[index].answer)
        yield Outcome(f"{SECTION}: surprise, {group}", Measure.RATIO, surprises[index], unit, length, tags=tags)


@torch.inference_mode()
def surprise(checkpoint: str, device: str, said: Sequence[Said]) -> list[float]:
    """Of each answer the negative log-likelihood in a decoder, natural-log units."""
    place = torch.device(device)
    loaded: Any = AutoModelForCausalLM.from_pretrained(resolve(checkpoint), dtype=chosen_dtype("auto", place))
    model = loaded.to(place).eval()
    found = []
    for one in said:
        tokens = torch.tensor([one.prompt + one.answer], device=place)
        count = len(one.answer)
        logits = model(input_ids=tokens, use_cache=False, logits_to_keep=count + 1).logits[0, :-1].float()
        found.append(float(functional.cross_entropy(logits, tokens[0, -count:], reduction="sum")) if count else 0.0)
    return found
