"""What the detector sees on unseen screens and scenes: ``python -m benchmarks.detection_pictures --out FILE``.

One picture of ten screens and ten scenes at random, then the five of all with the least overlap of found and true
boxes. Found boxes are coloured by kind, true boxes that nothing covers are red.
"""

from __future__ import annotations

import argparse
import json
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.detection import DATA, load_screens, pixels
from encoders.detection.candidates import overlaps
from encoders.detection.config import GuiConfig, ObjectConfig
from encoders.detection.encoder import GuiEncoder, ObjectEncoder

CELL = (640, 480)


def drawn(image: Any, found: Any, true: list[list[float]]) -> tuple[Image.Image, float]:
    """The picture, and the mean of recall and precision of its boxes."""
    shown = Image.fromarray(image)
    pen = ImageDraw.Draw(shown)
    boxes = np.array(true, np.float32).reshape(-1, 4)
    iou = overlaps(found.boxes, boxes) if len(found) and len(boxes) else np.zeros((len(found), len(boxes)), np.float32)
    covered = (iou >= 0.5).any(0) if len(found) else np.zeros(len(boxes), bool)
    for box, is_covered in zip(true, covered):
        if not is_covered:
            for inset in (0, 2, 4):
                pen.rectangle(
                    [
                        box[0] + inset,
                        box[1] + inset,
                        max(box[2] - inset, box[0] + inset),
                        max(box[3] - inset, box[1] + inset),
                    ],
                    outline=(230, 0, 0),
                )
    for label, score, box in zip(found.labels, found.scores, found.boxes):
        colour = tuple(40 + (zlib.crc32(label.encode()) >> shift) % 170 for shift in (0, 8, 16))
        pen.rectangle(box.tolist(), outline=colour, width=2)
        pen.text((float(box[0]) + 2, max(0.0, float(box[1]) - 10)), f"{label} {score:.2f}", fill=colour)
    right = (iou >= 0.5).any(1).mean() if len(found) and len(boxes) else 0.0
    shown.thumbnail(CELL)
    return shown, float(right + (covered.mean() if len(boxes) else 1.0)) / 2


def main() -> None:
    """Draw the page of pictures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--out", type=Path, required=True)
    chosen = options.parse_args()
    pictures: list[tuple[str, Image.Image, float]] = []
    gui = GuiEncoder(GuiConfig())
    gui.load()
    for number, (image, elements, kit) in enumerate(load_screens(chosen.data, 40)):
        shown, value = drawn(image, gui.detect(image, ()), [e["box"] for e in elements])
        pictures.append((f"screen {number} ({kit}): {value:.2f}", shown, value))
    gui.close()
    objects = ObjectEncoder(ObjectConfig(min_confidence=0.1))
    objects.load()
    first, *rows = [json.loads(line) for line in (chosen.data / "scenes.jsonl").read_text("utf-8").splitlines()]
    for number, row in enumerate(rows):
        image = pixels(chosen.data / row["image"])
        names = sorted({t["name"] for t in row["things"]})
        absent = random.Random(number).sample([n for n in first["vocabulary"] if n not in names], 20)
        shown, value = drawn(image, objects.detect(image, names + absent), [t["box"] for t in row["things"]])
        pictures.append((f"scene {number} ({', '.join(names)[:60]}): {value:.2f}", shown, value))
    objects.close()
    rng = random.Random(4)
    screens, scenes = (
        [p for p in pictures if p[0].startswith("screen")],
        [p for p in pictures if p[0].startswith("scene ")],
    )
    page = [*rng.sample(screens, min(10, len(screens))), *rng.sample(scenes, min(10, len(scenes)))]
    page += [(f"WORST {name}", shown, value) for name, shown, value in sorted(pictures, key=lambda p: p[2])[:5]]
    across = 5
    sheet = Image.new("RGB", (across * CELL[0], -(-len(page) // across) * (CELL[1] + 16)), (30, 30, 34))
    pen = ImageDraw.Draw(sheet)
    for at, (name, shown, _) in enumerate(page):
        x, y = at % across * CELL[0], at // across * (CELL[1] + 16)
        pen.text((x + 4, y + 2), name, fill=(255, 255, 255))
        sheet.paste(shown, (x, y + 16))
    sheet.save(chosen.out, quality=70)
    print(chosen.out, len(page), "pictures")


if __name__ == "__main__":
    main()
