"""How many text tokens a printed line costs, against soft tokens, by language: printed before a training.

    python -m pipelines.train.hybrid.documents.ratios

The recogniser reads a line at height 48 and gives a step for every 8 pixels of width; an adapter makes one soft token
of 8, 16 or 32 steps.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

from encoders.checkpoints.resolve import resolve
from pipelines.train.hybrid.documents.faces import Faces
from pipelines.train.hybrid.documents.generate import document
from pipelines.train.hybrid.documents.language import languages
from pipelines.train.hybrid.documents.passages import prose
from pipelines.train.hybrid.documents.sheet import Style

HEIGHT, PIXELS_A_STEP = 48, 8
STEPS_A_TOKEN = (8, 16, 32)
_SIZE, _WIDTH = 28, 760  # of the lines that prose is set in
_HEAD = f"{'':16}{'lines':>7}{'chars':>7}{'text':>7}" + "".join(f"{f'/{n}':>7}" for n in STEPS_A_TOKEN)


def row(tokenizer: Any, lines: list[tuple[str, float]]) -> str:
    """Means over lines (text, width at height 48): characters, text tokens, soft tokens by steps a token; and the
    soft tokens as a share of the text tokens."""
    count = len(lines)
    text = sum(len(tokenizer.encode(line)) for line, _ in lines) / count
    soft = [sum(max(1, -(-int(wide / PIXELS_A_STEP) // n)) for _, wide in lines) / count for n in STEPS_A_TOKEN]
    letters = sum(len(line) for line, _ in lines) / count
    shares = "".join(f"{value / text:7.2f}" for value in soft)
    return f"{count:7}{letters:7.1f}{text:7.1f}" + "".join(f"{value:7.1f}" for value in soft) + "   share" + shares


def prose_lines(language: str, faces: Faces, count: int) -> list[tuple[str, float]]:
    """Lines of prose as a column breaks them, with their widths at height 48."""
    from pipelines.train.script.render import face_at, wrap

    rng, lang, lines = random.Random(0), languages()[language], list[tuple[str, float]]()
    seed = 0
    while len(lines) < count:
        styles = ("cjk",) if lang.wide else ("sans", "serif", "mono")
        style = Style(faces.pick(rng, lang.letters, styles, held_out=False), _SIZE)
        for line in wrap(prose(seed, language), face_at(style.face, style.size), _WIDTH):
            lines.append((line, style.width(line) * HEIGHT / (style.height * 1.1)))
        seed += 1
    return lines


def printed_lines(language: str, faces: Faces, samples: int) -> list[tuple[str, float]]:
    """The lines of generated documents, with their widths at height 48."""
    lines = []
    for seed in range(samples):
        sample = document(seed, faces)
        if sample.language == language:
            for page in (page for pages in sample.documents for page in pages):
                for line in page.lines:
                    left, top, right, bottom = line.box
                    lines.append((line.text, (right - left) * HEIGHT / ((bottom - top) * 1.1)))
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, nargs="+", default=[Path(".train/fonts")], help="folders with fonts")
    parser.add_argument("--decoder", default="decoder", help="checkpoint whose tokenizer counts")
    parser.add_argument("--samples", type=int, default=600, help="documents to make")
    chosen = parser.parse_args()
    from transformers import AutoTokenizer

    tokenizer, faces = AutoTokenizer.from_pretrained(resolve(chosen.decoder)), Faces(chosen.fonts)
    print(_HEAD)
    for language, lang in languages().items():
        if faces.of(lang.letters, ("cjk",) if lang.wide else ("sans",), held_out=False):
            print(f"{language + ' prose':16}" + row(tokenizer, prose_lines(language, faces, 300)))
            if lines := printed_lines(language, faces, chosen.samples):
                print(f"{language + ' documents':16}" + row(tokenizer, lines))


if __name__ == "__main__":
    main()
