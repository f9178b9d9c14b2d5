"""Word and PowerPoint files as HTML, which MuPDF then sets in pages.

MuPDF opens these files by itself, but drops headings, list marks, tables, page breaks and the borders of slides.
"""

from __future__ import annotations

import base64
import html
import posixpath
import re
from collections.abc import Iterator

from encoders.failures import FailureCategory, MediaError
from encoders.media.archive import BROKEN, Element, open_archive, read_xml
from encoders.media.sniff import DOCX

MAX_PICTURES = 256 << 20
"""Bytes of pictures taken over from one file; the rest are left out."""

STYLE = (
    "<style>table{border-collapse:collapse}td{border:1px solid black;padding:2px;vertical-align:top}"
    "img{max-width:100%}div.page{page-break-after:always}</style>"
)
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_HEADING = re.compile(r"(?:heading|title)\s*(\d?)", re.I)
MAX_SPAN = 200  # columns of a cell
MAX_DEPTH = 100
"""Blocks inside blocks; deeper nesting is cut off. MuPDF sets HTML by recursion, and its stack has an end."""


class Package:
    """An office file: its XML parts by name, without namespaces, and the relations between them."""

    def __init__(self, path: str, max_unpacked: int) -> None:
        self._zip = open_archive(path, max_unpacked)
        self._left = MAX_PICTURES

    def xml(self, name: str) -> Element:
        """The root of a part. Raises MediaError when it is missing, broken or too large."""
        root = read_xml(self._zip, name)
        for element in root.iter():
            element.tag = _local(element.tag)
            for key in list(element.attrib):
                # Relation ids keep their prefix: a slide has both an id and an r:id.
                value = element.attrib.pop(key)
                element.attrib[("r:" if "officeDocument/2006/relationships}" in key else "") + _local(key)] = value
        return root

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return name in self._zip.NameToInfo

    def relations(self, name: str) -> dict[str, str]:
        """Relation id → name of the part that it leads to, for the relations of a part inside the archive."""
        folder, base = posixpath.split(name)
        relations = f"{folder}/_rels/{base}.rels"
        if not self.has(relations):
            return {}
        return {
            link.attrib["Id"]: posixpath.normpath(posixpath.join("/" + folder, link.attrib["Target"])).lstrip("/")
            for link in self.xml(relations)
            if link.attrib.get("TargetMode") != "External" and {"Id", "Target"} <= link.attrib.keys()
        }

    def picture(self, name: str) -> str:
        """A picture as an HTML element; empty when it is missing, broken, of another format or over the limit."""
        kind = _PICTURES.get(posixpath.splitext(name)[1].lower())
        if kind is None or not self.has(name) or self._zip.getinfo(name).file_size > self._left:
            return ""
        self._left -= self._zip.getinfo(name).file_size
        try:
            data = self._zip.read(name)
        except BROKEN:
            return ""
        return f'<p><img src="data:{kind};base64,{base64.b64encode(data).decode()}"/></p>'


def as_html(path: str, media_type: str, max_unpacked: int) -> bytes:
    """The whole file as one HTML page. Raises MediaError."""
    package = Package(path, max_unpacked)
    pages = _word(package) if media_type == DOCX else _slides(package)
    return f'<html><head><meta charset="utf-8"/>{STYLE}</head><body>{"".join(pages)}</body></html>'.encode()


def _word(package: Package) -> Iterator[str]:
    main = "word/document.xml"
    body = package.xml(main).find("body")
    if body is None:
        raise MediaError(FailureCategory.CORRUPT, "the office file has no body")
    flow = _Flow(package, package.relations(main), _heading_levels(package))
    yield from _paged("".join(flow.blocks(body)).split(_BREAK))
    for notes in ("footnotes", "endnotes"):
        if package.has(f"word/{notes}.xml"):
            yield "".join(flow.blocks(package.xml(f"word/{notes}.xml")))


def _slides(package: Package) -> Iterator[str]:
    main = "ppt/presentation.xml"
    links = package.relations(main)
    slides = []
    for slide in package.xml(main).iter("sldId"):
        name = links.get(slide.attrib.get("r:id", ""), "")
        if package.has(name):
            flow = _Flow(package, package.relations(name), {})
            slides.append("".join(flow.blocks(package.xml(name))) or "<p>&#160;</p>")
    return _paged(slides)


_BREAK = "\x0c"


def _paged(pages: list[str]) -> Iterator[str]:
    """MuPDF breaks pages after a block, not before one; and none is wanted after the last."""
    yield from (f'<div class="page">{page}<p>&#160;</p></div>' for page in pages[:-1])
    yield from pages[-1:]


