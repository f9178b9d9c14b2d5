"""Phrases taken apart, and matched with what is on the screen."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.detection.candidates import Candidates
from encoders.detection.grounding import element_texts, ground, likeness, parse
from encoders.results import Line, Word, quad


@pytest.mark.parametrize(
    ("phrase", "kinds", "name", "text"),
    [
        ("the Save button", ("button",), "save", True),
        ("click on the settings icon", ("icon",), "settings", False),
        ("search box", ("search field",), "", False),
        ("Email field", ("text field", "dropdown"), "email", True),
        ("check boxes", ("check box",), "", False),
        ('"Sign in"', (), "sign in", True),
        ("button labelled Continue", ("button",), "continue", True),
        ("Delete", (), "delete", True),
        ("all buttons", ("button",), "", False),
    ],
)
def test_a_phrase_is_a_kind_and_a_name(phrase: str, kinds: tuple[str, ...], name: str, text: bool) -> None:
    wanted = parse(phrase)
    assert (wanted.kinds, wanted.name, wanted.may_name_text) == (kinds, name, text)


def test_likeness_orders_texts_as_a_reader_would() -> None:
    assert likeness("save", "Save") == 1.0
    assert likeness("save", "Save as…") > likeness("save", "Share")
    assert likeness("save", "Cancel") < 0.4
    assert likeness("", "Save") == likeness("save", "") == 0.0


def line(text: str, x: float, y: float) -> Line:
    box = quad(x, y, x + 8 * len(text), y + 14)
    return Line(text, box, 0.9, (Word(text, box, 0.9),))


def screen() -> tuple[Candidates, list[Line]]:
    boxes = np.array([[100, 40, 300, 70], [100, 100, 300, 130], [10, 160, 26, 176], [100, 200, 180, 230]], np.float32)
    pointers = np.array([[10, 48, 50, 62], [10, 108, 60, 122], [34, 160, 140, 176], [0, 0, 0, 0]], np.float32)
    lines = [line("Email", 10, 48), line("Phone", 10, 108), line("Remember", 34, 161), line("Send", 120, 208)]
    labels = ["text field", "text field", "check box", "button"]
    return Candidates(boxes, np.full(4, 0.9, np.float32), labels, pointers, np.zeros((0, 0), np.float32)), lines


@pytest.mark.parametrize(
    ("phrase", "row"), [("Phone", 1), ("the email field", 0), ("Remember", 2), ("send button", 3), ("check box", 2)]
)
def test_elements_are_found_by_the_text_in_or_beside_them(phrase: str, row: int) -> None:
    found, lines = screen()
    inside, beside = element_texts(found, lines)
    assert beside[:3] == ["Email", "Phone", "Remember"] and inside[3] == "Send"
    fits = ground(parse(phrase), found, inside, beside, None)
    assert int(fits.argmax()) == row


def test_nothing_on_the_screen_fits_nothing() -> None:
    found, lines = screen()
    inside, beside = element_texts(found, lines)
    assert ground(parse("the quarterly revenue chart"), found, inside, beside, None).max() < 0.45
