"""The upright frame: lines cut into pieces, in coordinates where text runs left to right and top to bottom.

A scan's skew is turned back, right-to-left pages are mirrored and vertical Japanese or Chinese is laid on its
side, so that everything after this file knows one direction only. `Frame.back` returns to page pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from encoders.layout.scripts import advance, is_right_to_left, is_unspaced, mostly_ideographs
from encoders.results import Line, Quad, Word

CLOSING = tuple("，。、；：！？）」』】》〉”’,.;:!?)")  # no line begins with one of these
WIDE_CLOSING = tuple("，。、；：！？）」』】》〉")  # their ink fills half of their place
SPLIT_GAP = 0.85  # em; wider gaps between words cut a line into pieces, which a row joins again if nothing needs them


@dataclass(slots=True, eq=False)
class Piece:
    """A run of words of one line that no wide gap interrupts, upright. ``em`` is its font size in pixels."""

    line: int
    words: tuple[int, ...]  # indices into the line's words, in the order given; () for a line without words
    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    em: float
    lead: float = 0.0  # width of its first word: would it have fitted on the row before?
    spans: tuple[tuple[float, float], ...] = ()  # left and right of each of its words
    source: Line | None = None
    bullet: bool = False  # the image shows a bullet before it that is not in the text

    @property
    def cx(self) -> float:
        """Horizontal centre."""
        return (self.x0 + self.x1) / 2

    @property
    def cy(self) -> float:
        """Vertical centre."""
        return (self.y0 + self.y1) / 2

    def split(self, bounds: Sequence[float] | None, least: float) -> list[Piece]:
        """Cut where a gap of ``least`` em and more between two words lies on one of the x positions ``bounds``; for
        None, at every such gap."""
        source = self.source
        if source is None or len(self.words) < 2:
            return [self]
        order = sorted(range(len(self.words)), key=lambda i: self.spans[i][0])
        slack = 0.3 * self.em
        runs = [[order[0]]]
        for a, b in pairwise(order):
            low, high = self.spans[a][1], self.spans[b][0]
            on_bound = bounds is None or any(low - slack <= bound <= high + slack for bound in bounds)
            if high - low >= least * self.em and on_bound:
                runs.append([b])
            else:
                runs[-1].append(b)
        if len(runs) == 1:
            return [self]
        return [self._part(source, sorted(run)) for run in runs]

    def _part(self, source: Line, run: Sequence[int]) -> Piece:
        words = tuple(self.words[i] for i in run)
        spans = tuple(self.spans[i] for i in run)
        text = slice_text(source.text, source.words, words)
        left, right = min(low for low, _ in spans), max(high for _, high in spans)
        lead = spans[0][1] - spans[0][0]
        return Piece(self.line, words, text, left, self.y0, right, self.y1, self.em, lead, spans, source)


@dataclass(frozen=True, slots=True)
class Frame:
    """A rotation or mirroring from page pixels to upright coordinates."""

    matrix: NDArray[np.float64]  # [2, 2]
    angle: float  # radians of skew, clockwise
    mirrored: bool

    def upright(self, quads: NDArray[np.float64]) -> NDArray[np.float64]:
        """[n, 4, 2] corners in page pixels to [n, 4] upright left, top, right, bottom."""
        turned = quads @ self.matrix.T
        return np.concatenate([turned.min(axis=1), turned.max(axis=1)], axis=1)

    def back(self, x0: float, y0: float, x1: float, y1: float) -> Quad:
        """An upright box as a quad in page pixels, its corners clockwise from the top left as it is read."""
        if self.mirrored:
            x0, x1 = x1, x0
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ np.linalg.inv(self.matrix).T
        a, b, c, d, e, f, g, h = (round(float(value), 2) for value in corners.reshape(-1))
        return (a, b, c, d, e, f, g, h)


def finite(lines: Sequence[Line]) -> list[Line]:
    """The lines that have text and a place. A line whose own quad is not finite gets the hull of its words."""
    kept = []
    for line in lines:
        words = tuple(word for word in line.words if _is_finite(word.quad) and word.text.strip())
        if _is_finite(line.quad):
            corners = line.quad
        elif words:
            xs = [x for word in words for x in word.quad[0::2]]
            ys = [y for word in words for y in word.quad[1::2]]
            corners = (min(xs), min(ys), max(xs), min(ys), max(xs), max(ys), min(xs), max(ys))
        else:
            continue
        if not line.text.strip():
            continue
        if corners is not line.quad or len(words) != len(line.words):
            line = Line(line.text, corners, line.confidence, words, line.role, line.paragraph, line.script)
        kept.append(line)
    return kept


def _is_finite(corners: Sequence[float]) -> bool:
    return len(corners) == 8 and (math.isfinite(sum(corners)) or all(map(math.isfinite, corners)))


def frame_of(lines: Sequence[Line]) -> Frame:
    """The frame in which most of the page's text is upright."""
    if not lines:
        return Frame(np.eye(2), 0.0, False)
    quads = np.array([line.quad for line in lines], np.float64).reshape(-1, 4, 2)
    lengths = np.array([max(len(line.text), 1) for line in lines], np.float64)
    base = (quads[:, 1] + quads[:, 2] - quads[:, 0] - quads[:, 3]) / 2  # left to right through the middle
    rise = (quads[:, 3] + quads[:, 2] - quads[:, 0] - quads[:, 1]) / 2
    width, height = np.hypot(base[:, 0], base[:, 1]), np.hypot(rise[:, 0], rise[:, 1])
    text = "".join(line.text for line in lines[:400])
    long = [len(line.text) > 2 for line in lines]
    standing = (height > 1.8 * width) & np.array(long)
    if lengths[standing].sum() > 0.6 * lengths.sum() and mostly_ideographs(text):
        return Frame(np.array([[0.0, 1.0], [-1.0, 0.0]]), 0.0, False)  # columns from the right become rows from the top
    wide = (width > 4 * height) & (width > 0)
    angle = 0.0
    if wide.any():
        angles = np.arctan2(base[wide, 1], base[wide, 0])
        near = np.abs(angles) < math.radians(20)
        if near.any():
            angle = _weighted_median(angles[near], width[wide][near])
    if abs(angle) < math.radians(0.03):
        angle = 0.0
    cos, sin = math.cos(-angle), math.sin(-angle)
    matrix = np.array([[cos, -sin], [sin, cos]])
    mirrored = is_right_to_left(text)
    if mirrored:
        matrix = np.array([[-1.0, 0.0], [0.0, 1.0]]) @ matrix
    return Frame(matrix, angle, mirrored)


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(total, total[-1] / 2))])


