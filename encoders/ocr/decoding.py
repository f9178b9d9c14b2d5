"""From the recogniser's steps to text, and from its text to words with their places on the line."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.ocr.geometry import Corners, as_quad, part_of
from encoders.ocr.networks import STEP
from encoders.results import Line, Word

COLUMN_GAP = 44.0
"""Crop pixels (a line is 48 high) from which a gap between two words parts columns."""

END_MARGIN, HEIGHT_MARGIN = 4.0, 0.1
"""Crop pixels added at a line's ends, and the share of the crop's height taken off above and below."""


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line and which of the recogniser's steps it came from."""

    line: Line
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A line as read: one text, and for each character its confidence and its centre in crop pixels."""

    characters: tuple[str, ...]
    confidences: NDArray[np.float32]
    centres: NDArray[np.float32]

    @property
    def text(self) -> str:
        """The characters joined."""
        return "".join(self.characters)

    @property
    def confidence(self) -> float:
        """Mean over the characters; 0 when nothing was read."""
        return float(self.confidences.mean()) if len(self.characters) else 0.0


def decode(symbols: NDArray[np.int64], confidences: NDArray[np.float32], alphabet: list[str]) -> Reading:
    """CTC's best path of one line: repeats merged, blanks dropped, spaces at the ends cut off."""
    changes = np.flatnonzero(np.diff(symbols, prepend=-1))
    ends = np.append(changes[1:], len(symbols))
    runs = [(int(a), int(b)) for a, b in zip(changes, ends) if symbols[a] != 0]
    while runs and alphabet[symbols[runs[0][0]]].isspace():
        runs.pop(0)
    while runs and alphabet[symbols[runs[-1][0]]].isspace():
        runs.pop()
    return Reading(
        tuple(alphabet[symbols[a]] for a, _ in runs),
        np.array([confidences[a] for a, _ in runs], np.float32),
        np.array([(a + b) / 2 * STEP for a, b in runs], np.float32),
    )


def as_lines(reading: Reading, crop: NDArray[np.uint8], corners: Corners, script: str = "Latn") -> list[PlacedLine]:
    """The reading as lines of the page: ``crop`` is the [48, w, 3] image that was read, ``corners`` where it lies.

    One line, unless gaps in it are so wide that they part columns. Boxes fit the print closer than the crops, which
    need a margin to be read well: line boxes F1 on receipts 0.90 as cropped, 0.93 as returned.
    """
    width = crop.shape[1]
    ink = _ink(crop)
    groups = _word_groups(reading.characters)
    cuts = _cuts(groups, reading.centres, np.asarray(ink.any(axis=0)))
    placed = []
    for first, stop in _columns(cuts):
        left, right = max(0.0, cuts[first][0] - END_MARGIN), min(float(width), cuts[stop - 1][1] + END_MARGIN)
        whole = part_of(corners, left / width, right / width, HEIGHT_MARGIN, 1 - HEIGHT_MARGIN)
        words = tuple(
            Word(
                "".join(reading.characters[start:end]),
                as_quad(part_of(whole, (a - left) / (right - left), (b - left) / (right - left))),
                round(float(reading.confidences[start:end].mean()), 4),
            )
            for (start, end), (a, b) in zip(groups[first:stop], cuts[first:stop])
        )
        start, end = groups[first][0], groups[stop - 1][1]
        line = Line(
            "".join(reading.characters[start:end]),
            as_quad(whole),
            round(float(reading.confidences[start:end].mean()), 4),
            words,
            script=script,
        )
        placed.append(PlacedLine(line, int(left) // STEP, -(-int(right) // STEP)))
    return placed


def unread_columns(reading: Reading, crop: NDArray[np.uint8]) -> int:
    """Printed columns of a crop that are farther from every character read than half a wide letter."""
    printed = np.flatnonzero(_ink(crop).sum(axis=0) >= 4)
    if not len(printed) or not len(reading.centres):
        return len(printed)
    return int((np.abs(printed[:, None] - reading.centres[None, :]).min(axis=1) > 26).sum())


def _columns(cuts: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """[first, stop) of the words between gaps wider than `COLUMN_GAP`."""
    starts = [0] + [i for i in range(1, len(cuts)) if cuts[i][0] - cuts[i - 1][1] > COLUMN_GAP]
    return list(zip(starts, [*starts[1:], len(cuts)])) if cuts else []


def _word_groups(characters: tuple[str, ...]) -> list[tuple[int, int]]:
    """[first, stop) of each word: split at spaces, and in Chinese and Japanese as `_kind` says."""
    groups: list[tuple[int, int]] = []
    start = 0
    for index in range(len(characters) + 1):
        at_end = index == len(characters)
        if at_end or characters[index].isspace():
            if index > start:
                groups.append((start, index))
            start = index + 1
        elif index > start and _parts(characters[index - 1], characters[index]):
            groups.append((start, index))
            start = index
    return groups


def _parts(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to different words though no space stands between them."""
    kinds = _kind(left), _kind(right)
    if kinds[1] == "punctuation" or kinds[0] == "punctuation":
        return kinds[0] == "punctuation" and kinds[1] != "punctuation" and ord(left) > 0x2E7F
    return kinds[0] != kinds[1] or kinds[0] == "han"


@lru_cache(maxsize=32768)
def _kind(character: str) -> str:
    """han (each character its own word), hiragana, katakana (runs), punctuation, or other."""
    code = ord(character[0])
    if 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF or code == 0x3005:
        return "han"
    if 0x3041 <= code <= 0x309F:
        return "hiragana"
    if 0x30A1 <= code <= 0x30FF or 0xFF66 <= code <= 0xFF9F:
        return "katakana"
    return "punctuation" if unicodedata.category(character[0])[0] == "P" else "other"


def _ink(crop: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[48, w] whether a pixel of the crop is print, light on dark or dark on light."""
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    _, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    ink = light if 2 * int(light.sum()) < light.size else 1 - light  # print covers less than half of a line
    return np.asarray(ink, bool)


def _cuts(
    groups: list[tuple[int, int]], centres: NDArray[np.float32], inked: NDArray[np.bool_]
) -> list[tuple[float, float]]:
    """Left and right of each word in crop pixels.

    The recogniser's steps are 8 pixels apart and its peaks wander by a step between engines; the widest gap
    of the print between two words does not. Without a gap words part halfway.
    """
    if not groups:
        return []
    width = len(inked)
    columns = np.flatnonzero(inked)
    left_end = float(columns[0]) if len(columns) else 0.0
    right_end = float(columns[-1] + 1) if len(columns) else float(width)
    edges = [(left_end, left_end)]
    for (_, stop), (start, _) in pairwise(groups):
        edges.append(_widest_gap(inked, float(centres[stop - 1]), float(centres[start])))
    edges.append((right_end, right_end))
    cuts = []
    for before, after in pairwise(edges):
        left, right = before[1], after[0]
        cuts.append((left, right) if right > left else (min(left, right), max(left, right) + 1))
    return cuts


def _widest_gap(inked: NDArray[np.bool_], left: float, right: float) -> tuple[float, float]:
    """Start and end of the longest run of empty columns between two centres; their middle when all is printed."""
    start, stop = max(0, int(left)), min(len(inked), int(right) + 1)
    empty = np.flatnonzero(~inked[start:stop])
    if not len(empty):
        middle = (left + right) / 2
        return middle, middle
    breaks = np.flatnonzero(np.diff(empty) > 1)
    firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(empty) - 1)
    best = int(np.argmax(empty[lasts] - empty[firsts]))
    return float(start + empty[firsts[best]]), float(start + empty[lasts[best]] + 1)
