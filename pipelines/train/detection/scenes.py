"""Scenes composed on the device: emoji and icons over varied grounds, with occlusion, turns and other colours."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from encoders.detection.network import KINDS
from pipelines.train.detection.batches import Drawings, Pages

OBJECT, ICON = KINDS.index("object"), KINDS.index("icon")
MOST_OBJECTS = 12


def grounds(b: int, side: int, pages: Pages | None, device: torch.device) -> Tensor:
    """[b, 3, side, side]: flat, graded, noisy at several sizes, or a piece of a page out of focus."""
    one, two = torch.rand(b, 3, 1, 1, device=device), torch.rand(b, 3, 1, 1, device=device)
    angle = torch.rand(b, 1, 1, 1, device=device) * 2 * math.pi
    line = torch.linspace(-1, 1, side, device=device)
    ramp = (line.view(1, 1, 1, -1) * angle.cos() + line.view(1, 1, -1, 1) * angle.sin()) * 0.4 + 0.5
    out = one * (1 - ramp) + two * ramp
    flat = torch.rand(b, 1, 1, 1, device=device) < 0.25
    out = torch.where(flat, one.expand_as(out), out)
    for cells in (3, 8, 24, 80):
        noise = torch.rand(b, 3, cells, cells, device=device) - 0.5
        noise = functional.interpolate(noise, (side, side), mode="bilinear")
        amount = torch.rand(b, 1, 1, 1, device=device) * 0.5 * (torch.rand(b, 1, 1, 1, device=device) < 0.4)
        out = out + noise * amount
    # Hard edges: boxes and discs that are nothing in particular.
    grid_y, grid_x = line.view(1, 1, -1, 1), line.view(1, 1, 1, -1)
    for _ in range(4):
        cx, cy, rx, ry = ((torch.rand(b, 1, 1, 1, device=device) * 2 - 1) for _ in range(4))
        dx, dy = (grid_x - cx).abs() / (rx.abs() + 0.05), (grid_y - cy).abs() / (ry.abs() + 0.05)
        shape = torch.where(torch.rand(b, 1, 1, 1, device=device) < 0.5, torch.maximum(dx, dy), dx * dx + dy * dy)
        inside = (shape < 1) & (torch.rand(b, 1, 1, 1, device=device) < 0.35)
        out = torch.where(inside, torch.rand(b, 3, 1, 1, device=device).expand_as(out), out)
    if pages is not None:
        rng = np.random.default_rng(int(torch.randint(1 << 31, (1,))))
        for row in range(b):
            if rng.random() < 0.2:
                piece, _ = pages.view(int(rng.integers(len(pages))), side, float(rng.uniform(0.5, 2)), rng)
                small = functional.avg_pool2d(piece[None], 8)
                out[row] = functional.interpolate(small, (side, side), mode="bilinear")[0]
    return out.clamp(0, 1)


def scenes(drawings: Drawings, b: int, side: int, pages: Pages | None) -> tuple[Tensor, list[Tensor]]:
    """Images [b, 3, side, side] and for each its elements [n, 10] as `Pages.view` gives them."""
    images, masks, kinds, _ = compose(drawings, b, side, grounds(b, side, pages, drawings.device), 0.25)
    return images, [_elements(masks[row], kinds[row], side) for row in range(b)]


def compose(
    drawings: Drawings, b: int, side: int, canvas: Tensor, icons: float, most: int = MOST_OBJECTS
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Paste 1 to ``most`` drawings on each canvas.

    Returns images, what can be seen of each object [b, most, side, side] (0..1), its kind (-1: none) and which drawing
    it is [b, most] (emoji; icons count from the number of emoji on).
    """
    device = drawings.device
    wanted = torch.randint(1, most + 1, (b,), device=device)
    seen: list[Tensor] = []
    kinds = torch.full((b, most), -1, dtype=torch.long, device=device)
    which = torch.full((b, most), -1, dtype=torch.long, device=device)
    for number in range(most):
        active = (number < wanted).view(b, 1, 1, 1)
        as_icon = torch.rand(b, device=device) < icons
        rgba, chosen = pick(drawings, as_icon)
        size = torch.exp(torch.rand(b, device=device) * math.log(0.62 * side / 22) + math.log(22))
        size = torch.where(as_icon, 14 + (size - 22) * 0.3, size)
        turn = torch.randn(b, device=device) * 0.22 * (~as_icon)
        flip = torch.where((torch.rand(b, device=device) < 0.5) & ~as_icon, -1.0, 1.0)
        stretch = torch.exp(torch.randn(b, device=device) * 0.08)
        x, y = (torch.rand(b, device=device) * side for _ in range(2))
        pasted = place(rgba, x, y, size, turn, flip, stretch, side)
        alpha = pasted[:, 3:] * active
        canvas = canvas * (1 - alpha) + pasted[:, :3] * alpha
        seen = [earlier * (1 - alpha[:, 0]) for earlier in seen] + [alpha[:, 0]]
        there = active.view(b)
        kinds[:, number] = torch.where(there, torch.where(as_icon, ICON, OBJECT), -1)
        which[:, number] = torch.where(there, chosen, -1)
    return canvas, torch.stack(seen, 1), kinds, which


