"""One look at a screen as many: parts of it, mirrored, of another size, with other words for what is on it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np

from encoders.base import FeatureSpan, Perception
from encoders.detection.candidates import Candidates, features_of
from encoders.results import Detection, Page, extent, quad
from pipelines.train.hybrid.screens.looks import Look

_CROPPED, _MIRRORED, _NAMED = 0.4, 0.5, 0.4  # shares of the views
_LEAST = 3  # things of a part
_LONGEST_NAME = 4  # words


@dataclass(slots=True)
class Detected(Perception):
    """What a detector saw. ``task`` says which detector, which a perception alone does not."""

    task: str = "gui_detection"


def view(look: Look, most: int, rng: random.Random) -> Look:
    """A part of a look with at most ``most`` things; some of them mirrored, or labelled with phrases as if these had
    been looked for."""
    look = _cropped(look, rng) if rng.random() < _CROPPED else look
    if rng.random() < _NAMED:
        look = _named(look)
    if len(look) > most:
        look = look.take(sorted(rng.sample(range(len(look)), most)))
    if rng.random() < _MIRRORED:
        left = look.width - look.boxes[:, 2]
        look = replace(look, boxes=np.stack([left, look.boxes[:, 1], left + _widths(look), look.boxes[:, 3]], 1))
    scale = rng.uniform(0.6, 1.5)
    width, height = round(look.width * scale), round(look.height * scale)
    return replace(look, width=width, height=height, boxes=(look.boxes * scale).astype(np.float32))


def _widths(look: Look) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    widths: np.ndarray[tuple[int], np.dtype[np.float32]] = look.boxes[:, 2] - look.boxes[:, 0]
    return widths


def _cropped(look: Look, rng: random.Random) -> Look:
    """A part of the picture with what lies wholly in it, or all of it where that is too little."""
    width, height = (round(side * rng.uniform(0.4, 0.9)) for side in (look.width, look.height))
    x, y = rng.randint(0, look.width - width), rng.randint(0, look.height - height)
    low, high = look.boxes[:, :2] >= [x, y], look.boxes[:, 2:] <= [x + width, y + height]
    rows = np.flatnonzero(low.all(1) & high.all(1))
    if len(rows) < _LEAST:
        return look
    inside = look.take(rows.tolist())
    return replace(inside, width=width, height=height, boxes=inside.boxes - np.array([x, y, x, y], np.float32))


def _named(look: Look) -> Look:
    """The things that have a name, labelled with it and their kind ("Save button"), or all of it where few have one."""
    rows = [row for row, name in enumerate(look.names) if name and len(name.split()) <= _LONGEST_NAME]
    if len(rows) < _LEAST:
        return look
    named = look.take(rows)
    if look.task == "object_detection":
        return replace(named, labels=named.names)
    labels = (f"{name} {kind}" for name, kind in zip(named.names, named.labels))
    return replace(named, labels=tuple(label.replace("<|", "") for label in labels))


def detected(look: Look) -> Detected:
    """The perception that the detector of a look would have returned for it."""
    found = Candidates(look.boxes, look.scores, list(look.labels), np.zeros((0, 4), np.float32), look.vectors)
    detections = tuple(
        Detection(label, quad(*map(float, box)), round(float(score), 4))
        for label, box, score in zip(look.labels, look.boxes, look.scores)
    )
    return Detected(
        detections,
        features_of(found, look.width, look.height),
        tuple(FeatureSpan(row, row, row + 1) for row in range(len(look))),
        pages=(Page(1, look.width, look.height, "image"),),
        task=look.task,
    )


def look_of(seen: Detected) -> Look:
    """What was seen on one page as a look without names or vectors, for questions about it."""
    assert isinstance(seen.result, tuple)
    (page,) = seen.pages
    boxes = np.array([extent(one.quad) for one in seen.result], np.float32).reshape(-1, 4)
    labels, scores = tuple(one.label for one in seen.result), [one.confidence for one in seen.result]
    nothing = np.zeros((len(labels), 0), np.float32)
    return Look(
        seen.task, page.width, page.height, labels, ("",) * len(labels), boxes, np.array(scores, np.float32), nothing
    )
