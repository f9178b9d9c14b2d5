"""Ruling lines: those that the file draws, or those found on the image, upright and joined."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.layout.frame import Frame, Piece
from encoders.layout.runs import Look, Runs
from encoders.media.opened import Segment


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight ruling line: ``at`` is its height (or its x when upright), from ``low`` to ``high``."""

    at: float
    low: float
    high: float


def drawn_rules(segments: Sequence[Segment], frame: Frame, em: float) -> tuple[list[Rule], list[Rule]]:
    """Horizontal and vertical rules among the segments that a file draws."""
    horizontal: list[Rule] = []
    vertical: list[Rule] = []
    for segment in segments:
        if not all(map(math.isfinite, segment)):
            continue
        (ax, ay), (bx, by) = (np.array(segment, np.float64).reshape(2, 2) @ frame.matrix.T).tolist()
        if abs(by - ay) <= 0.02 * abs(bx - ax) + 1.5:
            horizontal.append(Rule((ay + by) / 2, min(ax, bx), max(ax, bx)))
        elif abs(bx - ax) <= 0.02 * abs(by - ay) + 1.5:
            vertical.append(Rule((ax + bx) / 2, min(ay, by), max(ay, by)))
    return _joined(horizontal, em), _joined(vertical, em)


def look_for(frame: Frame, em: float) -> Look:
    """How to look for a page's rules: turned upright, at runs as long as some letters."""
    return Look(frame.angle, max(int(2.2 * em), 20), max(int(1.6 * em), 20))


def seen_rules(runs: Runs, frame: Frame, em: float) -> tuple[list[Rule], list[Rule]]:
    """Horizontal and vertical rules among the runs of ink that `look_for` had looked for."""
    across, down = runs
    thick = max(0.4 * em, 5)
    horizontal = [Rule(y + h / 2, x, x + w) for x, y, w, h in across if h <= thick]
    vertical = [Rule(x + w / 2, y, y + h) for x, y, w, h in down if w <= thick]
    if frame.mirrored:
        horizontal = [Rule(rule.at, -rule.high, -rule.low) for rule in horizontal]
        vertical = [Rule(-rule.at, rule.low, rule.high) for rule in vertical]
    elif frame.matrix[0, 0] == 0.0:  # columns of upright text: (x, y) becomes (y, -x)
        horizontal, vertical = (
            [Rule(-rule.at, rule.low, rule.high) for rule in vertical],
            [Rule(rule.at, -rule.high, -rule.low) for rule in horizontal],
        )
    return _joined(horizontal, em), _joined(vertical, em)


def without_text(rules: Sequence[Rule], pieces: Sequence[Piece]) -> list[Rule]:
    """The horizontal rules but for those that are the letters of a bold or tightly set line."""
    ordered = sorted(pieces, key=lambda piece: piece.cy)
    heights = [piece.cy for piece in ordered]
    tallest = max((piece.em for piece in pieces), default=0.0)
    kept = []
    for rule in rules:
        near = ordered[bisect_left(heights, rule.at - tallest) : bisect_right(heights, rule.at + tallest)]
        inked = sum(
            max(0.0, min(rule.high, piece.x1) - max(rule.low, piece.x0))
            for piece in near
            if abs(piece.cy - rule.at) < 0.36 * piece.em
        )
        if inked < 0.5 * (rule.high - rule.low):
            kept.append(rule)
    return kept


def _joined(rules: Sequence[Rule], em: float) -> list[Rule]:
    """Pieces of one straight line as one rule; both edges of a thick or double line too."""
    near = max(0.25 * em, 3.0)
    bands: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.at):
        if bands and rule.at - bands[-1][-1].at <= near:
            bands[-1].append(rule)
        else:
            bands.append([rule])
    joined = []
    for band in bands:
        run: list[Rule] = []
        for rule in sorted(band, key=lambda rule: rule.low):
            if run and rule.low - max(part.high for part in run) > 0.5 * em:
                joined.append(_hull(run))
                run = []
            run.append(rule)
        joined.append(_hull(run))
    return [rule for rule in joined if rule.high - rule.low > em]


def _hull(run: Sequence[Rule]) -> Rule:
    weights = np.array([max(rule.high - rule.low, 1e-6) for rule in run])
    at = float(np.average([rule.at for rule in run], weights=weights))
    return Rule(at, min(rule.low for rule in run), max(rule.high for rule in run))