def pick(drawings: Drawings, as_icon: Tensor) -> tuple[Tensor, Tensor]:
    """Random drawings as [b, 4, 96, 96] in 0..1, icons in one random colour, and their numbers."""
    b, device = len(as_icon), drawings.device
    emoji = torch.randint(len(drawings.emoji), (b,), device=device)
    icon = torch.randint(len(drawings.icons), (b,), device=device)
    colour = drawings.emoji[emoji].float() / 255
    ink = functional.interpolate(drawings.icons[icon][:, None].float() / 255, (96, 96), mode="bilinear")
    paint = torch.rand(b, 3, 1, 1, device=device).expand(b, 3, 96, 96)
    grey = torch.rand(b, 1, 1, 1, device=device) < 0.5
    paint = torch.where(grey, paint.mean(1, keepdim=True).round(), paint)
    icons = torch.cat((paint, ink), 1)
    flat = as_icon.view(b, 1, 1, 1)
    gain = torch.rand(b, 3, 1, 1, device=device) * 0.6 + 0.7
    colour = torch.cat(
        (colour[:, :3] * torch.where(torch.rand(b, 1, 1, 1, device=device) < 0.5, gain, 1.0), colour[:, 3:]), 1
    )
    return torch.where(flat, icons, colour.clamp(0, 1)), torch.where(as_icon, icon + len(drawings.emoji), emoji)


def place(
    rgba: Tensor, x: Tensor, y: Tensor, size: Tensor, turn: Tensor, flip: Tensor, stretch: Tensor, side: int
) -> Tensor:
    """[b, 4, k, k] drawn on empty canvases [b, 4, side, side], centred at x, y, ``size`` pixels wide."""
    b, scale = len(rgba), side / size
    cos, sin = turn.cos(), turn.sin()
    cx, cy = x / side * 2 - 1, y / side * 2 - 1
    row_x = torch.stack((cos, sin, -(cos * cx + sin * cy)), 1) * (scale * flip / stretch)[:, None]
    row_y = torch.stack((-sin, cos, sin * cx - cos * cy), 1) * (scale * stretch)[:, None]
    grid = functional.affine_grid(torch.stack((row_x, row_y), 1), [b, 4, side, side], align_corners=False)
    # Far smaller than the drawing: take it from a smaller copy, or it flickers.
    small = functional.avg_pool2d(rgba, 3)
    drawn = functional.grid_sample(rgba, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    tiny = functional.grid_sample(small, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return torch.where((size < 40).view(b, 1, 1, 1), tiny, drawn)


def _elements(masks: Tensor, kinds: Tensor, side: int) -> Tensor:
    boxes, enough = mask_boxes(masks)
    keep = (kinds >= 0) & enough
    out = torch.zeros(int(keep.sum()), 10, device=masks.device)
    out[:, :4] = boxes[keep]
    out[:, 4] = kinds[keep].float()
    return out


def mask_boxes(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes [n, 4] of what can be seen in masks [n, h, w], and whether there is enough of it."""
    on = masks > 0.35
    columns, rows = on.any(1), on.any(2)
    side = columns.shape[1]
    x0, y0 = columns.float().argmax(1), rows.float().argmax(1)
    x1, y1 = side - columns.flip(1).float().argmax(1), side - rows.flip(1).float().argmax(1)
    boxes = torch.stack((x0, y0, x1, y1), 1).float()
    extent = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    ink = on.flatten(1).sum(1)
    return boxes, (ink > 40) & (ink > 0.12 * extent) & ((boxes[:, 2:] - boxes[:, :2]).amin(1) >= 7)
