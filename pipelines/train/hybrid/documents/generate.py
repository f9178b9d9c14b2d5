"""One document with questions and answers, from a seed."""

from __future__ import annotations

import random

from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.faces import Faces
from pipelines.train.hybrid.documents.kinds import form, identity, invoice, letter, receipt, report, statement, table
from pipelines.train.hybrid.documents.language import HELD_OUT, languages
from pipelines.train.hybrid.documents.tasks.choose import tasks
from pipelines.train.hybrid.samples import PagePlan, Sample

KINDS = {"receipt": receipt, "invoice": invoice, "form": form, "letter": letter, "table": table, "identity": identity,
         "statement": statement, "report": report}  # fmt: skip
_SHARES = {
    "receipt": 25,
    "invoice": 16,
    "form": 11,
    "letter": 8,
    "table": 13,
    "identity": 8,
    "statement": 10,
    "report": 9,
}
_ENGLISH, _WIDE = 0.45, 0.06


def document(seed: int, faces: Faces, *, held_out: bool = False) -> Sample:
    """A document of some kind, language and layout, the same for the same seed. A held-out one is set in held-out
    faces and laid out and labelled in ways that training never sees; half of them are in a held-out language.

    Raises `RuntimeError` when no try gave a sound page, which means that a kind's builder is broken.
    """
    for attempt in range(20):
        rng = random.Random(f"document/{seed}/{held_out}/{attempt}")
        kind = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
        draft = Draft(rng, languages()[_language(rng, held_out)], faces, held_out=held_out)
        KINDS[kind].build(draft)
        if not all(sheet.sound() for sheet in draft.sheets):
            continue
        asked = tasks(draft)
        return Sample(seed, kind, draft.lang.code, draft.layout, (_pages(draft, kind),), (), asked, held_out,
                      {fact.key: fact.value for fact in draft.facts})  # fmt: skip
    raise RuntimeError(f"no sound document from seed {seed}")


def _language(rng: random.Random, held_out: bool) -> str:
    known = languages()
    if held_out and rng.random() < 0.5 and (untrained := [code for code in HELD_OUT if code in known]):
        return rng.choice(untrained)
    if (chance := rng.random()) < _ENGLISH:
        return "en"
    wide = chance < _ENGLISH + _WIDE
    others = [code for code, lang in known.items() if lang.wide == wide and code not in (*HELD_OUT, "en")]
    return rng.choice(others or ["en"])


def _pages(draft: Draft, kind: str) -> tuple[PagePlan, ...]:
    tall = draft.rng.random() < 0.5 and draft.sheets[0].width > 780 and kind != "identity"
    return tuple(sheet.page(round(sheet.width * 1.414) if tall else 0) for sheet in draft.sheets)
