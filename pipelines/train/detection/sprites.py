"""Drawings as pixels: ``python -m pipelines.train.detection.sprites PACKAGES OUT``.

Writes sheets of 256 drawings each (lossless WebP; icons 64 px, emoji 96 px, ground transparent) and ``sprites.json``,
which says for each drawing its sheet, place, set, names and whether training may see it.
"""

from __future__ import annotations

import argparse
import io
import json
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from pipelines.train.detection.drawings import Drawing, drawings, held_out_categories, is_held_out

ACROSS = 16
ICON, EMOJI = 64, 96


def render_sheet(page: Page, some: list[Drawing], size: int) -> Image.Image:
    """Up to 256 drawings in a grid, RGBA on transparent ground."""
    cells = []
    for number, drawing in enumerate(some):
        svg = re.sub(r"<\?xml.*?\?>|<!--.*?-->", "", drawing.svg, flags=re.S)
        # Ids of gradients are unique within a drawing only.
        svg = re.sub(r'\bid="', f'id="d{number}-', svg)
        svg = re.sub(r"url\(#", f"url(#d{number}-", svg)
        svg = re.sub(r'href="#', f'href="#d{number}-', svg)
        cells.append(f"<div>{svg}</div>")
    style = (
        f"body{{margin:0;display:grid;grid-template-columns:repeat({ACROSS},{size}px)}}"
        f"div{{width:{size}px;height:{size}px;padding:2px;box-sizing:border-box;overflow:hidden}}"
        "svg{width:100%;height:100%;display:block}"
    )
    rows = -(-len(some) // ACROSS)
    page.set_viewport_size({"width": ACROSS * size, "height": rows * size})
    page.set_content(f"<style>{style}</style>{''.join(cells)}", wait_until="load")
    return Image.open(io.BytesIO(page.screenshot(omit_background=True))).convert("RGBA")


def main() -> None:
    """Render all drawings."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("packages", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--browser", default="/usr/bin/chromium")
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    categories = held_out_categories(chosen.packages)
    everything = list(drawings(chosen.packages))
    rows, number = [], 0
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chosen.browser, args=["--no-sandbox"])
        page = chromium.new_page()
        for emoji, size in ((False, ICON), (True, EMOJI)):
            for held in (False, True):
                kind = [d for d in everything if d.emoji == emoji and is_held_out(d, categories) == held]
                for start in range(0, len(kind), ACROSS * ACROSS):
                    some = kind[start : start + ACROSS * ACROSS]
                    sheet = render_sheet(page, some, size)
                    name = f"{'held' if held else 'train'}-{'emoji' if emoji else 'icon'}-{number:03}.webp"
                    image = sheet if emoji else sheet.getchannel("A")
                    image.save(chosen.out / name, lossless=not emoji, quality=88, alpha_quality=80, method=4)
                    for place, d in enumerate(some):
                        rows.append(
                            {"sheet": name, "place": place, "size": size, "set": d.source, "names": d.names,
                             "emoji": emoji, "group": d.group, "held_out": held}
                        )  # fmt: skip
                    number += 1
                    print(name, len(some), flush=True)
        chromium.close()
    (chosen.out / "sprites.json").write_text(json.dumps({"held_out": categories, "sprites": rows}), "utf-8")
    print(len(rows), "drawings,", len(categories), "categories held out")


if __name__ == "__main__":
    main()