def pieces_of(lines: Sequence[Line], frame: Frame) -> tuple[list[Piece], list[int]]:
    """Cut every line at its wide gaps. Returns the pieces, and the indices of lines that stand or lie otherwise."""
    if not lines:
        return [], []
    quads = np.array([line.quad for line in lines], np.float64).reshape(-1, 4, 2)
    boxes = frame.upright(quads).tolist()
    corners = [word.quad for line in lines for word in line.words]
    word_boxes = frame.upright(np.array(corners, np.float64).reshape(-1, 4, 2)).tolist() if corners else []
    pieces: list[Piece] = []
    astray: list[int] = []
    start = 0
    for index, (line, runs_astray) in enumerate(zip(lines, _run_astray(lines, quads, frame), strict=True)):
        own = word_boxes[start : start + len(line.words)]
        start += len(line.words)
        if runs_astray:
            astray.append(index)
        else:
            pieces.extend(_cut(index, line, boxes[index], own))
    return pieces, astray


def _run_astray(lines: Sequence[Line], quads: NDArray[np.float64], frame: Frame) -> list[bool]:
    """Which lines' text runs in another direction than the page's, like a stamp or a label on an axis."""
    along = (quads[:, 1] + quads[:, 2] - quads[:, 0] - quads[:, 3]) / 2
    across = (quads[:, 3] + quads[:, 2] - quads[:, 0] - quads[:, 1]) / 2
    width, height = np.hypot(along[:, 0], along[:, 1]), np.hypot(across[:, 0], across[:, 1])
    if frame.matrix[0, 0] == 0.0:
        astray = width > 2.5 * height
    else:
        turned = np.abs(along @ frame.matrix.T)
        slanted = turned[:, 1] > 0.36 * turned[:, 0]  # 20 degrees
        astray = (height > 2.5 * width) | ((width > height) & slanted)
    long = np.array([len(line.text.strip()) >= 3 for line in lines])
    return [bool(one) for one in astray & long & (np.maximum(width, height) > 0)]


