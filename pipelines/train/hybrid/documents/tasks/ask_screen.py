"""Questions about the parts of a window: its title, menu, side bar, buttons and status."""

from __future__ import annotations

from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.language import kept
from pipelines.train.hybrid.samples import REFUSAL, Task

_SINGLE = {
    "title": ("What is the title of the window?", "Which title does the window have?", "What does the title bar say?"),
    "status": ("What does the status bar say?", "What is the status at the bottom?", "Which status is shown?"),
}
_ROWS = {
    "menu": ("Which entries does the menu bar have?", "List the menus.", "What can be chosen in the menu bar?"),
    "buttons": ("Which buttons are there?", "List the buttons.", "What do the buttons say?"),
    "side": ("What is in the side bar?", "List the entries of the side bar.", "Which entries does the side bar have?"),
}
_NEXT = ('Which entry comes after "{text}"?', 'What follows "{text}"?', 'What stands next after "{text}"?')
_LACKING = ("Which error message is shown?", "What does the warning say?", "Which file is open?",
            "What is the address in the address bar?", "How much of the download is done?")  # fmt: skip


def single(draft: Draft) -> Task | None:
    """The title or the status."""
    part = draft.rng.choice(sorted(_SINGLE))
    return Task("field", draft.rng.choice(kept(_SINGLE[part], draft.held_out)), None, draft.shown[part][0])


def listed(draft: Draft) -> Task | None:
    """All entries of a menu, a side bar, or the buttons."""
    part = draft.rng.choice(sorted(_ROWS.keys() & draft.shown.keys()))
    return Task("list", draft.rng.choice(kept(_ROWS[part], draft.held_out)), None, "; ".join(draft.shown[part]))


def following(draft: Draft) -> Task | None:
    """The entry after another."""
    texts = draft.shown[draft.rng.choice(sorted(_ROWS.keys() & draft.shown.keys()))]
    place = draft.rng.randrange(len(texts) - 1)
    question = draft.rng.choice(kept(_NEXT, draft.held_out)).format(text=texts[place])
    return Task("layout", question, None, texts[place + 1])


def lacking(draft: Draft) -> Task | None:
    """What windows may show and this one does not."""
    return Task("unanswerable", draft.rng.choice(kept(_LACKING, draft.held_out)), None, REFUSAL)
