"""Which specialists a chat needs, told from its words alone."""

from __future__ import annotations

import pytest

from benchmarks.chat_routing import LATER, PROMPTS, prompts, woken
from decoder.protocol.routing import route, route_of
from tests.decoder.test_protocol import asked


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("How many red cars are in this picture?", {"object_detection": ("red cars",)}),
        ("Find a cat, the dog and an umbrella", {"object_detection": ("cat", "dog", "umbrella")}),
        ("Where is the search box?", {"gui_detection": ("search box",)}),
        ("Where do I click to log out of this app?", {"gui_detection": ("log out of this app",)}),
        ("Wo ist der Knopf „Speichern“?", {"gui_detection": ('"Speichern"',)}),
        ("List all buttons", {"gui_detection": (), "ocr": ()}),
        ("How many dogs, and what does the sign say?", {"object_detection": ("dogs",), "ocr": ()}),
        ("Is it signed?", {"object_detection": ("signature",), "ocr": ()}),
        ("图中有几只猫?", {"object_detection": (), "ocr": ()}),
        ("How many items are on the invoice?", {"ocr": ()}),
        ("What is the total?", {"ocr": ()}),
        ("Thank you.", {}),
        ("", {}),
    ],
)
def test_words_choose_specialists_and_phrases(text: str, needed: dict[str, tuple[str, ...]]) -> None:
    assert route_of(text).images == needed
    assert bool(route_of(text).because) is bool(needed)


def test_documents_are_always_read_and_looked_at_for_marks() -> None:
    assert route_of("On which page is the stamp?").documents == {"object_detection": ("stamp",), "ocr": ()}
    assert route_of("Click the Save button").documents == {"ocr": ()}
    assert route_of("Where is the office?").of("audio") == {}


def test_a_turn_that_says_nothing_leaves_it_to_the_one_before() -> None:
    turns = (("user", "How many dogs?"), ("assistant", "Two"), ("user", "Are you sure?"))
    assert route(asked(*turns)).images == {"object_detection": ("dogs",)}
    assert route(asked(*turns, ("user", "And what does the sign say?"))).images == {"ocr": ()}
    assert route(asked(("system", "Click the button"), ("user", "hi"))).because == ()


@pytest.mark.parametrize(
    "text", ["where is " * 100_000, "how many " + "a and " * 100_000, "click " * 100_000, "\n" * 10**6]
)
def test_long_nonsense_costs_as_little_as_a_page(text: str) -> None:
    """The test never ends when the words are looked for in all of it again and again."""
    assert sum(map(len, route_of(text).images.values())) <= 16


def test_written_prompts_wake_what_they_need() -> None:
    rows = [(needed, woken(kind, text)) for path in (PROMPTS, LATER) for kind, needed, text in prompts(path)]
    assert len(rows) == 240
    assert sum(needed <= got for needed, got in rows) >= 0.96 * len(rows)
    assert sum(len(got - needed) for needed, got in rows) <= 0.35 * len(rows)
