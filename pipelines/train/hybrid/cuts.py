"""A few printed lines cut into examples of fewer: a decoder learns to read one line before it reads a paragraph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from encoders.base import Perception
from encoders.results import DocumentResult, Line, Role, extent
from pipelines.train.hybrid.perceived import Perceived
from pipelines.train.hybrid.samples import PagePlan


def cut(one: Perceived, lines: int) -> Iterator[Perceived]:
    """A perceived sample of kind "lines" as samples of at most ``lines`` printed lines each, in order. Features stay
    whole and shared, spans and answers are cut. A printed line of which nothing was read is left out."""
    ((plan,),) = one.sample.documents
    (perception,) = one.documents
    (task,) = one.sample.tasks
    if not isinstance(perception.result, DocumentResult) or not perception.result.pages:
        return
    read = _read(plan, perception.result)
    space = "" if plan.lines[0].script != "Latn" else " "  # as `reading.lines` joins them
    for start in range(0, len(read), lines):
        chosen = sorted(read)[start : start + lines]
        answer = space.join(plan.lines[number].text for number in chosen)
        sample = replace(one.sample, tasks=(replace(task, answer=answer),))
        yield Perceived(sample, (_part(perception, perception.result, {k for n in chosen for k in read[n]}),))


def _read(plan: PagePlan, result: DocumentResult) -> dict[int, list[int]]:
    """By number of a printed line the lines that were read in it; a wide gap parts one in two."""
    (page,) = result.pages
    scale = page.height / plan.height
    middles = [(line.box[1] + line.box[3]) / 2 * scale for line in plan.lines]
    found: dict[int, list[int]] = {}
    for number, line in enumerate(page.lines):
        middle = _middle(line)
        found.setdefault(min(range(len(middles)), key=lambda k: abs(middles[k] - middle)), []).append(number)
    return found


def _middle(line: Line) -> float:
    _, top, _, bottom = extent(line.quad)
    return (top + bottom) / 2


def _part(whole: Perception, result: DocumentResult, kept: set[int]) -> Perception:
    """Some lines of a page alone. They are body text: a number that stands alone is here to be read, too."""
    (page,) = result.pages
    order = sorted(kept)
    lines = tuple(replace(page.lines[number], role=Role.BODY) for number in order)
    spans = tuple(replace(span, item=order.index(span.item)) for span in whole.spans if span.item in kept)
    text = "\n".join(line.text for line in lines)
    return replace(whole, result=DocumentResult((replace(page, lines=lines, tables=(), text=text),)), spans=spans)
