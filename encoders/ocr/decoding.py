"""From the recogniser's steps to text, and from its text to words with their places on the line."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.ocr.geometry import Corners, as_quad, slice_of
from encoders.ocr.networks import STEP
from encoders.results import Line, Word


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


def as_line(reading: Reading, crop: NDArray[np.uint8], corners: Corners, script: str = "Latn") -> Line:
    """The reading as a line of the page: ``crop`` is the [48, w, 3] image that was read, ``corners`` where it lies."""
    width = crop.shape[1]
    inked = _inked_columns(crop)
    groups = _word_groups(reading.characters)
    cuts = _cuts(groups, reading.centres, inked)
    words = tuple(
        Word(
            "".join(reading.characters[first:stop]),
            as_quad(slice_of(corners, left / width, right / width)),
            round(float(reading.confidences[first:stop].mean()), 4),
        )
        for (first, stop), (left, right) in zip(groups, cuts)
    )
    return Line(reading.text, as_quad(corners), round(reading.confidence, 4), words, script=script)


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


def _inked_columns(crop: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[w] whether a column of the crop holds print, light on dark or dark on light."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[4:-4]
    _, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    ink = light if 2 * int(light.sum()) < light.size else 1 - light  # print covers less than half of a line
    return np.asarray(ink.sum(axis=0) > 1)


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
