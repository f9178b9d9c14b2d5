"""Questions about the things that were detected on a picture, with answers from their labels and boxes alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from decoder.placing import part_of
from encoders.results import extent
from pipelines.train.hybrid.documents.language import kept
from pipelines.train.hybrid.samples import REFUSAL, Task
from pipelines.train.hybrid.screens import wordings as say
from pipelines.train.hybrid.screens.looks import Look
from pipelines.train.hybrid.screens.views import Detected

_CLEAR = 0.04  # of the picture: what is nearer to a border than this is on neither side of it


def ask(
    look: Look, seen: Detected, rng: random.Random, others: Sequence[str], *, mode: str, held_out: bool = False
) -> list[Task]:
    """Questions of all kinds that the picture has an answer to, in random order, and some that it has none to.
    ``others``: labels of other pictures. Boxes in pixels are asked for where the decoder reads text, what a drawing
    shows where it reads soft tokens."""
    about = _About(look, seen, rng, [label for label in others if label not in look.labels], held_out)
    makers: list[Callable[[], Task | None]] = [about.count, about.count, about.part, about.there, about.where]
    makers += [about.lacking, about.beside, about.beside, about.edge, about.higher, about.more, about.listed]
    # What the trainings before had not learnt: places, and since rows are in reading order kinds, which began with the
    # topmost row's and left out what the heading names before it.
    if not held_out:
        makers += [about.where, about.where, about.beside, about.edge, about.edge, about.higher, about.higher]
        makers += [about.part, about.listed]
    makers += [about.shows] if mode != "text" else []
    makers += [about.box] if mode != "soft" else []
    found = {task.question: task for make in makers if (task := make()) is not None}
    tasks = list(found.values())
    rng.shuffle(tasks)
    return tasks


class _About:
    """What can be asked about one picture; every question is None where it has no clear answer."""

    def __init__(self, look: Look, seen: Detected, rng: random.Random, absent: Sequence[str], held_out: bool) -> None:
        assert isinstance(seen.result, tuple)
        self._look, self._rng, self._absent, self._held_out = look, rng, absent, held_out
        self._labels = look.labels
        self._counts = Counter(look.labels)
        self._boxes = [extent(one.quad) for one in seen.result]
        self._middles = [
            ((left + right) / 2 / look.width, (top + bottom) / 2 / look.height)
            for left, top, right, bottom in self._boxes
        ]
        self._single = [row for row, label in enumerate(look.labels) if self._counts[label] == 1]

    def _task(self, kind: str, wordings: Sequence[str], answer: str, **parts: str) -> Task:
        question = self._rng.choice(kept(wordings, self._held_out)).format(**parts)
        return Task(kind, question, None, answer)

    def _row(self) -> int | None:
        """Something that there is one of."""
        return self._rng.choice(self._single) if self._single else None

    def count(self) -> Task:
        """How many of a label, none now and then."""
        if self._absent and self._rng.random() < 0.15:
            return self._task("screen_count", say.COUNT, "0", many=plural(self._rng.choice(self._absent)))
        label = self._rng.choice(sorted(self._counts))
        return self._task("screen_count", say.COUNT, str(self._counts[label]), many=plural(label))

    def part(self) -> Task | None:
        """How many of a label in a half of the picture."""
        label = self._rng.choice(sorted(self._counts))
        part = self._rng.choice(sorted(say.PARTS))
        axis, before = say.PARTS[part]
        places = [middle[axis] for name, middle in zip(self._labels, self._middles) if name == label]
        if len(places) < 2 or len(places) > 9 or any(abs(place - 0.5) < _CLEAR for place in places):
            return None
        answer = sum((place < 0.5) is before for place in places)
        return self._task("screen_part", say.PART, str(answer), many=plural(label), part=part)

    def there(self) -> Task | None:
        """Whether there is one."""
        if self._rng.random() < 0.5:
            return self._task("screen_there", say.THERE, "yes", a=_one(self._rng.choice(self._labels)))
        if not self._absent:
            return None
        return self._task("screen_there", say.THERE, "no", a=_one(self._rng.choice(self._absent)))

    def where(self) -> Task | None:
        """In which part of the picture something is that there is one of."""
        row = self._row()
        if row is None:
            return None
        (x, y), name, drawn = self._middles[row], self._labels[row], self._rng.random()
        down, across = part_of(self._boxes[row], self._look.width, self._look.height)
        near = min(abs(y - 1 / 3), abs(y - 2 / 3))
        if drawn < 0.3:
            return self._task("screen_where", say.THIRD, down, one=name) if near > _CLEAR else None
        if drawn < 0.5:
            side = "left" if x < 0.5 else "right"
            return self._task("screen_where", say.HALF, side, one=name) if abs(x - 0.5) > _CLEAR else None
        if min(near, abs(x - 1 / 3), abs(x - 2 / 3)) < _CLEAR:
            return None
        answer = f"{down} {across}".replace("middle center", "center")
        return self._task("screen_where", say.WHERE, answer, one=name)

    def lacking(self) -> Task | None:
        """What cannot be answered because there is none of it."""
        if not self._absent:
            return None
        name = self._rng.choice(self._absent)
        among: tuple[Sequence[str], ...] = (say.WHERE, say.THIRD, say.HALF, say.BOX, *say.BESIDE.values())
        return self._task("unanswerable", self._rng.choice(among), REFUSAL, one=name)

    def box(self) -> Task | None:
        """The pixels of something, as the row says them."""
        row = self._row()
        if row is None:
            return None
        left, top, right, bottom = (round(edge) for edge in self._boxes[row])
        return self._task("screen_box", say.BOX, f"({left}, {top}) to ({right}, {bottom})", one=self._labels[row])

    def beside(self) -> Task | None:
        """The nearest neighbour on one side, where it is clear which one that is."""
        row = self._row()
        if row is None:
            return None
        side = self._rng.choice(sorted(say.BESIDE))
        gaps = sorted((gap, self._labels[other]) for other, gap in self._gaps(row, side))
        if not gaps or (len(gaps) > 1 and gaps[1][1] != gaps[0][1] and gaps[1][0] - gaps[0][0] < _CLEAR):
            return None
        return self._task("screen_layout", say.BESIDE[side], gaps[0][1], one=self._labels[row])

    def _gaps(self, row: int, side: str) -> Iterable[tuple[int, float]]:
        """The things on one side of another that share its row or column, with the distance between as a share."""
        along, size = (0, self._look.width) if side in ("left", "right") else (1, self._look.height)
        across = 1 - along
        own = self._boxes[row]
        for other, box in enumerate(self._boxes):
            shared = min(own[across + 2], box[across + 2]) - max(own[across], box[across])
            smaller = min(own[across + 2] - own[across], box[across + 2] - box[across])
            after = side in ("right", "below")
            gap = box[along] - own[along + 2] if after else own[along] - box[along + 2]
            if other != row and shared > smaller / 2 and gap > -0.01 * size:
                yield other, gap / size

    def edge(self) -> Task | None:
        """What is at an edge of all, or the largest."""
        if self._rng.random() < 0.25:
            sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in self._boxes]
            return self._first(say.SIZE, [-size / max(sizes) for size in sizes], 0.2)
        edge = self._rng.choice(sorted(say.EDGE))
        axis = 1 if edge in ("topmost", "lowest") else 0
        sign = 1 if edge in ("topmost", "leftmost") else -1
        return self._first(say.EDGE[edge], [sign * middle[axis] for middle in self._middles], _CLEAR / 2)

    def _first(self, wordings: Sequence[str], values: Sequence[float], clear: float) -> Task | None:
        order = sorted(range(len(values)), key=values.__getitem__)
        near = {self._labels[row] for row in order if values[row] - values[order[0]] < clear}
        return self._task("screen_layout", wordings, near.pop()) if len(near) == 1 else None

    def higher(self) -> Task | None:
        """Which of two is higher up, or farther left."""
        if len(self._single) < 2:
            return None
        one, other = self._rng.sample(self._single, 2)
        axis = self._rng.randrange(2)
        a, b = self._middles[one][axis], self._middles[other][axis]
        if abs(a - b) < _CLEAR:
            return None
        names = {"one": self._labels[one], "other": self._labels[other]}
        return self._task("screen_layout", (say.LEFTER, say.HIGHER)[axis], names["one" if a < b else "other"], **names)

    def more(self) -> Task | None:
        """Of which of two labels there are more."""
        if len(self._counts) < 2:
            return None
        one, other = self._rng.sample(sorted(self._counts), 2)
        if self._counts[one] == self._counts[other]:
            return None
        most = max(one, other, key=self._counts.__getitem__)
        return self._task("screen_compare", say.MORE, plural(most), many=plural(one), others=plural(other))

    def listed(self) -> Task | None:
        """Every label once, in the order of the first of each."""
        return self._task("screen_list", say.LIST, "; ".join(self._counts)) if len(self._counts) <= 8 else None

    def shows(self) -> Task | None:
        """What the drawing of an icon shows, which no text says."""
        rows = [row for row in self._single if self._labels[row] in ("icon", "logo") and self._look.names[row]]
        if not rows:
            return None
        row = self._rng.choice(rows)
        return self._task("screen_shows", say.SHOWS, self._look.names[row], one=self._labels[row])


def _one(label: str) -> str:
    return f"{'an' if label[:1].lower() in tuple('aeiou') else 'a'} {label}"


def plural(label: str) -> str:
    """More than one of it, in English."""
    if label.endswith(("s", "x", "ch", "sh")):
        return f"{label}es"
    return f"{label[:-1]}ies" if label.endswith("y") and label[-2:-1] not in tuple("aeiou") else f"{label}s"
