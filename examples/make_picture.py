"""Make the README's picture out of the demo's report: its head on the left, a scan and a call on the right.

python examples/make_picture.py demo-out/report.html docs/report.png
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT, GAP = 1120, 1220, 24
SPLIT = 640
# Paths as in the checkout, wherever that is.
SHORTEN = r"""() => document.querySelectorAll('.path').forEach(node => {
  node.textContent = node.textContent.replace(/^.*\/(examples\/.*|[^/]+\/lake)$/, '$1');
})"""
SHOW = """name => [...document.querySelectorAll('.asset')].find(asset => asset.querySelector('h3').textContent === name)
  .scrollIntoView({block: 'start', behavior: 'instant'})"""


def look(page: Page) -> Image.Image:
    page.wait_for_timeout(900)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def at(page: Page, name: str, height: int) -> Image.Image:
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.evaluate(SHOW, name)
    return look(page)


def main(report: str, target: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(Path(report).absolute().as_uri())
        page.evaluate(SHORTEN)
        head = look(page)
        page.add_style_tag(content=".tools { visibility: hidden } html { scroll-padding-top: 1.2rem }")
        scan = at(page, "delivery note 88213.jpg", SPLIT)
        call = at(page, "2024-04-23 call with printer.mp3", HEIGHT - SPLIT)
        browser.close()
    picture = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), (223, 219, 209))
    for part, place in ((head, (0, 0)), (scan, (WIDTH + GAP, 0)), (call, (WIDTH + GAP, SPLIT))):
        picture.paste(part, place)
    picture = picture.resize((1700, round(HEIGHT * 1700 / picture.width)), Image.Resampling.LANCZOS)
    picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(
        target, optimize=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
