"""The program of a PDF page that shows one image and nothing else, recognised without running it.

Only what scanners' software writes is known here: the image, and a hidden text layer over it. Every other operator,
and every form of these that two readers might take differently, is no match: such a page is left to MuPDF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BYTES = 256 << 10
"""Longest program looked at; a dense page's hidden text takes a tenth of it."""
MAX_STEPS = 5_000
"""Most operators outside text, and blocks of text: some write each word as one."""

Matrix = tuple[float, float, float, float, float, float]

_SPACE = rb"[\t\n\f\r ]"
_NUMBER = rb"[+-]?(?:\d{1,9}+(?:\.\d*+)?|\.\d++)"
_NAME = rb"/[A-Za-z0-9_.+-]++"
_STRING = rb"(?:\((?:[^()\\]|\\[\s\S])*+\)|<[0-9A-Fa-f\s]*+>)"  # strings with unescaped parentheses do not match


def _operands(count: int) -> bytes:
    return rb"(?:" + _NUMBER + _SPACE + rb"++){%d}" % count


_COLOUR = b"|".join((_operands(1) + rb"[gG]", _operands(3) + rb"(?:rg|RG)"))  # without effect: nothing is painted
_STATE = b"|".join(
    (
        _NAME + _SPACE + rb"++" + _operands(1) + rb"Tf",
        _operands(6) + rb"Tm",
        _operands(2) + rb"T[dD]",
        _operands(1) + rb"T[cwzLs]",
        rb"T\*",
        _COLOUR,
    )
)
_ARRAY = rb"\[(?:" + _SPACE + rb"|" + _STRING + rb"|" + _NUMBER + rb")*+\]"
_SHOWN = rb"(?:" + _STRING + rb"|" + _ARRAY + rb")" + _SPACE + rb"*+(?:TJ|Tj|')"
_END = rb"(?=[\t\n\f\r /\[(<]|\Z)"
_HIDDEN = rb"3" + _SPACE + rb"++Tr" + _END
_TEXT = (
    rb"BT" + _END + rb"(?:" + _SPACE + rb"++|(?:" + _STATE + rb")" + _END + rb")*+" + _HIDDEN
    + rb"(?:" + _SPACE + rb"++|(?:" + _STATE + rb"|" + _SHOWN + rb")" + _END + rb"|" + _HIDDEN + rb")*+ET"
)  # fmt: skip
_STEP = re.compile(
    _SPACE + rb"*+(?:(?P<cm>" + _operands(6) + rb"cm)|(?P<do>" + _NAME + rb")" + _SPACE + rb"++Do|(?P<q>q)|(?P<Q>Q)"
    rb"|(?P<text>" + _TEXT + rb")|" + _COLOUR + rb")" + _END + _SPACE + rb"*+"
)
_FONT = re.compile(rb"(" + _NAME + rb")" + _SPACE + rb"++" + _operands(1) + rb"Tf")


@dataclass(frozen=True, slots=True)
class SoleImage:
    """The image's resource name, where its unit square lies in the page's space, and names of hidden text's fonts."""

    name: str
    matrix: Matrix
    fonts: frozenset[str]


def sole_image(program: bytes) -> SoleImage | None:
    """What the page shows if that is one image, perhaps under invisible text; None for all else."""
    if len(program) > MAX_BYTES:
        return None
    at, matrix = 0, (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    saved: list[Matrix] = []
    shown: tuple[str, Matrix] | None = None
    fonts: set[str] = set()
    for _ in range(MAX_STEPS):
        if at == len(program):
            break
        step = _STEP.match(program, at)
        if step is None or (step["Q"] and not saved) or (step["do"] and shown):
            return None
        at = step.end()
        if step["q"]:
            saved.append(matrix)
        elif step["Q"]:
            matrix = saved.pop()
        elif step["cm"]:
            matrix = _times(step["cm"], matrix)
        elif step["do"]:
            shown = step["do"][1:].decode(), matrix
        elif step["text"]:
            fonts.update(name[1:].decode() for name in _FONT.findall(step["text"]))
    return None if shown is None or at < len(program) else SoleImage(*shown, frozenset(fonts))


def _times(cm: bytes, onto: Matrix) -> Matrix:
    """The matrix of a ``cm`` before the current one."""
    a, b, c, d, e, f = (float(number) for number in cm.split(None, 6)[:6])
    g, h, i, j, k, m = onto
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m
