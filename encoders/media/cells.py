"""Lines of a text layer, cut where a table's ruling lines or a wide gap divide them, as a text detector would."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from encoders.media.glyph_boxes import around
from encoders.media.opened import Segment
from encoders.results import Line, Word, extent

WIDE_GAP = 2.0
"""A gap of so many type sizes is no word space, not even in justified text."""


def cut_at_cells(lines: list[Line], rules: tuple[Segment, ...]) -> list[Line]:
    """The same words in as many lines as there are cells; upright lines only, others stay whole."""
    verticals = sorted((x0, min(y0, y1), max(y0, y1)) for x0, y0, x1, y1 in rules if abs(x0 - x1) < 1 < abs(y0 - y1))
    cut: list[Line] = []
    for line in lines:
        upright = len(line.words) > 1 and line.quad[1] == line.quad[3] and line.quad[0] < line.quad[2]
        groups = _groups(line, verticals) if upright else [line.words]
        if len(groups) == 1:
            cut.append(line)
            continue
        for words in groups:
            box = around([word.quad for word in words])
            cut.append(replace(line, text=" ".join(word.text for word in words), quad=box, words=words))
    return cut


def _groups(line: Line, verticals: list[tuple[float, float, float]]) -> list[tuple[Word, ...]]:
    """The words of a line by the stretch between cuts that they stand in, each group in reading order."""
    left, top, right, bottom = extent(line.quad)
    middle, size = (top + bottom) / 2, min(word.quad[7] - word.quad[1] for word in line.words)
    edges = sorted((word.quad[0], word.quad[2]) for word in line.words)
    first = bisect_left(verticals, (left, 0.0, 0.0))
    last = bisect_left(verticals, (right, 0.0, 0.0))
    bars = [x for x, y0, y1 in verticals[first:last] if y0 <= middle <= y1]
    cuts, reach = [], edges[0][1]
    for start, end in edges[1:]:
        between = [x for x in bars if reach - 1 <= x <= start + 1]
        if between or start - reach > WIDE_GAP * size:
            cuts.append((reach + start) / 2)
        reach = max(reach, end)
    groups: dict[int, list[Word]] = {}
    for word in line.words:
        groups.setdefault(bisect_left(cuts, (word.quad[0] + word.quad[2]) / 2), []).append(word)
    return [tuple(words) for words in groups.values()]
