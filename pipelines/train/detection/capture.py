"""Pages to screenshots and truth: ``python -m pipelines.train.detection.capture PACKAGES OUT --pages 400 --seed 1``.

Every page is shown in headless Chromium; boxes, kinds, names and the places of labels are read from the DOM. Writes
``N.webp`` and one row of ``pages.jsonl`` per view: {image, width, height, kit, split, elements: [{kind, box, name, icon,
label}]}, boxes [x0, y0, x1, y1] in pixels of the image.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from pipelines.train.detection.documents import PAPER, document
from pipelines.train.detection.drawings import (
    HELD_OUT_ICONS,
    Drawing,
    drawings,
    held_out_categories,
    is_held_out,
    later_icons,
)
from pipelines.train.detection.kits import KITS
from pipelines.train.detection.pages import VIEWPORTS, interface

_DOCUMENTS = 0.15
_TRUTH = """() => {
  const out = [], W = innerWidth, H = innerHeight;
  const tight = node => { const r = document.createRange(); r.selectNodeContents(node); return r.getBoundingClientRect(); };
  for (const node of document.querySelectorAll('[data-kind]')) {
    const style = getComputedStyle(node), kind = node.dataset.kind;
    if (style.visibility === 'hidden' || style.display === 'none') continue;
    let r = node.getBoundingClientRect(), box = [r.left, r.top, r.right, r.bottom], drawn = false;
    if (kind === 'heading') { r = tight(node); box = [r.left, r.top, r.right, r.bottom]; }
    if (node.tagName === 'INPUT' && ['checkbox', 'radio'].includes(node.type) && style.opacity === '0') {
      if (!node.nextElementSibling) continue;
      const n = node.nextElementSibling.getBoundingClientRect(), zoom = n.width ? n.height / node.nextElementSibling.offsetHeight : 1;
      const s = (node.type === 'radio' ? 16 : 18) * zoom, top = n.top + (n.height - s) / 2;
      box = [n.left, top, n.left + s, top + s]; drawn = true;
    }
    if (kind === 'slider' && box[3] - box[1] < 16) {  // the thumb is higher than the track that has the box
      const middle = (box[1] + box[3]) / 2; box[1] = middle - 8; box[3] = middle + 8;
    }
    const area = (box[2] - box[0]) * (box[3] - box[1]);
    const cut = [Math.max(0, box[0]), Math.max(0, box[1]), Math.min(W, box[2]), Math.min(H, box[3])];
    const w = cut[2] - cut[0], h = cut[3] - cut[1];
    if (w < 5 || h < 3 || w * h < 0.5 * area) continue;
    if (!drawn && kind !== 'stamp') {
      const hit = document.elementFromPoint((cut[0] + cut[2]) / 2, (cut[1] + cut[3]) / 2);
      if (!hit || !(node.contains(hit) || hit.contains(node))) continue;
    }
    let label = null;
    if (node.dataset.label) {
      const l = document.getElementById(node.dataset.label), b = l ? tight(l) : null;
      if (b && b.width > 2 && b.left < W && b.top < H && b.top >= 0) label = [b.left, b.top, b.right, b.bottom];
    }
    out.push({kind, box: cut, name: node.dataset.name || '', icon: node.dataset.icon || '', label});
  }
  return out;
}"""


def shoot(page: Page) -> tuple[Image.Image, list[dict[str, Any]]]:
    """What is shown now, as pixels and as truth."""
    elements = page.evaluate(_TRUTH)
    return Image.open(io.BytesIO(page.screenshot(type="jpeg", quality=95))).convert("RGB"), elements


def chosen_drawings(packages: Path, unseen: bool) -> tuple[list[Drawing], list[Drawing]]:
    """Icons and emoji for pages: those that training may show, or icons of the held-out set."""
    categories = held_out_categories(packages)
    icons, pictures = [], []
    for drawing in drawings(packages):
        held = is_held_out(drawing, categories)
        if drawing.emoji:
            if not held and drawing.source != "fluent-emoji":  # those take Chromium long to draw
                pictures.append(drawing)
        elif (drawing.source == HELD_OUT_ICONS) if unseen else not held:
            icons.append(drawing)
    return icons, pictures


def main() -> None:
    """Generate and capture pages."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("packages", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--pages", type=int, default=400)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--unseen", action="store_true", help="held-out kits and icons, interfaces only")
    options.add_argument(
        "--later", action="store_true", help="with --unseen: the kits and icons kept for the last reading"
    )
    options.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    options.add_argument("--quality", type=int, default=72)
    options.add_argument("--browser", default="/usr/bin/chromium")
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    icons, pictures = chosen_drawings(chosen.packages, chosen.unseen)
    if chosen.later:
        icons = later_icons(chosen.packages)
    kits = [kit for kit in KITS if kit.held_out == chosen.unseen and kit.later == chosen.later]
    started = time.monotonic()
    with (
        sync_playwright() as playwright,
        (chosen.out / f"pages-{chosen.seed}.jsonl").open("w", encoding="utf-8") as rows,
    ):
        chromium = playwright.chromium.launch(executable_path=chosen.browser, args=["--no-sandbox"])
        page = chromium.new_page()
        page.route("**/*", lambda route: route.abort())
        for number in range(chosen.pages):
            rng = random.Random(f"{chosen.seed}-{number}")
            if time.monotonic() - started > chosen.seconds:
                break
            paper = not chosen.unseen and rng.random() < _DOCUMENTS
            kit = kits[number % len(kits)] if chosen.unseen else rng.choice(kits)
            if paper:
                views, markup = [PAPER], document(rng, icons, pictures)
            else:
                views = rng.sample(VIEWPORTS, 2) if not chosen.unseen else [rng.choice(VIEWPORTS)]
                markup = interface(rng, kit, chosen.packages, icons, pictures)
            page.set_content(markup, wait_until="load")
            for view, (width, height) in enumerate(views):
                page.set_viewport_size({"width": width, "height": height})
                if view:  # the other view shows another part of the page
                    page.evaluate("scrollTo(0, document.documentElement.scrollHeight * 0.4)")
                image, elements = shoot(page)
                if len(elements) < 3:
                    continue
                name = f"{chosen.seed}-{number}-{view}.webp"
                image.save(chosen.out / name, quality=chosen.quality, method=2)
                row = {
                    "image": name,
                    "width": image.width,
                    "height": image.height,
                    "kit": "paper" if paper else kit.name,
                    "elements": elements,
                }
                rows.write(json.dumps(row) + "\n")
            if number % 50 == 49:
                print(f"{number + 1} pages, {time.monotonic() - started:.0f} s", flush=True)
        chromium.close()


if __name__ == "__main__":
    main()
