"""What stands behind an answer: how sure each of its values is, and where it was read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from decoder.calibration import UNCALIBRATED, Calibration, Grounds, Signals
from decoder.confidence import LeafSpan, leaf_names, leaves, span_logprob, token_ends
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
    """The leaves of a JSON answer (none for text), and evidence for them or for the text."""

    leaves: tuple[Leaf, ...]
    evidence: tuple[Evidence, ...]


def ground(
    generation: Generation,
    tokenizer: Any,
    precontext: Sequence[Precontext],
    question: str,
    *,
    is_json: bool,
    calibration: Calibration = UNCALIBRATED,
) -> Grounding:
    """Confidence and evidence of what was generated."""
    if not is_json:
        return Grounding((), EvidenceIndex.of(precontext).quoted(generation.text.strip(), question))
    found = list(leaf_signals(generation, tokenizer, precontext, question))
    values = tuple(
        Leaf(span.path, span.value, calibration.confidence(signals), signals.grounds is Grounds.SEEN)
        for span, signals, _ in found
    )
    return Grounding(values, tuple(place for _, _, places in found for place in places))


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
