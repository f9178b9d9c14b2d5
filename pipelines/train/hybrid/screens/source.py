"""Endless views of the kept looks, each with its questions."""

from __future__ import annotations

import random
from pathlib import Path

from encoders.detection.network import KINDS
from pipelines.train.hybrid.samples import Task
from pipelines.train.hybrid.screens.ask import ask
from pipelines.train.hybrid.screens.looks import Look, read_looks
from pipelines.train.hybrid.screens.views import Detected, detected, view

_ROWS = {"text": 22, "soft": 64, "both": 20}
"""Most things of a view, by mode: as many as a prompt holds without leaving some out."""
_ABSENT = 12  # labels that are not there, to ask for


class Screens:
    """Views of the looks that `screens.perceive` kept. Raises ValueError for a file with none."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self._looks, self._rng = read_looks(path), rng
        if not self._looks:
            raise ValueError(f"{path} holds no pictures: run pipelines.train.hybrid.screens.perceive first")
        self._by_task = {look.task: [one for one in self._looks if one.task == look.task] for look in self._looks}

    def next(self, mode: str) -> tuple[Detected, list[Task]]:
        """One more, for a decoder that reads in this mode."""
        look = self._rng.choice(self._looks)
        shown = view(look, self._rng.randint(2, _ROWS[mode]), self._rng)
        seen = detected(shown)
        return seen, ask(shown, seen, self._rng, self._others(shown), mode=mode)

    def _others(self, shown: Look) -> list[str]:
        """Labels like those shown, of other pictures."""
        if set(shown.labels) <= set(KINDS):
            return [kind for kind in KINDS if kind != "object"]
        found: list[str] = []
        while len(found) < _ABSENT:
            other = self._rng.choice(self._by_task[shown.task])
            for name, label in zip(other.names, other.labels):
                if name and len(name.split()) <= 3:
                    found.append(name if shown.task == "object_detection" else f"{name} {label}")
            found += other.labels[:1]
        return found
