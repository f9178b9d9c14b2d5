"""What is looked for when nothing is asked: the stated vocabulary."""

from __future__ import annotations

from pathlib import Path

NAMES = Path(__file__).with_name("vocabulary.txt")
ELEMENTS = (
    "button",
    "link",
    "text field",
    "search field",
    "text area",
    "dropdown",
    "check box",
    "radio button",
    "switch",
    "slider",
    "tab",
    "menu item",
    "icon",
    "image",
    "avatar",
    "badge",
    "progress bar",
    "table",
    "heading",
    "logo",
)


def everything(interface: bool) -> tuple[str, ...]:
    """Names of interface elements, or of things: one a line in vocabulary.txt."""
    return ELEMENTS if interface else tuple(NAMES.read_text("utf-8").split("\n")[:-1])
