"""Layout against a known truth: reading order, paragraphs, roles and cells of one page.

Where a page does not show whether a paragraph ends (`generated_pages.Undecided`), ``either`` takes both readings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray

from benchmarks.generated_pages import PageTruth
from benchmarks.generated_tables import TableTruth
from encoders.layout.page_text import MARGINS, text_blocks
from encoders.results import Page, Role, Table, extent


@dataclass
class PageScore:
    """What one page got right. ``roles`` counts (true, found) pairs of printed lines."""

    order: bool
    paragraphs: bool
    either: bool = False  # order and paragraphs exact in one of the readings that the page allows
    undecided: int = 0  # column ends that allow two
    roles: Counter[tuple[str, str]] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)  # "<kind>", "<kind> exact", "<kind> extra"
    notes: list[str] = field(default_factory=list)  # the first thing that is wrong


def squeeze(text: str) -> str:
    return " ".join(text.split())


def same(a: str, b: str, tolerance: float) -> bool:
    """Equal texts, or with a tolerance (recognised ones) texts that differ in a small share of their characters."""
    a, b = squeeze(a), squeeze(b)
    if a == b or tolerance == 0:
        return a == b
    a, b = a.replace(" ", "").lower(), b.replace(" ", "").lower()
    return a == b or SequenceMatcher(None, a, b, autojunk=False).ratio() >= 1 - tolerance


def score_page(page: Page, truth: PageTruth, matrix: NDArray[np.float64], tolerance: float = 0.0) -> PageScore:
    """``matrix`` [2, 3] goes from the truth's points to the page's pixels; ``tolerance`` is for recognition errors."""
    owners = _owners(page, truth, matrix)
    score = PageScore(False, False, undecided=len(truth.undecided))
    first, *others = readings(truth)
    score.order = _order(truth, first, owners, score.notes)
    score.paragraphs = _paragraphs(page, first, tolerance, score.notes)
    score.either = (score.order and score.paragraphs) or any(
        _order(truth, reading, owners, []) and _paragraphs(page, reading, tolerance, []) for reading in others
    )
    _roles(page, truth, owners, score.roles)
    for true in truth.tables:
        _cells(page, true, matrix, tolerance, score)
    return score


def _owners(page: Page, truth: PageTruth, matrix: NDArray[np.float64]) -> list[list[int]]:
    """For each line of the page the lines of the truth that its words stand in, in order."""
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    boxes = np.array([line.box for line in truth.lines])
    owners = []
    for line in page.lines:
        quads = [word.quad for word in line.words] or [line.quad]
        centres = np.array(quads).reshape(-1, 4, 2).mean(axis=1)
        points = np.c_[centres, np.ones(len(centres))] @ inverse.T
        found: list[int] = []
        for x, y, _ in points:
            inside = (boxes[:, 0] - 2 <= x) & (x <= boxes[:, 2] + 2) & (boxes[:, 1] - 2 <= y) & (y <= boxes[:, 3] + 2)
            at = np.flatnonzero(inside)
            if len(at):
                middle = np.abs((boxes[at, 1] + boxes[at, 3]) / 2 - y)
                found.append(int(at[int(np.argmin(middle))]))
        owners.append([key for key, _ in groupby(found)])
    return owners


@dataclass(frozen=True)
class Part:
    """A paragraph as one reading of the page has it, with the indices of its lines in the truth."""

    role: str
    text: str
    lines: tuple[int, ...]


def readings(truth: PageTruth) -> list[list[Part]]:
    """Every reading that the page allows, the true one first."""
    lines: dict[int, list[int]] = {}
    for index, line in enumerate(truth.lines):
        if line.role not in set(MARGINS):
            lines.setdefault(line.paragraph, []).append(index)
    base = [Part(p.role, p.text, tuple(lines.get(i, []))) for i, p in enumerate(truth.paragraphs)]
    found = []
    for choice in product((False, True), repeat=min(len(truth.undecided), 6)):
        parts: list[Part | None] = list(base)
        after: dict[int, Part] = {}
        for undecided, other in zip(truth.undecided, choice):
            whole = parts[undecided.paragraph]
            if not other or whole is None:
                continue
            if undecided.lines:
                texts = [truth.lines[i].text for i in whole.lines]
                head = len(squeeze(joined_text(whole.text, texts, undecided.lines)))
                cut = whole.lines[: undecided.lines], whole.lines[undecided.lines :]
                parts[undecided.paragraph] = Part(whole.role, whole.text[:head], cut[0])
                after[undecided.paragraph + undecided.between] = Part(whole.role, whole.text[head:], cut[1])
            else:
                at = undecided.paragraph - undecided.between - 1
                before = parts[at]
                if before is not None:
                    parts[at] = Part(before.role, f"{before.text} {whole.text}", before.lines + whole.lines)
                    parts[undecided.paragraph] = None
        found.append([p for i, part in enumerate(parts) for p in (part, after.get(i)) if p is not None])
    return found


def joined_text(text: str, lines: list[str], count: int) -> str:
    """The part of a paragraph's text that its first ``count`` lines hold: up to where the next line begins."""
    at = 0
    for line in lines[:count]:
        at = text.index(line.rstrip("-").split(" ")[-1], at) + len(line.rstrip("-").split(" ")[-1])
    return text[:at]


