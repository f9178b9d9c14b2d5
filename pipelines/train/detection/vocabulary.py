"""Embeddings of all names of the drawings: ``python -m pipelines.train.detection.vocabulary SPRITES OUT.npz``.

Writes ``texts``, ``vectors`` (float16, centred by ``mean``) and ``mean``, which becomes a part of the weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from encoders.checkpoints.resolve import resolve
from encoders.detection.phrases import PhraseEncoder

MOST_NAMES = 8  # of one drawing


def main() -> None:
    """Embed every name once."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sprites", type=Path)
    options.add_argument("out", type=Path)
    chosen = options.parse_args()
    rows = json.loads((chosen.sprites / "sprites.json").read_text("utf-8"))["sprites"]
    texts = list(dict.fromkeys(name for row in rows for name in row["names"][:MOST_NAMES]))
    seen = {name for row in rows if not row["held_out"] for name in row["names"][:MOST_NAMES]}
    raw = PhraseEncoder(resolve("text_embedding"))(texts)
    mean = raw[[text in seen for text in texts]].mean(0)
    vectors = raw - mean
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(chosen.out, texts=np.array(texts), vectors=vectors.astype(np.float16), mean=mean)
    print(len(texts), "names")


if __name__ == "__main__":
    main()
