"""What stands behind an answer: how sure each of its values is, and where it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decoder.confidence import NOT_SEEN, leaf_names, leaves, span_confidence, token_ends
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
    generation: Generation, tokenizer: Any, precontext: Sequence[Precontext], question: str, *, is_json: bool
) -> Grounding:
    """Confidence and evidence of what was generated. Strings and numbers are looked for in the precontext; true, false
    and null are conclusions, not readings."""
    index = EvidenceIndex.of(precontext)
    if not is_json:
        return Grounding((), index.quoted(generation.text.strip(), question))
    ends = token_ends(tokenizer, generation.tokens)
    found: list[Leaf] = []
    evidence: list[Evidence] = []
    for leaf in leaves(generation.text):
        sure = span_confidence(generation, ends, leaf.start, leaf.stop)
        places: tuple[Evidence, ...] = ()
        if isinstance(leaf.value, str | int | float) and not isinstance(leaf.value, bool) and leaf.value != "":
            about = " ".join([*leaf_names(leaf.path), question])
            places = index.find(str(leaf.value), leaf.path, about)
            sure *= min((place.confidence for place in places), default=NOT_SEEN)
        evidence += places
        found.append(Leaf(leaf.path, leaf.value, sure, bool(places)))
    return Grounding(tuple(found), tuple(evidence))
