"""Every value of some replies, how sure the decoder was of it, and whether it is right."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.confidence_fit import Judged
from benchmarks.hybrid.agreement import refused, same_text
from benchmarks.hybrid.asking import Reply
from benchmarks.hybrid.judged import leaves, same_leaf
from benchmarks.hybrid.perceived import keys
from decoder.answer import Answerer
from decoder.evidence import EvidenceIndex
from decoder.grounding import answer_signals, leaf_signals


@dataclass(frozen=True, slots=True)
class Value:
    """A value as judged, with the confidence that was returned for it. ``unit``: the document that it is about."""

    judged: Judged
    confidence: float
    unit: str


def values(replies: Iterable[Reply], answerer: Answerer) -> Iterator[Value]:
    """Every leaf of a JSON answer, every whole answer in words."""
    for reply in replies:
        generation, task = reply.generation, reply.asked.task
        if generation is None or generation.failure is not None or task is None:
            continue
        unit = keys(reply.asked.inputs)
        precontext, question = reply.prepared.task.precontext, task.question or ""
        if task.schema is None:
            signals = answer_signals(generation, EvidenceIndex.of(precontext), question)
            text = reply.answer.text
            right = same_text(text, task.answer, task.accepted) if task.answerable else refused(text)
            yield Value(Judged(signals, right), reply.answer.confidence, unit)
            continue
        truth = leaves(json.loads(task.answer))
        for leaf, signals, _ in leaf_signals(generation, answerer.fusion.tokenizer, precontext, question):
            right = leaf.path in truth and same_leaf(leaf.value, truth[leaf.path])
            yield Value(Judged(signals, right), answerer.calibration.confidence(signals), unit)
