from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from encoders.failures import InterlaceError
from encoders.results import Role
from pipelines.report import ReportLimits, script_json, write_report
from pipelines.sources import list_assets
from tests.pipelines.small_lake import asset, chunk, demo_rows, line, page, part, publish_lake, speech, write_lake

HOSTILE = "<img src=x onerror=document.title='stolen'>.png"
BREAKOUT = "</script><script>document.title='stolen'</script>"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the small lake, and of a picture and a recording that are there to be shown."""
    folder = tmp_path_factory.mktemp("sources")
    image = np.full((800, 600, 3), 255, np.uint8)
    cv2.putText(image, "upside", (200, 400), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 3)
    cv2.imwrite(str(folder / "up.png"), image)
    (folder / "up.png").rename(folder / HOSTILE)
    with wave.open(str(folder / "hum.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.sin(np.arange(48_000) / 20) * 9000).astype("<i2").tobytes())
    listed = {Path(found.uri).name: found for found in list_assets([str(folder)])}
    rows = demo_rows("/nowhere")
    shown = page(
        1, [line(BREAKOUT, 80), line("<b>bold</b> claim", 120, confidence=0.4), line("7", 760, role=Role.PAGE_NUMBER)]
    )
    said = speech([chunk("Three words here", 0.5, "SPEAKER_00", 0.55)], {"SPEAKER_00": (1.0,)}, 3.0)
    for name, modality, media_type, extent, content in (
        (HOSTILE, "image", "image/png", {"pages": 1}, {"pages": [asdict(shown) | {"rotation": 180}]}),
        ("hum.wav", "audio", "audio/wav", {"seconds": 3.0}, {"speech": asdict(said)}),
    ):
        found = listed[name]
        rows["assets"].append(asset(found.uri, modality, media_type, etag=found.etag, size=found.size, **extent))
        rows["parts"].append(part(found.uri, modality, media_type, 0, **content))
    out = tmp_path_factory.mktemp("lake")
    html = out / "report.html"
    summary = write_report(publish_lake(out, rows), html)
    assert (summary.assets, summary.left_out, summary.size) == (5, 0, html.stat().st_size)
    return html


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shown(chromium: Browser, report: Path) -> Iterator[Page]:
    """The report in a window; no test may leave a request, a message or an error behind."""
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(8000)
    trouble: list[str] = []
    tab.on("request", lambda request: trouble.append(request.url) if not request.url.startswith("data:") else None)
    tab.on("console", lambda message: trouble.append(message.text))
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.goto(report.as_uri())
    yield tab
    assert trouble == [report.as_uri()]
    assert tab.title().startswith("Interlace report")
    tab.close()


def of(tab: Page, name: str) -> str:
    """The selector of an asset's article by its name."""
    number = tab.evaluate(
        "name => [...document.querySelectorAll('.asset h3')].findIndex(h => h.textContent === name)", name
    )
    assert number >= 0
    return f"#asset-{number}"


def test_hostile_names_and_texts_are_only_text(shown: Page) -> None:
    article = shown.locator(of(shown, HOSTILE))
    assert article.locator("img").count() == 1  # the page's picture
    assert BREAKOUT in article.locator(".reading").inner_text()
    assert "<b>bold</b> claim" in article.locator(".reading").inner_text()
    assert script_json("</script><!--&") == '"\\u003c/script\\u003e\\u003c!--\\u0026"'


def test_boxes_follow_the_chosen_layer(shown: Page) -> None:
    article = shown.locator(of(shown, "report.pdf"))
    boxes = article.locator(".spread:not([hidden]) polygon:not(.mark):not(.cell)")

    def choose(layer: str) -> None:
        shown.locator(".layers").get_by_text(layer).click()
        # Only sheets near the window are drawn, and the click may have scrolled this one away.
        article.locator("svg").first.scroll_into_view_if_needed()

    for layer, count in (("lines", 8), ("words", 18), ("tables", 1), ("none", 0), ("lines", 8)):
        choose(layer)
        expect(boxes).to_have_count(count)
        expect(article.locator(".spread:not([hidden]) .cell")).to_have_count(4 if layer == "tables" else 0)


def test_a_box_tells_its_text_and_confidence(shown: Page) -> None:
    article = shown.locator(of(shown, HOSTILE))
    article.locator("svg").scroll_into_view_if_needed()
    expect(article.locator("polygon")).to_have_count(3)
    article.locator("polygon").nth(1).hover()
    assert shown.locator("#tip").inner_text() == "<b>bold</b> claim\nconfidence 0.40 · body"
    assert article.locator(".reading .now").inner_text() == "<b>bold</b> claim"
    article.locator("svg").focus()
    shown.keyboard.press("ArrowRight")
    assert shown.locator("#tip b").inner_text() == BREAKOUT
    shown.keyboard.press("Escape")
    assert shown.locator("#tip").is_hidden()


