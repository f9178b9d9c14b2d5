"""Scenes of categories that training never saw: ``python -m pipelines.train.detection.held_scenes SPRITES.tar VOCABULARY OUT``.

Writes ``scene-N.webp`` and ``scenes.jsonl`` with rows {image, things: [{name, box}]}, and the whole held-out vocabulary.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pipelines.train.detection.batches import Drawings
from pipelines.train.detection.scenes import compose, grounds, mask_boxes


def main() -> None:
    """Compose and write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sprites", type=Path)
    options.add_argument("vocabulary", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--scenes", type=int, default=40)
    options.add_argument("--side", type=int, default=640)
    options.add_argument("--seed", type=int, default=77)
    chosen = options.parse_args()
    torch.manual_seed(chosen.seed)
    chosen.out.mkdir(parents=True, exist_ok=True)
    drawings = Drawings(chosen.sprites, chosen.vocabulary, torch.device("cpu"), held_out=True)
    categories = {
        row["names"][0] for row in drawings.emoji_rows if row["set"] != "noto" and row["group"] in (3, 4, 5, 6, 7)
    }
    rows = [n for n, row in enumerate(drawings.emoji_rows) if row["names"][0] in categories]
    drawings.emoji = drawings.emoji[rows]
    drawings.emoji_rows = [drawings.emoji_rows[n] for n in rows]
    with (chosen.out / "scenes.jsonl").open("w", encoding="utf-8") as out:
        out.write(json.dumps({"vocabulary": sorted(categories)}) + "\n")
        for number in range(chosen.scenes):
            canvas = grounds(1, chosen.side, None, torch.device("cpu"))
            images, masks, kinds, which = compose(drawings, 1, chosen.side, canvas, 0.0, 8)
            boxes, enough = mask_boxes(masks[0])
            things = [
                {"name": drawings.emoji_rows[int(which[0, n])]["names"][0], "set": drawings.emoji_rows[int(which[0, n])]["set"],
                 "box": [round(float(v), 1) for v in boxes[n]]}
                for n in range(masks.shape[1]) if int(kinds[0, n]) >= 0 and bool(enough[n])
            ]  # fmt: skip
            if not things:
                continue
            name = f"scene-{number}.webp"
            pixels = (images[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
            Image.fromarray(pixels).save(chosen.out / name, quality=80, method=6)
            out.write(json.dumps({"image": name, "things": things}) + "\n")


if __name__ == "__main__":
    main()
