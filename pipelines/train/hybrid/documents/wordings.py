"""Questions as people put them, in English: many more than the evaluation's, and none of those."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.train.hybrid.documents.extras import extras, named
from pipelines.train.hybrid.documents.language import languages

if TYPE_CHECKING:
    from pipelines.train.hybrid.documents.draft import Draft

_FILE = Path(__file__).with_name("wordings.toml")


@lru_cache(maxsize=1)
def _wordings() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text("utf-8"))


def sections() -> dict[str, list[str]]:
    """The wordings of what an evaluation asks about as well, by its names of them."""
    return {kind: known for kind, known in _wordings().items() if kind in languages()["en"].data["asks"]}


def name(draft: Draft, key: str) -> str:
    """How a question in English names a field."""
    if key in extras():
        return named(draft.rng, key)
    own = _wordings()["names_of"].get(draft.kind, {}).get(key, [])
    known = _wordings()["names"].get(key, []) + own * 2
    if known and draft.rng.random() < 0.6:
        return str(draft.rng.choice(known))
    return languages()["en"].name(draft.rng, key)


def ask(draft: Draft, key: str) -> str:
    """A question in English for a field, whether the document holds it or not."""
    rng, known = draft.rng, _wordings()
    called = str(rng.choice(known["called"].get(draft.kind, []) * 2 + known["documents"]))
    if key in known["asks"] and rng.random() < 0.35:
        return str(rng.choice(known["asks"][key])).format(d=called)
    return about(draft, name(draft, key), called)


def about(draft: Draft, own: str, called: str = "document") -> str:
    """A question in English for what is named so."""
    wording = str(draft.rng.choice(_wordings()["field"]))
    return wording.format(n=own, N=own[:1].upper() + own[1:], d=called)


def other(draft: Draft, kind: str, **parts: str) -> str:
    """A question in English about a table or the layout."""
    return str(draft.rng.choice(_wordings()[kind])).format(**parts)
