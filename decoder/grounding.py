"""What stands behind an answer: how sure each of its values is, and where it was read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from decoder.calibration import UNCALIBRATED, Calibration, Grounds, Signals
from decoder.confidence import LeafSpan, answer_confidence, leaf_names, leaves, span_logprob, token_ends
from decoder.evidence import Evidence, EvidenceIndex
from decoder.precontext import Precontext
from decoder.sequence import Generation


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a JSON answer: JSON pointer, confidence, and whether the input contains it."""

    path: str
    value: str | float | int | bool | None
    confidence: float
    seen: bool


@dataclass(frozen=True, slots=True)
class Grounding:
    """The leaves of a JSON answer (none for text), evidence for them or for the text, and how sure the whole is."""

    leaves: tuple[Leaf, ...]
    evidence: tuple[Evidence, ...]
    confidence: float


def ground(
    generation: Generation,
    tokenizer: Any,
    precontext: Sequence[Precontext],
    question: str,
    *,
    is_json: bool,
    calibration: Calibration = UNCALIBRATED,
) -> Grounding:
    """Confidence and evidence of what was generated. A JSON answer is as sure as its least sure value, a text that the
    calibration has no curve for as its tokens on average."""
    confidence = answer_confidence(generation)
    if not is_json:
        index = EvidenceIndex.of(precontext)
        evidence = index.quoted(generation.text.strip(), question)
        signals = answer_signals(generation, index, question)
        if precontext and calibration.knows(signals.grounds):
            confidence = calibration.confidence(signals)
        return Grounding((), evidence, confidence)
    found = list(leaf_signals(generation, tokenizer, precontext, question))
    values = tuple(
        Leaf(span.path, span.value, calibration.confidence(signals), signals.grounds is Grounds.SEEN)
        for span, signals, _ in found
    )
    sure = min((leaf.confidence for leaf in values), default=confidence)
    return Grounding(values, tuple(place for _, _, places in found for place in places), sure)


def answer_signals(generation: Generation, index: EvidenceIndex, question: str) -> Signals:
    """What is known of an answer in words: the probability of all its tokens, and whether it stands in the input."""
    logprob = sum(generation.logprobs) + (generation.end_logprob or 0.0)
    places = index.find(generation.text.strip(), "", question)
    read = min((place.confidence for place in places), default=1.0)
    return Signals(logprob, Grounds.QUOTED if places else Grounds.WORDED, read)


def leaf_signals(
    generation: Generation, tokenizer: Any, precontext: Sequence[Precontext], question: str
) -> Iterator[tuple[LeafSpan, Signals, tuple[Evidence, ...]]]:
    """Every value of a JSON answer with what is known of it and where it was read. Strings and numbers are looked for
    in the precontext; true, false, null and "" are conclusions, not readings."""
    index = EvidenceIndex.of(precontext)
    ends = token_ends(tokenizer, generation.tokens)
    for leaf in leaves(generation.text):
        logprob = span_logprob(generation, ends, leaf.start, leaf.stop)
        if leaf.value is None or isinstance(leaf.value, bool) or leaf.value == "":
            yield leaf, Signals(logprob, Grounds.CONCLUSION), ()
            continue
        places = index.find(str(leaf.value), leaf.path, " ".join([*leaf_names(leaf.path), question]))
        read = min((place.confidence for place in places), default=1.0)
        yield leaf, Signals(logprob, Grounds.SEEN if places else Grounds.UNSEEN, read), places
