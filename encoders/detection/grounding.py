"""From phrases to interface elements: kind, text inside or beside, and what is drawn, weighed together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.detection.candidates import Candidates
from encoders.results import Line, extent

KIND_WORDS: dict[str, tuple[str, ...]] = {
    "button": ("button",),
    "link": ("link", "hyperlink"),
    "text field": ("text field", "text box", "input field", "input box", "input", "field", "box", "textbox"),
    "search field": ("search field", "search box", "search bar", "search input"),
    "text area": ("text area", "textarea"),
    "dropdown": (
        "dropdown menu",
        "dropdown list",
        "drop-down",
        "dropdown",
        "select box",
        "combo box",
        "combobox",
        "select",
        "field",
        "picker",
    ),
    "check box": ("check box", "checkbox", "tick box"),
    "radio button": ("radio button", "radio", "option"),
    "switch": ("toggle switch", "switch", "toggle"),
    "slider": ("slider", "range"),
    "tab": ("tab",),
    "menu item": ("menu item", "menu entry", "menu"),
    "icon": ("icon", "symbol"),
    "image": ("image", "picture", "photo"),
    "avatar": ("avatar",),
    "badge": ("badge", "chip", "tag"),
    "progress bar": ("progress bar",),
    "table": ("table",),
    "heading": ("heading", "title"),
    "figure": ("figure", "chart", "graph"),
    "logo": ("logo",),
}
"""Words at the end of a phrase that say what kind of element it means; longer ones first where they share words."""

NAMED_BESIDE = ("text field", "text area", "dropdown", "check box", "radio button", "switch", "slider", "search field")
PRESSED = ("button", "link", "tab", "menu item")
_FILLER = re.compile(r"^(?:please\s+)?(?:(?:click|press|tap)\s+(?:on\s+)?)?(?:(?:the|an|a|all|every|each)\s+)*", re.I)
_LABELLED = re.compile(r"\b(?:labell?ed|named|called|that says|saying|with the (?:text|label))\b", re.I)


class Embeds(Protocol):
    """Phrases to unit vectors [n, d]."""

    def __call__(self, phrases: Sequence[str]) -> NDArray[np.float32]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Wanted:
    """A phrase taken apart: the kinds it may mean (none: any), and what it calls the element ("" when only a kind)."""

    phrase: str
    kinds: tuple[str, ...]
    name: str

    @property
    def may_name_text(self) -> bool:
        """Whether it could be the text in or beside an element: not when it asks for a kind, nor for an icon."""
        return bool(self.name) and self.kinds[:1] not in (("icon",), ("image",), ("logo",), ("figure",))


def parse(phrase: str) -> Wanted:
    """Split a phrase: "the Email field" is a text field or a dropdown called "email"."""
    text = _FILLER.sub("", phrase.strip().strip("\"'.")).strip()
    if quoted := re.search(r"[\"“'‘]([^\"”'’]+)[\"”'’]", text):
        return Wanted(phrase, _kinds(text.replace(quoted.group(0), " "))[0], quoted.group(1).strip().lower())
    text = _LABELLED.sub(" of ", text)
    kinds, rest = _kinds(text)
    rest = re.sub(r"^(?:for|of|to|with)\s+|\s+(?:for|of|to)$", "", rest.strip(" ,:"), flags=re.I).strip().lower()
    return Wanted(phrase, kinds, rest)


def _kinds(text: str) -> tuple[tuple[str, ...], str]:
    """Kinds named at the end (or the start) of a text, and the text without that."""
    words = sorted({word for named in KIND_WORDS.values() for word in named}, key=len, reverse=True)
    for word in words:
        plural = rf"{re.escape(word)}(?:e?s)?"
        match = re.search(rf"(?:^|\s){plural}\s*$", text, re.I) or re.search(
            rf"^{plural}(?=\s+(?:for|of|to|with|\"|'|$)|\s*$)", text, re.I
        )
        if match:
            kinds = tuple(kind for kind, named in KIND_WORDS.items() if word in named)
            rest = (text[: match.start()] + " " + text[match.end() :]).strip()
            return kinds, rest
    return (), text


def element_texts(found: Candidates, lines: Sequence[Line]) -> tuple[list[str], list[str]]:
    """For every element the words inside it, and the words where its label should stand."""
    words = [(word.text, np.array(extent(word.quad))) for line in lines for word in (line.words or (line,))]  # type: ignore[attr-defined]
    inside, beside = [], []
    if not words:
        return [""] * len(found), [""] * len(found)
    boxes = np.stack([box for _, box in words])
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    for row in range(len(found)):
        x0, y0, x1, y1 = found.boxes[row]
        within = (x > x0 - 1) & (x < x1 + 1) & (y > y0 - 1) & (y < y1 + 1)
        inside.append(" ".join(words[at][0] for at in np.flatnonzero(within)))
        text = ""
        if len(found.pointers) and found.labels[row] in NAMED_BESIDE:
            text = _label(found.boxes[row], found.pointers[row], boxes, within, lines)
        beside.append(text)
    return inside, beside


def around_text(box: NDArray[np.float32], lines: Sequence[Line]) -> NDArray[np.float32]:
    """The box of a menu entry, narrowed until its text is in the middle.

    Some kits give an entry the whole width of its menu and others only that of its text, and nothing shows which; the
    middle of the text lies in both.
    """
    words = [extent(word.quad) for line in lines for word in (line.words or (line,))]  # type: ignore[attr-defined]
    within = [w for w in words if box[0] <= (w[0] + w[2]) / 2 <= box[2] and box[1] <= (w[1] + w[3]) / 2 <= box[3]]
    if not within:
        return box
    out = box.copy()
    before = max(4.0, min(w[0] for w in within) - float(box[0]))
    out[2] = min(float(box[2]), max(w[2] for w in within) + before)
    return out


def _label(
    box: NDArray[np.float32],
    pointer: NDArray[np.float32],
    boxes: NDArray[np.float32],
    within: NDArray[np.bool_],
    lines: Sequence[Line],
) -> str:
    """The words that the pointer's box covers; its ends are uncertain, so it takes the rest of their line piece too."""
    x0, y0, x1, y1 = pointer
    middle = (y0 + y1) / 2
    reach = max(8.0, (y1 - y0) * 0.6)
    y = (boxes[:, 1] + boxes[:, 3]) / 2
    level = np.abs(y - middle) < reach
    apart = np.maximum(0, np.maximum(boxes[:, 0] - x1, x0 - boxes[:, 2]))
    near = level & ~within & (apart < 6)
    flat = [word for line in lines for word in (line.words or (line,))]  # type: ignore[attr-defined]
    if not near.any():
        return ""
    left, right = boxes[near, 0].min(), boxes[near, 2].max()
    height = float((boxes[near, 3] - boxes[near, 1]).mean())
    for _ in range(6):  # words a blank apart belong to it
        more = level & ~within & (boxes[:, 0] < right + 0.6 * height) & (boxes[:, 2] > left - 0.6 * height)
        left, right = min(left, boxes[more, 0].min()), max(right, boxes[more, 2].max())
    order = sorted(np.flatnonzero(more), key=lambda at: boxes[at, 0])
    return " ".join(flat[at].text for at in order)


