"""Questions about what the real detectors find on screens of kits and icons, and in scenes of things, that no training
has seen; every other screen is looked at for phrases. Answers are what was detected says: what a detector missed or
took for something else nobody can tell from its boxes (`benchmarks.detection` counts that)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.hybrid.asking import Asked
from benchmarks.hybrid.judged import asked_of
from benchmarks.hybrid.material import Material
from benchmarks.hybrid.perceived import Input
from benchmarks.hybrid.setting import Setting
from benchmarks.hybrid.table import Report
from encoders.base import MediaInput, Perception
from encoders.detection.config import GuiConfig, ObjectConfig
from encoders.detection.encoder import GuiEncoder, ObjectEncoder
from encoders.detection.network import KINDS
from pipelines.train.hybrid.samples import Sample
from pipelines.train.hybrid.screens.ask import ask
from pipelines.train.hybrid.screens.perceive import names_of
from pipelines.train.hybrid.screens.views import Detected, look_of

SECTION = "screens"
DATA = Path("benchmarks/detection_data")
COUNT, PER_PICTURE = 24, 8  # screens, and as many scenes; questions
_PHRASES, _ABSENT = 14, 3  # of a picture; what is looked for and not there
_FEW = 25  # things that a prompt holds as text


def run(setting: Setting, report: Report) -> None:
    """Ask all columns about the pictures."""
    for column, replies in setting.panel.ask(list(questions(material(setting))), SECTION).items():
        report.add(column, (outcome for reply in replies for outcome in reply.outcomes))


def questions(materials: Sequence[Material]) -> Iterator[Asked]:
    """Everything that is asked of some pictures."""
    for one in materials:
        found = one.inputs[0].perception.result
        assert isinstance(found, tuple)
        things = f"{'up to' if len(found) <= _FEW else 'more than'} {_FEW}"
        tags = {"kind": one.sample.kind, "language": one.sample.language, "things": things, "asked": one.sample.layout}
        tasks = [replace(task, kind=task.kind.removeprefix("screen_")) for task in one.sample.tasks]
        yield from asked_of(SECTION, tasks, one.inputs, tags)


def material(setting: Setting) -> list[Material]:
    """The pictures of the table, looked at."""

    def make() -> list[Material]:
        count = setting.count(COUNT)
        return list(chain(_seen(setting, "screen", count), _seen(setting, "scene", count)))

    return setting.material(SECTION, make)


def _seen(setting: Setting, kind: str, count: int) -> Iterator[Material]:
    """Some pictures of a kind, each with its questions."""
    lines = (DATA / f"{kind}s.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if "image" in row][:count]
    drawn = [_things(row) for row in rows]
    encoder: GuiEncoder | ObjectEncoder
    encoder = GuiEncoder(GuiConfig(features=True)) if kind == "screen" else ObjectEncoder(ObjectConfig(features=True))
    encoder.load(setting.device)
    for number, (row, things) in enumerate(zip(rows, drawn, strict=True)):
        rng = random.Random(f"{kind}-{number}")
        others = [name for k, some in enumerate(drawn) if k != number for name in _phrases(some)]
        phrases = _phrases(things)
        rng.shuffle(phrases)
        absent = rng.sample([name for name in others if name not in phrases], _ABSENT) if phrases else []
        queries = (*phrases[:_PHRASES], *absent) if kind == "screen" and number % 2 and phrases else ()
        path = DATA / row["image"]
        (found,) = encoder([MediaInput(path.stem, str(path), "image/webp", path=path, queries=queries)])
        seen = detected(found, encoder.name)
        look = look_of(seen)
        if len(look) < 2:
            continue
        look = replace(look, names=tuple(names_of(look.labels, look.boxes, things, exact=kind == "screen")))
        lacking = absent if queries else [name for name in (KINDS if kind == "screen" else others) if name != "object"]
        tasks = ask(look, seen, rng, lacking, mode="both", held_out=True)[:PER_PICTURE]
        asked = "phrases" if queries else "everything"
        sample = Sample(number, kind, "en", asked, (), (), tuple(tasks), held_out=True)
        yield Material(sample, (Input(encoder.name, f"{SECTION}-{path.stem}", seen),))
    encoder.close()


def detected(found: Perception, task: str) -> Detected:
    """A perception that knows which detector it is of."""
    return Detected(**{own.name: getattr(found, own.name) for own in fields(found)}, task=task)


def _things(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What was drawn on a picture: {box, name, kind}."""
    own = row.get("elements") or row["things"]
    return [
        {"box": one["box"], "name": one.get("name") or one.get("icon") or "", "kind": one.get("kind", "object")}
        for one in own
    ]


def _phrases(things: Sequence[dict[str, Any]]) -> list[str]:
    """What may be looked for among some things, by name and kind."""
    named = [one for one in things if one["name"] and len(one["name"].split()) <= 3]
    found = (one["name"] if one["kind"] == "object" else f"{one['name']} {one['kind']}" for one in named)
    return list(dict.fromkeys(found))
