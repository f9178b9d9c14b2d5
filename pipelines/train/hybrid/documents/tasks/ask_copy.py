"""Looking up and copying, for training alone: words by those before them, values by made-up names and the reverse."""

from __future__ import annotations

import json
import random
from collections import Counter

from pipelines.train.hybrid.documents import wordings, words
from pipelines.train.hybrid.documents.draft import Draft, Fact
from pipelines.train.hybrid.documents.kinds.records import name
from pipelines.train.hybrid.samples import REFUSAL, Task

_NUMBERS = ("", "word", "two words", "three words", "four words")
_AFTER = ('Which {n} follow "{f}"?', 'What are the next {n} after "{f}"?', 'After "{f}": the next {n}?',
          'Copy the {n} after "{f}".', 'How does the text go on after "{f}"? Give {n}.')  # fmt: skip
_REVERSE = ('Which entry has the value "{f}"?', 'What is "{f}" the value of?', 'To what does "{f}" belong?',
            'Under which name is "{f}" given?', '"{f}": which field is that?')  # fmt: skip


def following(draft: Draft) -> Task | None:
    """The one to four words that follow others in a run."""
    rng = draft.rng
    if len(draft.sheets) > 1 or draft.lang.wide:
        return None
    runs = [run.text.split(" ") for run in draft.sheets[0].lines]
    counts = Counter(word for parts in runs for word in parts)
    rng.shuffle(runs)
    for parts in runs[:12]:
        able = [n for n, part in enumerate(parts[:-1]) if counts[part] == 1 and any(c.isalnum() for c in part)]
        if not able or any('"' in part or not part for part in parts):
            continue
        at = rng.choice(able)  # the last of the words that are given, which stands once on the page
        start = rng.randint(max(0, at - 2), at)
        count = rng.randint(1, min(4, len(parts) - at - 1))
        wording = rng.choice(_AFTER).format(n=_NUMBERS[count], f=" ".join(parts[start : at + 1]))
        return Task("copy", wording, None, " ".join(parts[at + 1 : at + 1 + count]))
    return None


def _single(draft: Draft) -> list[Fact]:
    return [fact for fact in draft.facts if len(fact.value) > 0]


def _question(draft: Draft, label: str) -> str:
    """For a made-up name: in words of ours, or in the document's language."""
    rng = draft.rng
    if rng.random() < 0.25:
        return draft.lang.ask(rng, "field", draft.held_out, name=label)
    return wordings.about(draft, f'"{label}"' if rng.random() < 0.3 else label)


def entry(draft: Draft) -> Task | None:
    """The value under a made-up name."""
    if not (able := _single(draft)):
        return None
    fact = draft.rng.choice(able)
    return Task("field", _question(draft, fact.key), None, fact.value)


def no_such_entry(draft: Draft) -> Task | None:
    """The value under a name that is not there, perhaps one that looks like another."""
    printed = " ".join(run.text for run in draft.sheets[-1].lines).lower()
    other = _near(draft.rng, draft.rng.choice(draft.facts).key) if draft.facts and draft.rng.random() < 0.3 else ""
    other = other or name(draft)
    if other.lower() in printed or other.split()[-1].lower() in printed:
        return None
    return Task("unanswerable", _question(draft, other), None, REFUSAL)


def _near(rng: random.Random, label: str) -> str:
    """A name of which the last word is another one."""
    *first, last = label.split()
    if not first or last.isdigit():
        return ""
    return " ".join([*first, words.made_up(rng, False)])


def reverse(draft: Draft) -> Task | None:
    """The name of a value that is printed once."""
    counts = Counter(fact.value for fact in draft.facts)
    able = [fact for fact in draft.facts if counts[fact.value] == 1 and '"' not in fact.value]
    if not able:
        return None
    fact = draft.rng.choice(able)
    return Task("copy", draft.rng.choice(_REVERSE).format(f=fact.value), None, fact.key)


def entries(draft: Draft) -> Task | None:
    """Several of them as JSON, with names that are not there."""
    rng = draft.rng
    if not (able := _single(draft)):
        return None
    values = {fact.key: fact.value for fact in rng.sample(able, min(len(able), rng.randint(1, 6)))}
    printed = " ".join(run.text for run in draft.sheets[-1].lines).lower()
    nullable = rng.random() < 0.6
    answer: dict[str, str | None] = dict(values)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        if (other := name(draft)).lower() not in printed:
            answer[other] = None if nullable else ""
    items = list(answer.items())
    rng.shuffle(items)
    snake = rng.random() < 0.4
    shown = {(key.lower().replace(" ", "_") if snake else key): found for key, found in items}
    properties = {key: {"type": ["string", "null"] if nullable else "string"} for key in shown}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    asked = rng.choice((None, "Extract the entries.", "Fill this in.", "Give these values as JSON."))
    return Task("json", asked, json.dumps(schema, ensure_ascii=False), json.dumps(shown, ensure_ascii=False))