def likeness(name: str, text: str) -> float:
    """How well a text on the screen fits what it is called, 0..1; case, signs and additions cost little or nothing."""
    a, b = (re.sub(r"[^\w]+", " ", value.lower()).strip() for value in (name, text))
    if not a or not b:
        return 0.0
    joined_a, joined_b = a.replace(" ", ""), b.replace(" ", "")
    if joined_a == joined_b:  # scripts without blanks are read sign by sign
        return 1.0
    whole = SequenceMatcher(None, joined_a, joined_b, autojunk=False).ratio()
    part = 0.0
    if len(b) > len(a) and re.search(rf"\b{re.escape(a)}\b", b):
        part = 0.55 + 0.4 * len(a) / len(b)
    elif len(a) > len(b) and len(b) > 2 and re.search(rf"\b{re.escape(b)}\b", a):
        part = 0.4 + 0.45 * len(b) / len(a)
    return max(part, whole if whole > 0.6 else 0.5 * whole)


def ground(
    wanted: Wanted, found: Candidates, inside: Sequence[str], beside: Sequence[str], embed: Embeds | None
) -> NDArray[np.float32]:
    """How surely each element is the one that the phrase means, [n] in 0..1.

    ``embed`` None leaves out the text encoder: only letters and kinds count then.
    """
    n = len(found)
    fits = np.array([1.0 if not wanted.kinds else _kind_fit(wanted.kinds, label) for label in found.labels], np.float32)
    if not wanted.name:
        every: NDArray[np.float32] = fits * found.scores * (fits == 1.0)
        return every
    text = np.zeros(n, np.float32)
    for row, label in enumerate(found.labels):
        own, near = likeness(wanted.name, inside[row]), likeness(wanted.name, beside[row])
        if label in NAMED_BESIDE and label != "search field":
            text[row] = max(near, 0.75 * own)
        else:
            text[row] = max(own, 0.9 * near)
    drawn = np.zeros(n, np.float32)
    if embed is not None:
        vector = embed([wanted.name])[0]
        text = np.maximum(text, _meanings(vector, inside, beside, found.labels, embed))
        if found.vectors.size:
            drawn = ((found.vectors @ vector) - 0.1).clip(0, 1) / 0.9
            for row, label in enumerate(found.labels):
                if label in ("button", "link", "tab", "menu item"):
                    drawn[row] *= 1.0 if len(inside[row].strip()) <= 2 else 0.4  # OCR reads icons as letters
                elif label not in ("icon", "image", "avatar", "logo", "figure", "object"):
                    drawn[row] *= 0.15
    if not wanted.may_name_text:
        text *= 0.25
    best = np.maximum(text, drawn if not wanted.may_name_text else 0.8 * drawn)
    if not wanted.kinds:  # something to press or to fill in is meant rather than what only stands there
        fits = np.array(
            [1.0 if label in PRESSED or label in NAMED_BESIDE else 0.93 for label in found.labels], np.float32
        )
    sure = 0.6 + 0.4 * found.scores
    out: NDArray[np.float32] = best * fits * sure
    return out


def _kind_fit(kinds: Sequence[str], label: str) -> float:
    if label in kinds:
        return 1.0
    families = (
        ("button", "link", "tab", "menu item"),
        ("icon", "button", "image", "logo", "avatar", "link"),
        ("text field", "search field", "text area", "dropdown"),
        ("check box", "radio button", "switch"),
        ("image", "figure", "avatar", "object"),
    )
    return 0.85 if any(label in family and any(kind in family for kind in kinds) for family in families) else 0.5


def _meanings(
    vector: NDArray[np.float32], inside: Sequence[str], beside: Sequence[str], labels: Sequence[str], embed: Embeds
) -> NDArray[np.float32]:
    """Texts that mean the same in other words: "log in" and "Sign in"."""
    texts = [near if label in NAMED_BESIDE and near else own for own, near, label in zip(inside, beside, labels)]
    short = sorted({text for text in texts if 0 < len(text) <= 60})
    if not short:
        return np.zeros(len(texts), np.float32)
    cosine = dict(zip(short, embed(short) @ vector))
    return np.array([0.9 * max(0.0, (float(cosine.get(text, 0.0)) - 0.2) / 0.8) for text in texts], np.float32)
