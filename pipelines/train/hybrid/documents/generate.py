"""One document with questions and answers, from a seed."""

from __future__ import annotations

import random

from pipelines.train.hybrid.documents import pair
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.faces import Faces
from pipelines.train.hybrid.documents.kinds import (
    form,
    identity,
    invoice,
    letter,
    receipt,
    records,
    report,
    screen,
    statement,
    table,
)
from pipelines.train.hybrid.documents.language import HELD_OUT, languages
from pipelines.train.hybrid.documents.tasks.choose import tasks
from pipelines.train.hybrid.samples import PagePlan, Sample

KINDS = {
    "receipt": receipt.build,
    "invoice": invoice.build,
    "form": form.build,
    "letter": letter.build,
    "table": table.build,
    "identity": identity.build,
    "statement": statement.build,
    "report": report.build,
    "records": records.build,
    "screen": screen.build,
}
_SHARES = {"receipt": 25, "invoice": 15, "form": 10, "letter": 8, "table": 12, "identity": 7, "statement": 8,
           "report": 7, "pair": 8}  # fmt: skip
_TRAINING_SHARES = _SHARES | {"records": 14, "screen": 5, "pair": 16, "form": 14}  # no records are evaluated
_ENGLISH, _WIDE = 0.45, 0.06
_TRIES = 20


def document(seed: int, faces: Faces, *, held_out: bool = False, kind: str = "") -> Sample:
    """A document of some kind, language and layout, the same for the same seed; of kind ``pair`` two of them.

    A held-out one is set in held-out faces and laid out and labelled in ways that training never sees; half of them
    are in a held-out language. Raises `RuntimeError` when no try gave a sound page: a kind's builder is broken.
    """
    for attempt in range(_TRIES):
        rng = random.Random(f"document/{seed}/{held_out}/{attempt}")
        shares = _SHARES if held_out else _TRAINING_SHARES
        made = rng.choices(list(shares), list(shares.values()))[0]
        sample = _made(seed, rng, kind or made, faces, held_out)
        if sample is not None:
            return sample
    raise RuntimeError(f"no sound document from seed {seed}")


def _made(seed: int, rng: random.Random, kind: str, faces: Faces, held_out: bool) -> Sample | None:
    """The sample, or None where text did not fit its place."""
    english = {"pair": 0.7, "receipt": 0.6}.get(kind, _ENGLISH)
    lang = languages()[_language(rng, held_out, english)]
    if not faces.of(lang.letters, ("cjk",) if lang.wide else ("sans",), held_out=held_out):
        return None  # evaluation where no held-out face has the letters of Chinese or Japanese
    draft = Draft(rng, lang, faces, held_out=held_out)
    draft.kind = kind
    drafts = [draft]
    kinds = (kind, kind)
    if kind == "pair":
        drafts.append(Draft(rng, lang, faces, held_out=held_out, like=draft))
        kinds = pair.build(draft, drafts[1], KINDS)
        draft.layout = "+".join(kinds)
    else:
        KINDS[kind](draft)
    if not all(sheet.sound() for one in drafts for sheet in one.sheets):
        return None
    asked = pair.tasks((draft, drafts[1]), kinds) if len(drafts) == 2 else tasks(draft)
    pages = tuple(_pages(one, kind) for one in drafts)
    notes = {fact.key: fact.value for fact in draft.facts} if len(drafts) == 1 else {}
    return Sample(seed, kind, lang.code, draft.layout, pages, (), asked, held_out, notes)


def _language(rng: random.Random, held_out: bool, english: float) -> str:
    known = languages()
    if held_out and rng.random() < 0.5 and (untrained := [code for code in HELD_OUT if code in known]):
        return rng.choice(untrained)
    if (chance := rng.random()) < english:
        return "en"
    wide = chance < english + _WIDE
    others = [code for code, lang in known.items() if lang.wide == wide and code not in (*HELD_OUT, "en")]
    return rng.choice(others or ["en"])


def _pages(draft: Draft, kind: str) -> tuple[PagePlan, ...]:
    tall = draft.rng.random() < 0.5 and draft.sheets[0].width > 780 and kind not in ("identity", "pair", "screen")
    return tuple(sheet.page(round(sheet.width * 1.414) if tall else 0) for sheet in draft.sheets)
