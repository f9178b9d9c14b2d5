"""What the finder's scores are worth: ``python -m pipelines.train.detection.calibrate FINDER PAGES.tar``.

Fits slope and offset of a logistic curve over the logits of suppressed boxes on pages kept out of training, against
whether a box covers an element at an overlap of 0.5. Prints both, for `pack`, and the calibration error before and after.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

from encoders.detection.network import Finder
from pipelines.train.detection.batches import Pages
from pipelines.train.detection.losses import overlap
from pipelines.train.detection.train_finder import KEPT, suppressed


def calibration_error(chances: np.ndarray, hits: np.ndarray) -> float:  # type: ignore[type-arg]
    """Mean distance of confidence and precision over ten equal bins, weighted by their size."""
    bins = np.clip((chances * 10).astype(int), 0, 9)
    return float(sum(abs(chances[bins == b].mean() - hits[bins == b].mean()) * (bins == b).mean() for b in set(bins)))


def main() -> None:
    """Fit and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("finder", type=Path)
    options.add_argument("pages", type=Path, nargs="+")
    options.add_argument("--most", type=int, default=60, help="pages to look at")
    chosen = options.parse_args()
    pages = Pages(chosen.pages, torch.device("cpu"))
    kept = [n for n, row in enumerate(pages.rows) if int(row["image"].split("-")[1]) % KEPT == 0][: chosen.most]
    network = Finder().eval()
    network.load_state_dict({name: value.float() for name, value in load_file(chosen.finder).items()}, strict=False)
    rng = np.random.default_rng(0)
    logits, hits = [], []
    for number in kept:
        image, elements = pages.view(number, 832, 1.0, rng)
        with torch.inference_mode():
            found = network(image[None])
        rows = suppressed(found, score=0.05)
        if not len(rows) or not len(elements):
            continue
        best, at = overlap(found.boxes[0, rows][:, None], elements[None, :, :4]).max(1)
        taken: set[int] = set()
        for logit, value, element in zip(found.objectness[0, rows].tolist(), best.tolist(), at.tolist()):
            logits.append(logit)
            hits.append(value > 0.5 and element not in taken)
            if value > 0.5:
                taken.add(element)
    x, y = np.array(logits), np.array(hits)
    fitted = LogisticRegression(C=1e6).fit(x[:, None], y)
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    before, after = (calibration_error(1 / (1 + np.exp(-v)), y) for v in (x, slope * x + offset))
    print(
        f"{len(kept)} pages, {len(x)} boxes: error {before:.3f} before, {after:.3f} after; --calibration {slope:.4f} {offset:.4f}"
    )


if __name__ == "__main__":
    main()
