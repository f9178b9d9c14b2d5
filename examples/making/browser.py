"""HTML to PDF, to pixels, and to the text that a reader should find: one Chromium for all pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pymupdf
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

from making.scans import METADATA

FOLDER = Path(__file__).parent
SOFT_HYPHEN = "\u00ad"
_BLOCKS = """() => {
  const seen = [], out = {blocks: [], tables: [], left_out: []};
  const text = node => node.innerText.replaceAll('\\u00ad', '').split('\\n').map(s => s.trim()).filter(Boolean);
  for (const node of document.querySelectorAll('[data-role]')) out.left_out.push(...text(node));
  for (const table of document.querySelectorAll('table'))
    out.tables.push([...table.rows].map(row => [...row.cells].map(cell => cell.innerText.trim())));
  const walk = node => {
    if (node.nodeType === 3) { if (node.data.trim()) out.blocks.push(node.data.trim()); return; }
    if (node.nodeType !== 1 || node.dataset.role || ['STYLE', 'SVG', 'svg', 'META'].includes(node.tagName)) return;
    if (node.tagName === 'TR') {
      out.blocks.push([...node.cells].map(cell => cell.innerText.trim()).join(' '));
      return;
    }
    const inline = [...node.childNodes].every(kid => kid.nodeType === 3 || ['BR', 'B'].includes(kid.tagName));
    if (inline && !node.querySelector('table')) { if (node.innerText?.trim()) out.blocks.push(...text(node)); return; }
    for (const kid of node.childNodes) walk(kid);
  };
  walk(document.body);
  return out;
}"""

# A soft hyphen stays in a PDF's text even where nothing is broken. Where the line does break it becomes a
# hyphen, as typesetters print it; elsewhere it goes.
_SETTLE_HYPHENS = """broken => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    walker.currentNode.data = walker.currentNode.data.replace(/\\u00ad/g, () => broken.shift() ? '-' : '');
}"""


@dataclass(frozen=True)
class Known:
    """What a page says: its blocks in reading order, its tables, and what stands in headers and footers."""

    text: str
    tables: list[list[list[str]]]
    left_out: list[str]


class Browser:
    """A page of headless Chromium that turns the HTML files of this folder into media."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
        )

    def show(self, name: str, **values: Any) -> Known:
        """Load one HTML file or template and return what it says."""
        self._page.set_content(self._templates.get_template(name).render(**values), wait_until="load")
        found = self._page.evaluate(_BLOCKS)
        text = "\n".join(re.sub(r"\s+", " ", block) for block in found["blocks"])
        return Known(text, found["tables"], found["left_out"])

    def pdf(self, header: str = "", footer: str = "") -> bytes:
        """The loaded page as PDF without dates or ids, so that the same page gives the same bytes."""
        raw = self._print(header, footer)
        with pymupdf.open(stream=raw, filetype="pdf") as document:
            text = "".join(page.get_text() for page in document)
        if SOFT_HYPHEN in text:
            after = [text[match.end() : match.end() + 1] for match in re.finditer(SOFT_HYPHEN, text)]
            self._page.evaluate(_SETTLE_HYPHENS, [following in "\u2010\n" for following in after])
            raw = self._print(header, footer)
        return tidy(raw)

    def _print(self, header: str, footer: str) -> bytes:
        return self._page.pdf(
            prefer_css_page_size=True,
            print_background=True,
            display_header_footer=bool(header or footer),
            header_template=header or "<span></span>",
            footer_template=footer or "<span></span>",
            tagged=False,
        )

    def pixels(self, width: int, height: int, scale: float = 1.0) -> NDArray[np.uint8]:
        """The loaded page as it looks in a window, [height, width, 3] RGB."""
        self._page.set_viewport_size({"width": width, "height": height})
        shot = cv2.imdecode(np.frombuffer(self._page.screenshot(), np.uint8), cv2.IMREAD_COLOR_RGB)
        if scale != 1.0:
            shot = cv2.resize(shot, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.asarray(shot, np.uint8)


def tidy(raw: bytes) -> bytes:
    """A PDF with fixed metadata and id, and subset fonts packed."""
    with pymupdf.open(stream=raw, filetype="pdf") as document:
        document.set_metadata(METADATA)
        return bytes(document.tobytes(garbage=4, deflate=True, use_objstms=1, no_new_id=True))


def rasterise(pdf: bytes, dpi: int) -> list[NDArray[np.uint8]]:
    """Every page of a PDF as gray pixels [height, width]."""
    with pymupdf.open(stream=pdf, filetype="pdf") as document:
        pages = [page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY) for page in document]
    return [np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.stride).copy() for pixmap in pages]


@contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """A browser for the time of a with block."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--font-render-hinting=none"]
        )
        try:
            yield Browser(chromium.new_page())
        finally:
            chromium.close()
