"""A page while it is laid out: runs of text with measured boxes, and rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pipelines.train.hybrid.samples import PagePlan, PrintedLine
from pipelines.train.script.faces import coverage
from pipelines.train.script.render import Face, face_at, wrap

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Style:
    """A face at a size in pixels."""

    face: Face
    size: int

    @property
    def height(self) -> float:
        """From the top of an accent to the bottom of a descender, in pixels."""
        ascent, descent = extents(self.face, self.size)
        return ascent + descent

    def width(self, text: str) -> float:
        """Of a run, in pixels."""
        return length(self.face, self.size, text)

    def smaller(self, text: str, width: float) -> Style:
        """This style, or the largest smaller one in which the text is at most so wide (12 px at least)."""
        wide = self.width(text)
        return self if wide <= width else Style(self.face, max(12, int(self.size * width / wide)))


@lru_cache(maxsize=4096)
def extents(face: Face, size: int) -> tuple[float, float]:
    """How far letters rise above the baseline and fall below it, in pixels."""
    box = face_at(face, size).getbbox("ÅÉgjpqy|()", anchor="ls")
    return float(-box[1]), float(box[3])


@lru_cache(maxsize=200_000)
def length(face: Face, size: int, text: str) -> float:
    """Width of a run in pixels, ink that overhangs the advance included."""
    font = face_at(face, size)
    return float(max(font.getlength(text), font.getbbox(text)[2]))


@lru_cache(maxsize=50_000)
def _letters(text: str) -> frozenset[int]:
    return frozenset(ord(c) for c in text if c != " ")


class Sheet:
    """Runs are placed by the top left corner of their box; ``y`` is where the next one goes in a flow of rows."""

    def __init__(self, width: int, margin: int, script: str, leading: float = 1.35) -> None:
        self.width, self.margin, self.script, self.leading = width, margin, script, leading
        self.lines: list[PrintedLine] = []
        self.rules: list[Box] = []
        self.y = float(margin)

    @property
    def inner(self) -> float:
        """Width between the margins."""
        return self.width - 2 * self.margin

    def put(self, text: str, x: float, y: float, style: Style, align: str = "left") -> int:
        """Place a run at x (its left edge, middle or right edge); returns its index in ``lines``."""
        wide = style.width(text)
        left = x - {"left": 0.0, "center": wide / 2, "right": wide}[align]
        box = (left, y, left + wide, y + style.height)
        script = self.script if any(ord(c) > 0x2E7F for c in text) else "Latn"
        self.lines.append(PrintedLine(text, box, style.face, style.size, script))
        return len(self.lines) - 1

    def row(self, style: Style, gap: float = 0.0) -> float:
        """Top of a new row of this style; the flow goes on below it."""
        top = self.y + gap * style.height
        self.y = top + style.height * self.leading
        return top

    def line(self, text: str, style: Style, align: str = "left", left: float = 0.0, right: float = 0.0) -> int:
        """A run in a row of its own, between the margins or between ``left`` and ``right``; shrunk when too wide."""
        left, right = left or self.margin, right or self.width - self.margin
        style = style.smaller(text, right - left)
        x = {"left": left, "center": (left + right) / 2, "right": right}[align]
        return self.put(text, x, self.row(style), style, align)

    def paragraph(
        self, text: str, style: Style, left: float = 0.0, right: float = 0.0, align: str = "left"
    ) -> list[int]:
        """A text over as many rows as it takes."""
        left, right = left or self.margin, right or self.width - self.margin
        broken = wrap(text, face_at(style.face, style.size), right - left)
        return [self.line(part, style, align, left, right) for part in broken]

    def rule(self, gap: float = 6.0, left: float = 0.0, right: float = 0.0) -> None:
        """A line across, with some space around it."""
        self.rules.append((left or self.margin, self.y + gap / 2, right or self.width - self.margin, self.y + gap / 2))
        self.y += gap * 2

    def page(self, height: int = 0) -> PagePlan:
        """The page, at least ``height`` pixels high."""
        return PagePlan(self.width, max(height, int(self.y + self.margin)), tuple(self.lines), tuple(self.rules))

    def sound(self) -> bool:
        """Whether every box lies within the page's sides, none overlaps another, and every letter has a glyph."""
        if any(not _letters(line.text) <= coverage(line.face) for line in self.lines):
            return False
        if any(line.box[0] < 0 or line.box[2] > self.width or line.box[1] < 0 for line in self.lines):
            return False
        boxes = sorted((line.box for line in self.lines), key=lambda box: box[1])
        for index, (left, _, right, bottom) in enumerate(boxes):
            for other in boxes[index + 1 :]:
                if other[1] >= bottom:
                    break
                if other[0] < right and left < other[2]:
                    return False
        return True