class _Flow:
    """Walks the tree of a document or slide; both write paragraphs of runs and tables of cells alike."""

    def __init__(self, package: Package, links: dict[str, str], headings: dict[str, int]) -> None:
        self.package, self.links, self.headings = package, links, headings
        self._depth = 0

    def blocks(self, parent: Element) -> Iterator[str]:
        """Paragraphs, tables and pictures in their order; shapes of a slide from top to bottom."""
        if self._depth >= MAX_DEPTH:
            return
        self._depth += 1
        yield from self._blocks(parent)
        self._depth -= 1

    def _blocks(self, parent: Element) -> Iterator[str]:
        children = list(parent)
        if parent.tag == "spTree":
            children.sort(key=_top)
        for element in children:
            if element.tag == "p":
                yield self.paragraph(element)
            elif element.tag == "tbl":
                yield self.table(element)
            elif element.tag == "sp" and _is_title(element):
                yield "<h1>" + " ".join(self.text(paragraph) for paragraph in element.iter("p")) + "</h1>"
            elif element.tag not in ("Fallback", "del", "sectPr"):
                yield from self.blocks(element)
                if "r:embed" in element.attrib:
                    yield self.package.picture(self.links.get(element.attrib["r:embed"], ""))

    def paragraph(self, element: Element) -> str:
        """A paragraph as heading, list item or text, with the text boxes and pictures anchored in it after it."""
        text, properties = self.text(element), element.find("pPr")
        style = properties.find("pStyle") if properties is not None else None
        level = self.headings.get(style.attrib.get("val", ""), 0) if style is not None else 0
        anchored = "".join(
            "".join(self.blocks(inner)) for kind in ("drawing", "pict", "object") for inner in element.iter(kind)
        )
        breaks = _BREAK * (properties is not None and properties.find("pageBreakBefore") is not None)
        if level:
            return f"{breaks}<h{level}>{text}</h{level}>{anchored}"
        if properties is not None and properties.find("numPr") is not None:
            return f"{breaks}<ul><li>{text}</li></ul>{anchored}"
        if _BREAK in text:
            return breaks + _BREAK.join(f"<p>{piece}</p>" for piece in text.split(_BREAK)) + anchored
        return f"{breaks}<p>{text}</p>{anchored}" if text or anchored else breaks

    def text(self, paragraph: Element, depth: int = 0) -> str:
        """The runs of a paragraph; what is anchored in it, deleted or a fallback is passed over."""
        out = []
        for element in paragraph:
            if element.tag == "t":
                out.append(html.escape(element.text or ""))
            elif element.tag == "br":
                out.append(_BREAK if element.attrib.get("type") == "page" else "<br/>")
            elif element.tag in ("tab", "cr"):
                out.append(" ")
            elif element.tag == "noBreakHyphen":
                out.append("-")
            elif element.tag not in ("drawing", "pict", "object", "del", "Fallback", "pPr", "rPr"):
                out.append(self.text(element, depth + 1) if depth < MAX_DEPTH else "")
        return "".join(out)

    def table(self, table: Element) -> str:
        """A table with its cells; those merged away by a neighbour are left out."""
        rows = []
        for row in table.findall("tr"):
            cells = []
            for cell in row.findall("tc"):
                merged = cell.find("tcPr/gridSpan")
                wide = merged.attrib.get("val", "1") if merged is not None else cell.attrib.get("gridSpan", "1")
                if "hMerge" not in cell.attrib:
                    span = max(1, min(number(wide, 1), MAX_SPAN))
                    cells.append(f'<td colspan="{span}">{"".join(self.blocks(cell))}</td>')
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return f"<table>{''.join(rows)}</table>"


def _heading_levels(package: Package) -> dict[str, int]:
    """Style id → heading level; ids are in the writer's language, the names of built-in styles are English."""
    if not package.has("word/styles.xml"):
        return {f"Heading{level}": level for level in range(1, 7)} | {"Title": 1}
    levels = {}
    for style in package.xml("word/styles.xml").iter("style"):
        name = style.find("name")
        match = _HEADING.fullmatch(name.attrib.get("val", "")) if name is not None else None
        if match:
            levels[style.attrib.get("styleId", "")] = min(int(match[1] or 1), 6) or 1
    return levels


def _is_title(shape: Element) -> bool:
    holder = shape.find("nvSpPr/nvPr/ph")
    return holder is not None and holder.attrib.get("type") in ("title", "ctrTitle")


def _top(shape: Element) -> tuple[bool, int]:
    """Titles first, then by the upper edge; shapes without one stand where the layout puts them, below the title."""
    offset = next(shape.iter("off"), None)
    return not _is_title(shape), number(offset.attrib.get("y", "0")) if offset is not None else 0


def number(text: str, otherwise: int = 0) -> int:
    """A whole number as an attribute has it; one broken attribute must not cost the file."""
    try:
        return int(text)
    except ValueError:
        return otherwise


def _local(name: str) -> str:
    return name.rpartition("}")[2]