def _order(truth: PageTruth, parts: Sequence[Part], owners: list[list[int]], notes: list[str]) -> bool:
    def key(index: int) -> str:
        line = truth.lines[index]
        return f"table {line.paragraph}" if line.role == "table" else f"line {index}"

    want = [key(i) for part in parts for i in part.lines]
    have = [key(i) for own in owners for i in own if truth.lines[i].role not in set(MARGINS)]
    want, have = [k for k, _ in groupby(want)], [k for k, _ in groupby(have)]
    for a, b in zip([*want, "end"], [*have, "end"]):
        if a != b:
            text = truth.lines[int(a.split()[1])].text if a.startswith("line") else a
            notes.append(f"order: expected {text!r}")
            break
    return want == have


def _paragraphs(page: Page, parts: Sequence[Part], tolerance: float, notes: list[str]) -> bool:
    have = [(b.role, b.text) for b in text_blocks(page) if b.role not in MARGINS and b.text]
    want = [(p.role, p.text) for p in parts]
    for i in range(max(len(have), len(want))):
        role, text = want[i] if i < len(want) else ("", "")
        found_role, found = have[i] if i < len(have) else (Role.BODY, "")
        if role == "table" and found_role is Role.TABLE:
            continue
        if role == "table" or not same(text, found, tolerance):
            notes.append(
                f"paragraph {i} {role}: expected {text[:70]!r}...{text[-30:]!r} "
                f"found {found_role} {found[:70]!r}...{found[-30:]!r}"
            )
            return False
    return True


def _roles(page: Page, truth: PageTruth, owners: list[list[int]], roles: Counter[tuple[str, str]]) -> None:
    seen: dict[int, str] = {}
    for line, own in zip(page.lines, owners):
        for index in own:
            seen.setdefault(index, line.role.value)
    for index, true in enumerate(truth.lines):
        roles[true.role, seen.get(index, "missing")] += 1


def _cells(page: Page, true: TableTruth, matrix: NDArray[np.float64], tolerance: float, score: PageScore) -> None:
    kind = f"{true.kind}{' spans' if true.spans else ''}"
    corners = np.array([[true.box[0], true.box[1], 1], [true.box[2], true.box[3], 1]]) @ matrix.T
    x0, y0, x1, y1 = corners.reshape(-1)
    best, found = 0.0, None
    for table in page.tables:
        a, b, c, d = extent(table.quad)
        shared = max(0.0, min(c, x1) - max(a, x0)) * max(0.0, min(d, y1) - max(b, y0))
        union = (c - a) * (d - b) + (x1 - x0) * (y1 - y0) - shared
        if union > 0 and shared / union > best:
            best, found = shared / union, table
    want = {(c.row, c.column, c.row_span, c.column_span): c.text for c in true.cells if c.text}
    have = _grid(found) if found is not None and best >= 0.3 else {}
    exact = sum(key in have and same(text, have[key], tolerance) for key, text in want.items())
    score.cells[kind] += len(want)
    score.cells[f"{kind} exact"] += exact
    score.cells[f"{kind} extra"] += max(0, len(have) - exact)
    if exact < len(want):
        miss = next((k, t) for k, t in want.items() if k not in have or not same(t, have[k], tolerance))
        shape = f"{found.rows}x{found.columns}" if found else "none"
        score.notes.append(
            f"cells {kind}: {exact}/{len(want)}, true {true.rows}x{true.columns}, "
            f"found {shape}; {miss} {have.get(miss[0])!r}"
        )


def _grid(table: Table) -> dict[tuple[int, int, int, int], str]:
    return {(c.row, c.column, c.row_span, c.column_span): c.text for c in table.cells if c.text}


def role_scores(counts: Counter[tuple[str, str]]) -> tuple[dict[str, float], float, float]:
    """F1 of each role, their mean (macro) and over all lines (micro)."""
    roles = sorted({true for true, _ in counts})
    scores = {}
    for role in roles:
        right = counts[role, role]
        found = sum(n for (_, got), n in counts.items() if got == role)
        true = sum(n for (want, _), n in counts.items() if want == role)
        scores[role] = 2 * right / max(found + true, 1)
    total = sum(counts.values())
    return scores, sum(scores.values()) / max(len(scores), 1), sum(counts[r, r] for r in roles) / max(total, 1)
