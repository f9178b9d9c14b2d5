"""From the recogniser's steps to text, and from its text to words with their places on the line."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.ocr.crops import Printed
from encoders.ocr.geometry import Corners, as_quads, parts_along, parts_of
from encoders.ocr.networks import FIRST_EAST_ASIAN, STEP
from encoders.results import Line, Quad, Word

COLUMN_GAP = 44.0
"""Crop pixels (a line is 48 high) from which a gap between two words parts columns."""

END_MARGIN, HEIGHT_MARGIN = 4.0, 0.1
"""Crop pixels added at a line's ends, and the share of the crop's height taken off above and below."""

_HALF_LETTER = 26.0
"""Half a wide letter, in crop pixels."""


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
        # As `mean` does it, but for what that takes to begin.
        return float(np.add.reduce(self.confidences) / len(self.characters)) if self.characters else 0.0


def decode(symbols: NDArray[np.int64], confidences: NDArray[np.float32], alphabet: list[str]) -> Reading:
    """CTC's best path of one line: repeats merged, blanks dropped, spaces at the ends cut off."""
    bounds = np.concatenate(([0], np.flatnonzero(symbols[1:] != symbols[:-1]) + 1, [len(symbols)]))
    runs = np.flatnonzero(symbols[bounds[:-1]]) if len(symbols) else bounds[:0]
    starts, ends = bounds[runs], bounds[runs + 1]
    characters = [alphabet[symbol] for symbol in symbols[starts].tolist()]
    first, stop = 0, len(characters)
    while first < stop and characters[first].isspace():
        first += 1
    while stop > first and characters[stop - 1].isspace():
        stop -= 1
    centres = (starts + ends)[first:stop] / 2 * STEP
    return Reading(
        tuple(characters[first:stop]),
        confidences[starts[first:stop]].astype(np.float32, copy=False),
        centres.astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class ReadCrop:
    """A reading, where the crop that was read is print, where that lies on the page, and its script (ISO 15924)."""

    reading: Reading
    printed: Printed
    corners: Corners
    script: str = "Latn"


class _Column(NamedTuple):
    """What stands between two gaps that part columns."""

    read: ReadCrop
    groups: list[tuple[int, int]]  # characters of each word
    cuts: list[tuple[float, float]]  # where each lies in the crop
    left: float
    right: float


def as_lines(reads: Sequence[ReadCrop]) -> list[list[PlacedLine]]:
    """Each reading as lines of its page: one, unless gaps in it are so wide that they part columns.

    Boxes fit the print closer than the crops, which need a margin to be read well: line boxes F1 on receipts 0.90 as
    cropped, 0.93 as returned.
    """
    columns = [_columns(read) for read in reads]
    all_columns = [column for own in columns for column in own]
    if not all_columns:
        return [[] for _ in reads]
    # Places of all lines, then of all words, at once: arrays take longer to begin than to do a line.
    counts = [len(column.cuts) for column in all_columns]
    edges = np.array([(column.left, column.right) for column in all_columns])
    widths = np.array([len(column.read.printed) for column in all_columns], np.float64)
    crops = np.array([column.read.corners for column in all_columns], np.float32)
    whole = parts_of(crops, edges / widths[:, None], HEIGHT_MARGIN, 1 - HEIGHT_MARGIN)
    left, right = edges.repeat(counts, axis=0).T
    cuts = np.array([cut for column in all_columns for cut in column.cuts])
    words = iter(as_quads(parts_along(whole.repeat(counts, axis=0), (cuts - left[:, None]) / (right - left)[:, None])))
    lines = iter(as_quads(whole))
    return [[_line(column, next(lines), words) for column in own] for own in columns]


def _line(column: _Column, place: Quad, places: Iterator[Quad]) -> PlacedLine:
    """A line at its place, its words at the next ones."""
    reading, groups = column.read.reading, column.groups
    characters, sums = reading.characters, [0.0, *accumulate(reading.confidences.tolist())]
    words = tuple(Word("".join(characters[start:end]), next(places), _mean(sums, start, end)) for start, end in groups)
    start, end = groups[0][0], groups[-1][1]
    line = Line("".join(characters[start:end]), place, _mean(sums, start, end), words, script=column.read.script)
    return PlacedLine(line, int(column.left) // STEP, -(-int(column.right) // STEP))


def unread_columns(reading: Reading, printed: Printed) -> int:
    """Printed columns of a crop that are farther from every character read than half a wide letter."""
    centres = reading.centres  # which ascend
    if not len(centres):
        return int(np.count_nonzero(printed >= 4))
    read = centres.tolist()
    starts = [0, math.floor(read[-1] + _HALF_LETTER) + 1]
    stops = [max(0, math.ceil(read[0] - _HALF_LETTER)), len(printed)]
    for at in np.flatnonzero(centres[1:] - centres[:-1] > 2 * _HALF_LETTER).tolist():
        starts.append(math.floor(read[at] + _HALF_LETTER) + 1)
        stops.append(max(0, math.ceil(read[at + 1] - _HALF_LETTER)))
    inked = (printed >= 4).tobytes()
    return sum(inked.count(1, start, max(start, stop)) for start, stop in zip(starts, stops, strict=True))


def _mean(sums: list[float], start: int, end: int) -> float:
    """Mean confidence of characters [start, end), from running sums."""
    return round((sums[end] - sums[start]) / (end - start), 4)


def _columns(read: ReadCrop) -> list[_Column]:
    """The words between gaps wider than `COLUMN_GAP`."""
    groups = _word_groups(read.reading.characters)
    cuts = _cuts(groups, read.reading.centres, read.printed > 0)
    starts = [i for i in range(len(cuts)) if not i or cuts[i][0] - cuts[i - 1][1] > COLUMN_GAP]
    width, found = float(len(read.printed)), []
    for first, stop in pairwise([*starts, len(cuts)]):
        left, right = max(0.0, cuts[first][0] - END_MARGIN), min(width, cuts[stop - 1][1] + END_MARGIN)
        found.append(_Column(read, groups[first:stop], cuts[first:stop], left, right))
    return found


def _word_groups(characters: tuple[str, ...]) -> list[tuple[int, int]]:
    """[first, stop) of each word: split at spaces, and in Chinese and Japanese as `_kind` says."""
    groups: list[tuple[int, int]] = []
    start = 0
    if max(characters, default="") < FIRST_EAST_ASIAN:  # before it only spaces part words
        for index in [*(i for i, character in enumerate(characters) if character.isspace()), len(characters)]:
            if index > start:
                groups.append((start, index))
            start = index + 1
        return groups
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
        return kinds[0] == "punctuation" and kinds[1] != "punctuation" and ord(left) >= ord(FIRST_EAST_ASIAN)
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


def _cuts(
    groups: list[tuple[int, int]], centres: NDArray[np.float32], inked: NDArray[np.bool_]
) -> list[tuple[float, float]]:
    """Left and right of each word in crop pixels.

    The recogniser's steps are 8 pixels apart and its peaks wander by a step between engines; the widest gap
    of the print between two words does not. Without a gap words part halfway.
    """
    if not groups:
        return []
    padded = np.zeros(len(inked) + 2, np.bool_)
    padded[1:-1] = inked
    edges = np.flatnonzero(padded[1:] != padded[:-1])  # where print begins, ends, begins, ...
    gaps = [0, *edges.tolist(), len(inked)]  # starts and stops of empty runs in turn
    ends = [(edges[0], edges[0]), (edges[-1], edges[-1])] if len(edges) else [(0, 0), (len(inked), len(inked))]
    middle = centres.tolist()
    parting = [_widest_gap(gaps, middle[stop - 1], middle[start]) for (_, stop), (start, _) in pairwise(groups)]
    between = [(float(a), float(b)) for a, b in (ends[0], *parting, ends[1])]
    cuts = []
    for before, after in pairwise(between):
        left, right = before[1], after[0]
        cuts.append((left, right) if right > left else (min(left, right), max(left, right) + 1))
    return cuts


def _widest_gap(gaps: list[int], left: float, right: float) -> tuple[float, float]:
    """Start and end of the longest run of empty columns between two centres; their middle when all is printed."""
    start, stop = max(0, int(left)), min(gaps[-1], int(right) + 1)
    best, widest = ((left + right) / 2,) * 2, 0
    first = bisect_right(gaps, start) - 1
    for at in range(first - first % 2, len(gaps), 2):
        begin, end = gaps[at], gaps[at + 1]
        if begin >= stop:
            break
        if begin < start:
            begin = start
        if end > stop:
            end = stop
        if end - begin > widest:
            best, widest = (begin, end), end - begin
    return best
