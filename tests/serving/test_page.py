"""The page at /, as people use it, in headless Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from tests.serving.conftest import Endpoint
from tests.serving.site import TOTAL, pdf, receipt

CALL = Path(__file__).resolve().parents[2] / "examples" / "archive" / "recordings" / "2024-04-23 call with printer.mp3"
PICTURE: FilePayload = {"name": "receipt.png", "mimeType": "image/png", "buffer": receipt()}
REPORT: FilePayload = {"name": "report.pdf", "mimeType": "application/pdf", "buffer": pdf()}
SCHEMA = {
    "type": "object",
    "properties": {"total": {"const": TOTAL}, "ship": {"const": "Nautilus"}},
    "required": ["total", "ship"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Browser, endpoint: Endpoint) -> Iterator[Page]:
    """The page in a window, the key given; nothing may be asked of another host, and no script may fail."""
    yield from opened(chromium, endpoint, {"width": 1360, "height": 900})


def opened(chromium: Browser, endpoint: Endpoint, size: Any) -> Iterator[Page]:
    context = chromium.new_context(viewport=size, permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    trouble: list[str] = []
    tab.on(
        "request", lambda r: trouble.append(r.url) if not r.url.startswith((endpoint.url, "data:", "blob:")) else None
    )
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.goto(endpoint.url)
    expect(tab.locator("#modes label")).not_to_have_count(0)
    tab.locator("#access summary").click()
    tab.locator("#key").fill(endpoint.key)
    yield tab
    context.close()
    assert trouble == []


def give(tab: Page, *files: FilePayload | Path) -> None:
    tab.locator("#pick").set_input_files(list(files))  # type: ignore[arg-type]


def test_a_structured_answer_lights_up_where_it_was_read(tab: Page) -> None:
    give(tab, PICTURE)
    tab.locator("#question").fill("What is the total?")
    tab.locator("#shaping summary").click()
    tab.locator("#schema").fill(json.dumps(SCHEMA))
    tab.get_by_role("button", name="Ask", exact=True).click()
    rows = tab.locator("#values tr.leaf")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text(TOTAL)
    expect(rows.nth(1)).to_contain_text("not in the input")
    expect(tab.locator("#seen img")).to_have_count(1)
    expect(tab.locator("#seen polygon:not(.mark)")).to_have_count(4)
    expect(tab.locator("#seen polygon.lit")).to_have_count(0)
    rows.nth(0).hover()
    expect(tab.locator("#seen polygon.lit")).to_have_count(1)
    box, image = tab.locator("#seen polygon.lit").bounding_box(), tab.locator("#seen img").bounding_box()
    assert box is not None and image is not None
    assert 0.6 < (box["y"] - image["y"]) / image["height"] < 0.85  # on the line of the total
    rows.nth(1).hover()
    expect(tab.locator("#seen polygon.lit")).to_have_count(0)
    tab.locator("#seen polygon:not(.mark)").nth(0).hover()
    expect(tab.locator("#tip")).to_contain_text("HARBOUR CAFE")
    expect(tab.locator(".reading p.now")).to_have_text("HARBOUR CAFE")


def test_an_answer_streams_and_the_conversation_goes_on(tab: Page) -> None:
    tab.locator("#question").fill("hi")
    tab.locator("#question").press("Control+Enter")
    expect(tab.locator("#said")).to_have_text("The answer is complete.")
    first = tab.locator("#answer").inner_text()
    assert first and tab.locator("#asked").inner_text() == "hi"
    expect(tab.locator("#beside")).to_contain_text("tokens read")
    tab.locator("#question").fill("and then?")
    tab.get_by_role("button", name="Ask", exact=True).click()
    expect(tab.locator("#asked")).to_have_text("and then?")
    expect(tab.locator("#said")).to_have_text("The answer is complete.")
    tab.get_by_role("tab", name="Code").click()
    assert tab.locator("#python").inner_text().count('"role": "user"') == 2
    tab.get_by_role("button", name="New conversation").click()
    expect(tab.locator("#result")).to_be_hidden()


def test_pages_of_a_document_and_the_snippets_that_repeat_it(tab: Page, endpoint: Endpoint, tmp_path: Path) -> None:
    give(tab, REPORT)
    tab.get_by_text("Read the text").click()
    tab.get_by_role("button", name="Go", exact=True).click()
    expect(tab.locator("#seen .pager button")).to_have_count(2)
    expect(tab.locator("#seen .sheet img").first).to_be_attached()
    tab.get_by_role("button", name="Page 2").click()
    expect(tab.locator("#seen .spread:visible .reading")).to_have_text("This is sheet number 2 of the report")
    expect(tab.locator("#seen .spread:visible img")).to_have_count(1)
    tab.get_by_role("tab", name="What was seen").press("ArrowRight")
    expect(tab.get_by_role("tab", name="JSON")).to_be_focused()
    raw = json.loads(tab.locator("#raw").inner_text())
    assert raw["content"]["name"] == "ocr" and raw["content"]["result"]["total_pages"] == 2
    tab.get_by_role("tab", name="Code").click()
    tab.locator("#code button").first.click()
    expect(tab.locator("#code button").first).to_have_text("Copied")
    copied = tab.evaluate("navigator.clipboard.readText()")
    (tmp_path / "report.pdf").write_bytes(pdf())
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "INTERLACE_API_KEY": endpoint.key}
    ran = subprocess.run(
        ["bash", "-c", copied], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    answer = json.loads(ran.stdout)
    assert "sheet number 2" in answer["choices"][0]["message"]["content"], ran.stderr
    import sys

    script = tab.locator("#python").inner_text()
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert json.loads(ran.stdout)["name"] == "ocr", ran.stderr


def test_a_recording_plays_from_the_clicked_word(tab: Page) -> None:
    give(tab, CALL)
    tab.get_by_text("Transcribe").click()
    tab.get_by_role("button", name="Go", exact=True).click()
    words = tab.locator("#seen .word")
    expect(words.nth(20)).to_be_visible()
    assert len(set(tab.locator("#seen .turn b").all_inner_texts())) == 2
    words.nth(20).click()
    at = float(tab.evaluate("document.querySelector('#seen audio').currentTime"))
    assert at > 3.0
    expect(tab.locator("#seen .word.now").first).to_be_visible()


def test_mistakes_are_said_where_they_are(tab: Page) -> None:
    tab.get_by_role("button", name="Ask", exact=True).click()
    expect(tab.locator("#trouble")).to_have_text("Write a question first.")
    expect(tab.locator("#question")).to_be_focused()
    tab.locator("#question").fill("x")
    tab.locator("#shaping summary").click()
    tab.locator("#schema").fill("{oops")
    tab.get_by_role("button", name="Ask", exact=True).click()
    expect(tab.locator("#schema-said")).to_contain_text("not JSON")
    tab.get_by_role("button", name="Put in an example").click()
    tab.locator("#key").fill("wrong")
    tab.get_by_role("button", name="Ask", exact=True).click()
    expect(tab.locator("#trouble")).to_contain_text("API key")
    expect(tab.locator("#key")).to_be_focused()


def test_the_keyboard_alone_reaches_everything_and_controls_have_names(tab: Page) -> None:
    reached: list[str] = []
    tab.locator("body").press("Tab")
    for _ in range(14):
        reached.append(
            tab.evaluate(
                "document.activeElement.id || document.activeElement.value || document.activeElement.className"
            )
        )
        tab.keyboard.press("Tab")
    for wanted in ("skip", "pick", "ask", "question", "go"):
        assert wanted in reached, reached
    unnamed = tab.evaluate(
        """[...document.querySelectorAll('button, input, textarea, a, summary')].filter(e => !(
            e.textContent.trim() || e.ariaLabel || (e.labels && e.labels.length))).map(e => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_it_without_scrolling_sideways(chromium: Browser, endpoint: Endpoint, width: int) -> None:
    for tab in opened(chromium, endpoint, {"width": width, "height": 800}):
        give(tab, PICTURE)
        tab.locator("#shaping summary").click()
        tab.locator("#schema").fill(json.dumps(SCHEMA))
        tab.get_by_role("button", name="Ask", exact=True).click()
        expect(tab.locator("#values tr.leaf")).to_have_count(2)
        for name in ("JSON", "Code", "What was seen"):
            tab.get_by_role("tab", name=name).click()
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
