"""Render lines: ``python -m pipelines.train.script.dataset OUT [--lines N] [--fonts FOLDER]``.

OUT is one .npz: ``png`` (bytes of all lines), ``offsets`` [n + 1], ``label`` [n] (index into CLASSES) and
``evaluation`` [n] (held out).
A line is 40 px high, at most 400 px wide, 8 grey levels, dark on white; training degrades it on the fly.
"""

from __future__ import annotations

import argparse
import io
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from encoders.ocr.script_network import CLASSES, HEIGHT
from pipelines.train.script import texts
from pipelines.train.script.faces import FONT_FOLDERS, can_write, evaluation_face, faces_for
from pipelines.train.script.render import Face, face_at

WIDEST = 400
SHARE = {"Latn": 4.0, "Zyyy": 1.6, "Cyrl": 2.0, "Grek": 1.6, "Hani": 1.6, "Jpan": 1.4, "Hang": 1.2, "Arab": 1.3}


def families(faces: list[Face]) -> list[list[Face]]:
    """Faces by family, so that a family of forty cuts counts no more than one of a single cut."""
    groups: dict[str, list[Face]] = {}
    for face in faces:
        groups.setdefault(face.path.name[:6].lower(), []).append(face)
    return list(groups.values())


def render_line(text: str, face: Face, rng: random.Random) -> Image.Image | None:
    """The line as a detector crops it: a little paper around the ink. None when the face draws nothing."""
    font = face_at(face, rng.choice((28, 36, 44)))
    left, top, right, bottom = font.getbbox(text)
    if right - left < 4 or bottom - top < 4 or right - left > 20_000:
        return None
    height = bottom - top
    above, below = (round(height * rng.uniform(-0.02, 0.35)) for _ in range(2))
    sides = round(height * rng.uniform(0, 0.5))
    size = (round(right - left) + 2 * sides, round(height) + above + below)
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((sides - left, above - top), text, font=font, fill=0)
    scaled = image.resize((max(4, round(size[0] * HEIGHT / size[1])), HEIGHT), Image.Resampling.LANCZOS)
    start = rng.randint(0, max(0, scaled.width - WIDEST))
    return scaled.crop((start, 0, min(scaled.width, start + WIDEST), HEIGHT))


def render_class(job: tuple[int, str, bool, int, tuple[Path, ...]]) -> list[bytes]:
    """PNG bytes of so many lines of one class."""
    seed, script, evaluation, count, folders = job
    rng = random.Random(seed)
    groups = families([face for face in faces_for(script, folders) if evaluation_face(face) == evaluation])
    lines: list[bytes] = []
    while groups and len(lines) < count:
        text = texts.line(script, evaluation, rng)
        face = rng.choice(rng.choice(groups))
        if not can_write(face, text):
            continue
        image = render_line(text, face, rng)
        if image is None or image.getextrema()[0] > 200:  # type: ignore[operator]
            continue
        grey = (np.asarray(image) // 36 * 36).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(grey).quantize(8).save(buffer, "PNG", optimize=False)
        lines.append(buffer.getvalue())
    return lines


def main() -> None:
    """Render every class, training and held out, and write the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lines", type=int, default=1000, help="training lines of a class of share 1")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="further folders of fonts")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    folders = (*FONT_FOLDERS, *options.fonts)
    jobs = [
        (index * 2 + evaluation, script, bool(evaluation), round(n * SHARE.get(script, 1.0)), folders)
        for index, script in enumerate(CLASSES)
        for evaluation, n in ((0, options.lines), (1, options.lines // 10))
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        rendered = list(pool.map(render_class, jobs))
    pngs = [png for lines in rendered for png in lines]
    label = np.array([CLASSES.index(job[1]) for job, lines in zip(jobs, rendered) for _ in lines], np.uint8)
    evaluation = np.array([job[2] for job, lines in zip(jobs, rendered) for _ in lines], bool)
    offsets = np.cumsum([0, *map(len, pngs)]).astype(np.int64)
    np.savez(
        options.out, png=np.frombuffer(b"".join(pngs), np.uint8), offsets=offsets, label=label, evaluation=evaluation
    )
    print(f"{len(pngs)} lines, {offsets[-1] / 2**20:.1f} MiB, {options.out}")


if __name__ == "__main__":
    main()