def font_size(text: str, width: float, height: float) -> float:
    """Font size in pixels, from the box of a word or line: what its letters usually measure, checked by its height.

    Height alone is a poor measure of an OCR box, which is lower around words without b, d, g or p.
    """
    tall = max(height * 0.85, 1e-3)
    units, letters = advance(text)
    if letters < 3 or units <= 0 or width <= 0:
        return tall
    wide = width / units
    return math.sqrt(min(max(wide, tall * 0.6), tall * 1.7) * tall)


def _cut(index: int, line: Line, box: Sequence[float], words: Sequence[Sequence[float]]) -> list[Piece]:
    x0, y0, x1, y1 = box
    if not words:
        em = font_size(line.text, x1 - x0, y1 - y0)
        first = line.text.split(maxsplit=1)[0]
        lead = (x1 - x0) * len(first) / max(len(line.text), 1)
        return [Piece(index, (), line.text, x0, y0, x1, y1, em, lead)]
    order = sorted(range(len(words)), key=lambda i: words[i][0])
    em = font_size("".join(word.text for word in line.words), sum(w[2] - w[0] for w in words), y1 - y0)
    runs = [[order[0]]]
    right = words[order[0]][2]
    evenly = _is_justified(words, order, em)
    for before, i in pairwise(order):
        blank = 0.5 * em if line.words[before].text.endswith(WIDE_CLOSING) else 0.0
        if not evenly and words[i][0] - right - blank > SPLIT_GAP * em:
            runs.append([i])
        else:
            runs[-1].append(i)
        right = max(right, words[i][2])
    if len(runs) == 1:
        spans = tuple((word[0], word[2]) for word in words)
        lead = max(words[0][2] - words[0][0], _first_word_width(line, x1 - x0))
        if is_unspaced(line.text[0]):
            lead = em * (2 if line.text[1:2] in CLOSING else 1)  # a line may end after any character but before these
        return [Piece(index, tuple(range(len(words))), line.text, x0, y0, x1, y1, em, lead, spans, line)]
    pieces = []
    for run in runs:
        picked = tuple(sorted(run))
        left, end = min(words[i][0] for i in run), max(words[i][2] for i in run)
        top, bottom = min(words[i][1] for i in run), max(words[i][3] for i in run)
        first_width = words[picked[0]][2] - words[picked[0]][0]
        text = slice_text(line.text, line.words, picked)
        spans = tuple((words[i][0], words[i][2]) for i in picked)
        pieces.append(Piece(index, picked, text, left, top, end, bottom, em, first_width, spans, line))
    return pieces


def _is_justified(words: Sequence[Sequence[float]], order: Sequence[int], em: float) -> bool:
    """Whether the gaps are wide because the line was stretched: four and more of them, all alike."""
    gaps = sorted(words[b][0] - words[a][2] for a, b in pairwise(order))
    return len(gaps) >= 4 and gaps[0] > 0.5 * em and gaps[-1] < min(1.5 * gaps[0], 1.8 * em)


def _first_word_width(line: Line, width: float) -> float:
    """What the first word should measure by its letters: a recogniser's word boxes are off by a letter or so."""
    units, letters = advance(line.text)
    first, known = advance(line.words[0].text)
    if letters < 12 or not known:
        return 0.0
    return width * first / (units + 0.28 * line.text.count(" "))


def slice_text(text: str, words: Sequence[Word], picked: Sequence[int]) -> str:
    """The stretch of a line's text that holds some of its words, with the spacing that the line has."""
    starts, at = [], 0
    for word in words:
        found = text.find(word.text, at)
        if found < 0:
            return " ".join(words[i].text for i in picked)
        starts.append(found)
        at = found + len(word.text)
    if list(picked) != list(range(picked[0], picked[-1] + 1)):
        return " ".join(words[i].text for i in picked)
    return text[starts[picked[0]] : starts[picked[-1]] + len(words[picked[-1]].text)].strip()