def test_colour_and_stroke_tell_confidence(shown: Page) -> None:
    expect(shown.locator(f"{of(shown, HOSTILE)} polygon")).to_have_count(3)
    sure, unsure, _ = shown.locator(f"{of(shown, HOSTILE)} polygon").all()
    assert unsure.get_attribute("class") == "low" and sure.get_attribute("class") == ""
    assert sure.get_attribute("stroke") != unsure.get_attribute("stroke")


def test_pictures_are_turned_as_they_were_read(shown: Page) -> None:
    dark = shown.evaluate(
        """async selector => {
          const image = document.querySelector(selector + ' img'); await image.decode();
          const canvas = document.createElement('canvas'); canvas.width = 600; canvas.height = 800;
          const context = canvas.getContext('2d'); context.drawImage(image, 0, 0, 600, 800);
          const rows = []; const data = context.getImageData(0, 0, 600, 800).data;
          for (let i = 0; i < data.length; i += 4) if (data[i] < 80) rows.push(Math.floor(i / 2400));
          return rows.reduce((a, b) => a + b, 0) / rows.length;
        }""",
        of(shown, HOSTILE),
    )
    assert dark > 405  # the text was drawn above the middle


def test_evidence_turns_to_its_page_and_is_marked(shown: Page) -> None:
    article = shown.locator(of(shown, "report.pdf"))
    assert article.locator(".answer .said").inner_text() == "£1,080.60 </script><b>now</b>"
    assert "84 %" in article.locator(".support").inner_text()
    article.locator(".chip").click()
    assert article.locator(".pager [aria-pressed=true]").inner_text() == "2"
    assert (
        article.locator(".spread:not([hidden]) .mark").get_attribute("data-quad") == "230,400,320,400,320,420,230,420"
    )
    assert "drawn without its picture" in article.locator(".spread:not([hidden]) figcaption").inner_text()
    assert "The total due is £1,080.60 today." in article.locator(".spread:not([hidden]) svg").inner_html()


def test_a_recording_has_lanes_and_its_sound(shown: Page) -> None:
    call = shown.locator(of(shown, "call <1>.mp3"))
    assert [text.split() for text in call.locator(".lane .who").all_inner_texts()] == [
        ["SPEAKER_00", "3.5", "s"],
        ["SPEAKER_01", "3.0", "s"],
    ]
    track = call.locator(".track").first.bounding_box()
    late = call.locator(".chunk[data-start='66.0']").bounding_box()
    assert track and late and (late["x"] - track["x"]) / track["width"] == pytest.approx(66 / 80, abs=0.01)
    assert call.locator("audio").count() == 0  # its source is gone
    hum = shown.locator(of(shown, "hum.wav"))
    assert hum.locator("audio").count() == 1 and hum.locator(".wave path").count() == 1
    assert hum.locator(".transcript .unsure").count() == 3
    hum.locator(".transcript li").hover()
    assert hum.locator(".chunk.now").count() == 1


def test_a_structured_answer_is_shown_by_leaf(shown: Page) -> None:
    call = shown.locator(of(shown, "call <1>.mp3"))
    rows = [" ".join(text.split()) for text in call.locator(".leaves tr").all_inner_texts()]
    assert rows == ["kind call 90 % not seen in the text", "caller Miriam 70 % 0:00:03.0"]
    assert call.locator(".transcript li.mark").count() == 1  # where the evidence was said
    call.locator(".chip").click()
    assert call.locator(".chunk.now").count() == 1


def test_ledger_and_throughput(shown: Page) -> None:
    rows = [text.split() for text in shown.locator(".ledger tbody tr").all_inner_texts()]
    assert ["assets", "5", "4", "0", "1", "0", "0"] in rows
    assert shown.locator(".ledger .badge").inner_text() == "balances"
    captions = " ".join(shown.locator(".chart figcaption").all_inner_texts())
    assert "pages per second" in captions and "audio seconds per second" in captions
    assert "1 min 30 s" in shown.locator("#speed").inner_text()


def test_failures_and_filter(shown: Page) -> None:
    assert "the cross-reference <table> is broken" in shown.locator("#failures").inner_text()
    shown.locator("#filter").fill("CREME")
    assert shown.locator(".asset:visible").count() == 1
    assert shown.locator("#shown").inner_text() == "1 of 5"
    shown.locator("#filter").fill("")


def test_the_theme_can_be_switched(shown: Page) -> None:
    before = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.locator("#theme").click()
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != before
    shown.locator("#theme").click()


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_it_without_scrolling_sideways(chromium: Browser, report: Path, width: int) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": 800})
    tab.goto(report.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


def test_limits_are_said(tmp_path: Path) -> None:
    rows = demo_rows("/nowhere")
    html = tmp_path / "few.html"
    summary = write_report(write_lake(tmp_path / "lake", rows), html, ReportLimits(assets=1, pages=1))
    assert (summary.assets, summary.left_out) == (1, 2)
    assert "2 more assets are in the tables but not on this page" in html.read_text("utf-8")


def test_without_tables_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InterlaceError, match="holds no Interlace tables"):
        write_report(str(tmp_path / "none"), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
