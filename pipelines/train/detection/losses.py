"""Which places answer for which element, and the finder's losses.

Assignment by task alignment as in TOOD (arXiv 2108.07755), written anew: the places inside an element whose box and
objectness fit best answer for it; objectness learns how well the box fits.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from encoders.detection.network import POINTER_SCALE, Found
from pipelines.train.detection.batches import PASSIVE, Truth

TOP = 10
LEAST = 10.0  # pixels; thinner elements would hold no place


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes that broadcast against each other, [..., 4]."""
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area_a, area_b = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1), (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return inner / (area_a + area_b - inner + 1e-6)


def giou_loss(a: Tensor, b: Tensor) -> Tensor:
    """1 - GIoU of pairs [n, 4]."""
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inner + 1e-6
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1) + 1e-6
    return 1 - inner / union + (hull - union) / hull


@torch.no_grad()
def assign(found: Found, truth: Truth) -> tuple[Tensor, Tensor, Tensor]:
    """For every place: the element it answers for ([b, places], -1 for none), how much ([b, places], 0..1), and the
    weight of its objectness ([b, places]; little inside pictures, which may show things)."""
    boxes = truth.boxes
    grow = ((LEAST - (boxes[..., 2:] - boxes[..., :2])) / 2).clamp(min=0)
    x, y = found.places[:, 0], found.places[:, 1]
    low, high = boxes[..., :2] - grow, boxes[..., 2:] + grow
    inside = (x > low[..., 0:1]) & (x < high[..., 0:1]) & (y > low[..., 1:2]) & (y < high[..., 1:2])
    inside &= truth.there[..., None]
    iou = overlap(boxes[:, :, None], found.boxes[:, None])
    fit = (found.objectness.sigmoid()[:, None].sqrt() * iou.pow(4) + 1e-9) * inside
    best = fit.topk(TOP, dim=2)
    chosen = torch.zeros_like(fit, dtype=torch.bool).scatter_(2, best.indices, best.values > 0)
    claimed = torch.where(chosen, iou + 1e-6, 0.0)
    value, element = claimed.max(1)
    taken = value > 0
    mine = torch.zeros_like(chosen).scatter_(1, element[:, None], taken[:, None])
    fit, iou = fit * mine, iou * mine
    share = fit / fit.amax(2, keepdim=True).clamp(min=1e-9) * iou.amax(2, keepdim=True)
    amount = share.sum(1).clamp(0, 1)
    passive = torch.zeros_like(truth.there)
    for kind in PASSIVE:
        passive |= (truth.kinds == kind) & truth.there
    within = (inside & passive[..., None]).any(1)
    weight = torch.where(within & ~taken, 0.1, 1.0)
    return torch.where(taken, element, -1), amount, weight


def losses(found: Found, truth: Truth) -> dict[str, Tensor]:
    """Objectness, box, kind and pointer losses, each a scalar."""
    element, amount, weight = assign(found, truth)
    total = amount.sum().clamp(min=1)
    objectness = (
        functional.binary_cross_entropy_with_logits(found.objectness, amount, weight=weight, reduction="sum") / total
    )
    row, place = (element >= 0).nonzero(as_tuple=True)
    target = element[row, place]
    worth = amount[row, place] + 0.05
    scale = worth.sum().clamp(min=1)
    boxes, wanted = found.boxes[row, place], truth.boxes[row, target]
    box = (giou_loss(boxes, wanted) * worth).sum() / scale
    sides = (wanted[:, 2:] - wanted[:, :2]).clamp(min=8).repeat(1, 2)
    fine = (
        functional.smooth_l1_loss(boxes / sides, wanted / sides, beta=0.05, reduction="none").sum(1) * worth
    ).sum() / scale
    kind = (
        functional.cross_entropy(
            found.kinds[row, place], truth.kinds[row, target], reduction="none", label_smoothing=0.02
        )
        * worth
    ).sum() / scale
    pointed = truth.pointed[row, target]
    off = functional.smooth_l1_loss(
        found.pointers[row, place] / POINTER_SCALE,
        truth.pointers[row, target] / POINTER_SCALE,
        beta=0.1,
        reduction="none",
    ).mean(1)
    pointer = (off * worth * pointed).sum() / (worth * pointed).sum().clamp(min=1)
    return {"objectness": objectness, "box": 2 * box, "fine": 0.5 * fine, "kind": kind, "pointer": pointer}
