"""Train the finder: ``python -m pipelines.train.detection.train_finder DATA OUT --seconds 500``.

DATA holds ``pages-*.tar`` (from capture), ``sprites.tar`` and ``vocabulary.npz``. Weights, log and a check on pages that
are kept apart go to OUT every two minutes and at the end.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from encoders.detection.network import KINDS, Finder, Found
from pipelines.train.detection.batches import Drawings, Pages, Truth, recolour, truth
from pipelines.train.detection.losses import losses, overlap
from pipelines.train.detection.pace import Average, Log, Pace, parameter_groups, save
from pipelines.train.detection.scenes import scenes

KEPT = 20  # every so many-th page is kept for checks


def page_views(pages: Pages, numbers: np.ndarray, side: int, rng: np.random.Generator) -> tuple[Tensor, list[Tensor]]:  # type: ignore[type-arg]
    """Views at random scales, most of them as the page is shown."""
    images, elements = [], []
    for number in numbers:
        scale = 1.0 if rng.random() < 0.3 else float(np.exp(rng.uniform(np.log(0.55), np.log(1.9))))
        image, there = pages.view(int(number), side, scale, rng)
        images.append(image)
        elements.append(there)
    return torch.stack(images), elements


@torch.no_grad()
def check(network: Finder, pages: Pages, numbers: list[int], device: torch.device) -> dict[str, float]:
    """Share of kept elements that a box of score >= 0.3 covers at an IoU of 0.5, of its kind; and boxes per element."""
    rng = np.random.default_rng(0)
    hit = kind = total = boxes = 0
    for number in numbers:
        image, elements = pages.view(number, 832, 1.0, rng)
        with torch.autocast(device.type, torch.bfloat16):
            maps = network(image[None].contiguous(memory_format=torch.channels_last))
        kept = suppressed(maps)
        boxes += len(kept)
        total += len(elements)
        if len(kept) and len(elements):
            iou = overlap(elements[:, None, :4], maps.boxes[0, kept][None])
            value, at = iou.max(1)
            hit += int((value > 0.5).sum())
            kind += int(((value > 0.5) & (maps.kinds[0, kept].argmax(1)[at] == elements[:, 4].long())).sum())
    return {"recall": hit / total, "recall_kind": kind / total, "boxes_per_element": boxes / total}


def suppressed(found: Found, score: float = 0.3, iou: float = 0.6, most: int = 300) -> Tensor:
    """Places of the first image that stand after plain non-maximum suppression."""
    scores = found.objectness[0].sigmoid()
    order = scores.topk(min(most, len(scores))).indices
    order = order[scores[order] > score]
    pairs = overlap(found.boxes[0, order][:, None], found.boxes[0, order][None]) > iou
    keep = torch.ones(len(order), dtype=torch.bool)
    pairs = pairs.cpu()
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= ~pairs[i, i + 1 :]
    return order[keep.to(order.device)]


def main() -> None:
    """Train for the given time."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--seconds", type=float, default=500)
    options.add_argument("--side", type=int, default=640)
    options.add_argument("--views", type=int, default=28, help="page views of a batch")
    options.add_argument("--scenes", type=int, default=16, help="composed scenes of a batch")
    options.add_argument("--rate", type=float, default=1.5e-3)
    options.add_argument("--start", type=Path, help="weights to go on from")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(chosen.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    rng = np.random.default_rng(chosen.seed)
    started = time.monotonic()
    pages = Pages(sorted(chosen.data.glob("pages-*.tar")), device)
    drawings = Drawings(chosen.data / "sprites.tar", chosen.data / "vocabulary.npz", device)
    kept = [n for n, row in enumerate(pages.rows) if int(row["image"].split("-")[1]) % KEPT == 0]
    seen = np.array([n for n in range(len(pages)) if n not in set(kept)])
    network = Finder().to(device, memory_format=torch.channels_last)
    if chosen.start:
        network.load_state_dict({k: v.float() for k, v in load_file(chosen.start).items()}, strict=False)
    average = Average(network)
    optimizer = torch.optim.AdamW(parameter_groups(network, 0.03), lr=chosen.rate, betas=(0.9, 0.99))
    chosen.out.mkdir(parents=True, exist_ok=True)
    log = Log(chosen.out / "finder.jsonl")
    log(
        pages=len(pages),
        kept=len(kept),
        emoji=len(drawings.emoji),
        icons=len(drawings.icons),
        loading=time.monotonic() - started,
    )
    pace, step, saved = Pace(chosen.seconds, chosen.rate), 0, 0.0
    sums: dict[str, float] = {}
    while pace.passed < 1:
        pace.set(optimizer)
        images, elements = page_views(pages, rng.choice(seen, chosen.views), chosen.side, rng)
        composed, others = scenes(drawings, chosen.scenes, chosen.side, pages)
        batch = recolour(torch.cat((images, composed))).contiguous(memory_format=torch.channels_last)
        wanted: Truth = truth(elements + others, device)
        with torch.autocast(device.type, torch.bfloat16):
            found = network(batch)
        parts = losses(found, wanted)
        loss = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        average.update(network)
        step += 1
        if step % 50 == 0:
            values = {name: float(part.detach()) for name, part in parts.items()}
            sums = values if not sums else {k: 0.8 * sums[k] + 0.2 * v for k, v in values.items()}
            log(step=step, passed=pace.passed, loss=float(loss.detach()), **sums)
        if pace.passed - saved > 0.2:
            saved = pace.passed
            log(step=step, **check(average.network, pages, kept[:40], device))
            save(average.network, chosen.out / "finder.safetensors")
    log(step=step, **check(average.network, pages, kept, device), kinds=len(KINDS))
    save(average.network, chosen.out / "finder.safetensors")


if __name__ == "__main__":
    main()
