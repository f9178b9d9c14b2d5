"""HTML from strangers, before MuPDF sets it in pages."""

from __future__ import annotations

import re

MAX_DEPTH = 60
"""Elements inside elements. MuPDF leaves out, without a word, what lies a hundred deep (and takes minutes for five
thousand); list items and cells, which are not counted here, count there."""

_LINKED_IMAGE = re.compile(rb"<img\b(?![^<>]*src\s*=\s*[\"']?data:)[^<>]*>", re.I)  # would be set as "[image]"
_TAG = re.compile(rb"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
_NEVER_DEEP = frozenset(
    b"area base br col embed hr img input link meta param source track wbr "  # void
    b"p li dt dd td th tr tbody thead tfoot option optgroup rp rt colgroup".split()  # end by themselves
)


def tamed(html: bytes) -> bytes:
    """The page without images that lie elsewhere, and without the tags of what is nested too deep."""
    html = _LINKED_IMAGE.sub(b"", html)
    if html.count(b"<") <= MAX_DEPTH:
        return html
    depth = 0

    def kept(tag: re.Match[bytes]) -> bytes:
        nonlocal depth
        if tag[2].lower() in _NEVER_DEEP or tag[0].endswith(b"/>"):
            return tag[0]
        if tag[1]:
            deep = depth > MAX_DEPTH
            depth = max(depth - 1, 0)
        else:
            depth += 1
            deep = depth > MAX_DEPTH
        return b"" if deep else tag[0]

    return _TAG.sub(kept, html)
