"""Look at generated screens and scenes with the real detectors, once, where there are pictures of them.

    python -m pipelines.train.hybrid.screens.perceive --pages PAGES --sprites SPRITES.tar --vocabulary VOCABULARY.npz \\
        --out looks.npz

PAGES is what `pipelines.train.detection.capture` wrote (a folder with pages-*.jsonl); sprites and vocabulary are those
of the detectors' own training, for scenes. Goes on writing OUT every few hundred pictures, so it can be stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.detection.candidates import Candidates, overlaps
from encoders.detection.config import GuiConfig, ObjectConfig
from encoders.detection.encoder import GuiEncoder, ObjectEncoder
from pipelines.train.hybrid.screens.looks import Look, write_looks

_SAME = 0.5  # overlap of a found thing with a drawn one that it is taken for
_EVERY = 200  # pictures between two writings

Picture = tuple[NDArray[np.uint8], list[dict[str, Any]]]
"""Pixels [h, w, 3], and the things drawn: {box, name, kind}."""


def pages(folder: Path, rng: random.Random) -> Iterator[Picture]:
    """The screens of a folder in random order, papers left out."""
    files = sorted(folder.glob("pages-*.jsonl"))
    rows = [json.loads(line) for path in files for line in path.read_text("utf-8").split("\n") if line]
    rng.shuffle(rows)
    for row in rows:
        path = folder / row["image"]
        if row["kit"] == "paper" or not path.exists():
            continue
        things = [
            {"box": one["box"], "name": one.get("name") or one.get("icon") or "", "kind": one["kind"]}
            for one in row["elements"]
        ]
        yield np.asarray(Image.open(path).convert("RGB")), things


def scenes(sprites: Path, vocabulary: Path, seed: int, *, held_out: bool, side: int = 640) -> Iterator[Picture]:
    """Endless scenes of drawn things over made grounds."""
    import torch

    from pipelines.train.detection.batches import Drawings
    from pipelines.train.detection.scenes import compose, grounds, mask_boxes

    torch.manual_seed(seed)
    cpu = torch.device("cpu")
    drawings = Drawings(sprites, vocabulary, cpu, held_out=held_out)
    rows = [n for n, row in enumerate(drawings.emoji_rows) if row["group"] in (3, 4, 5, 6, 7)]
    drawings.emoji, drawings.emoji_rows = drawings.emoji[rows], [drawings.emoji_rows[n] for n in rows]
    while True:
        images, masks, kinds, which = compose(drawings, 1, side, grounds(1, side, None, cpu), 0.0, 9)
        boxes, enough = mask_boxes(masks[0])
        things = [
            {"box": boxes[n].tolist(), "name": drawings.emoji_rows[int(which[0, n])]["names"][0], "kind": "object"}
            for n in range(masks.shape[1])
            if int(kinds[0, n]) >= 0 and bool(enough[n])
        ]
        yield (images[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8), things


def looked(task: str, found: Candidates, picture: Picture, most: int, rng: random.Random) -> Look | None:
    """What was found in a picture, with the names of what was drawn there; ``most`` things at random."""
    pixels, things = picture
    rows = sorted(rng.sample(range(len(found)), min(most, len(found))))
    if len(rows) < 2:
        return None
    found = found.take(rows)
    names = names_of(found.labels, found.boxes, things, exact=task == "gui_detection")
    height, width = pixels.shape[:2]
    return Look(task, width, height, tuple(found.labels), tuple(names), found.boxes, found.scores, found.vectors)


def names_of(
    labels: Sequence[str], boxes: NDArray[np.float32], things: Sequence[dict[str, Any]], *, exact: bool
) -> list[str]:
    """The names of the drawn things that boxes [n, 4] lie on, "" where there is none. ``exact``: of the same kind."""
    names = [""] * len(labels)
    if things:
        shared = overlaps(boxes, np.array([one["box"] for one in things], np.float32))
        for row, at in enumerate(shared.argmax(1)):
            alike = not exact or labels[row] == things[at]["kind"]
            if shared[row, at] >= _SAME and alike:
                names[row] = " ".join(things[at]["name"].split())
    return names


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--sprites", type=Path, help="without it there are no scenes")
    parser.add_argument("--vocabulary", type=Path)
    parser.add_argument("--held-out", action="store_true", help="scenes of things that no training shows")
    parser.add_argument("--scenes", type=float, default=0.3, help="share of scenes among the pictures")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--most", type=int, default=36, help="things of a picture that are kept")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    encoders = (GuiEncoder(GuiConfig(features=True)), ObjectEncoder(ObjectConfig(features=True)))
    for encoder in encoders:
        encoder.load()
    screens = pages(given.pages, rng)
    drawn = scenes(given.sprites, given.vocabulary, given.seed, held_out=given.held_out) if given.sprites else None
    kept: list[Look] = []
    started = time.monotonic()
    while len(kept) < given.count:
        scene = drawn is not None and rng.random() < given.scenes
        picture = next(drawn, None) if scene and drawn is not None else next(screens, None)
        if picture is None:
            break
        encoder = encoders[scene]
        look = looked(encoder.name, encoder.detect(picture[0]), picture, given.most, rng)
        if look is not None:
            kept.append(look)
            if len(kept) % _EVERY == 0:
                _written(given.out, kept, started)
    _written(given.out, kept, started)
    for encoder in encoders:
        encoder.close()


def _written(out: Path, kept: Sequence[Look], started: float) -> None:
    write_looks(out, kept)
    things = sum(map(len, kept))
    size = out.stat().st_size / 1e6
    print(f"{len(kept)} pictures, {things} things, {size:.1f} MB, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
