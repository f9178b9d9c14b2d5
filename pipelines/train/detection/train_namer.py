"""Train the namer: ``python -m pipelines.train.detection.train_namer DATA OUT --seconds 300``.

A crop is a drawing over some ground, whole or half hidden, seen at 14 to 64 pixels, with pieces of others at its edges.
Its vector is drawn to the (frozen) vector of one of its names and away from those of other names.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from encoders.detection.network import CROP, Namer
from pipelines.train.detection.batches import Drawings, recolour
from pipelines.train.detection.pace import Average, Log, Pace, parameter_groups, save
from pipelines.train.detection.scenes import grounds, pick, place

BANK = 256  # grounds made at once and used, cut and turned, for a while
ALIKE = 0.9  # names this close are not told apart


def crops(drawings: Drawings, n: int, bank: Tensor, icons: float) -> tuple[Tensor, Tensor]:
    """Crops [n, 3, 64, 64] and which drawings they show [n] (icons count from the number of emoji on)."""
    device = drawings.device
    as_icon = torch.rand(n, device=device) < icons
    rgba, which = pick(drawings, as_icon)
    canvas = _pieces(bank, n)
    if (stray := torch.rand(n, device=device) < 0.3).any():  # neighbours
        other, _ = pick(drawings, as_icon)
        angle = torch.rand(n, device=device) * 2 * math.pi
        distance = CROP * (0.55 + 0.25 * torch.rand(n, device=device))
        x, y = CROP / 2 + distance * angle.cos(), CROP / 2 + distance * angle.sin()
        pasted = _placed(other, x, y, CROP * (0.3 + 0.5 * torch.rand(n, device=device)), as_icon)
        alpha = pasted[:, 3:] * stray.view(n, 1, 1, 1)
        canvas = canvas * (1 - alpha) + pasted[:, :3] * alpha
    size = CROP * torch.where(
        as_icon, 0.38 + 0.6 * torch.rand(n, device=device), 0.68 + 0.36 * torch.rand(n, device=device)
    )
    loose = (CROP - size).clamp(min=4) * 0.5
    x, y = (CROP / 2 + (torch.rand(n, device=device) * 2 - 1) * loose * 0.8 for _ in range(2))
    pasted = _placed(rgba, x, y, size, as_icon)
    alpha = pasted[:, 3:]
    # An icon in the colour of its ground shows nothing: push the ground away from it.
    ground = (canvas * alpha).sum((2, 3), keepdim=True) / alpha.sum((2, 3), keepdim=True).clamp(min=1)
    paint = (pasted[:, :3] * alpha).sum((2, 3), keepdim=True) / alpha.sum((2, 3), keepdim=True).clamp(min=1)
    near = ((ground - paint).abs().mean(1, keepdim=True) < 0.2) & as_icon.view(n, 1, 1, 1)
    canvas = torch.where(
        near, torch.where(paint.mean(1, keepdim=True) > 0.5, canvas * 0.3, 1 - (1 - canvas) * 0.3), canvas
    )
    out = canvas * (1 - alpha) + pasted[:, :3] * alpha
    hide = torch.rand(n, device=device) < 0.15
    cut = torch.rand(n, 1, 1, 1, device=device) * 0.35
    line = torch.linspace(0, 1, CROP, device=device)
    across = torch.rand(n, 1, 1, 1, device=device) < 0.5
    ramp = torch.where(across, line.view(1, 1, 1, -1), line.view(1, 1, -1, 1))
    ramp = torch.where(torch.rand(n, 1, 1, 1, device=device) < 0.5, ramp, 1 - ramp)
    hidden = (ramp < cut) & hide.view(n, 1, 1, 1) & ~as_icon.view(n, 1, 1, 1)
    out = torch.where(hidden, _pieces(bank, n), out)
    return recolour_some(_coarse(out)), which


def recolour_some(out: Tensor) -> Tensor:
    """Colour changes; rarer for whole-channel swaps, since colour is part of what emoji are."""
    changed = recolour(out)
    return torch.where(torch.rand(len(out), 1, 1, 1, device=out.device) < 0.4, changed, out)


def _placed(rgba: Tensor, x: Tensor, y: Tensor, size: Tensor, as_icon: Tensor) -> Tensor:
    n, device = len(rgba), rgba.device
    turn = torch.randn(n, device=device) * torch.where(as_icon, 0.02, 0.2)
    flip = torch.where((torch.rand(n, device=device) < 0.5) & ~as_icon, -1.0, 1.0)
    stretch = torch.exp(torch.randn(n, device=device) * 0.07)
    return place(rgba, x, y, size, turn, flip, stretch, CROP)


def _pieces(bank: Tensor, n: int) -> Tensor:
    """Random windows of the grounds at random scales."""
    device = bank.device
    chosen = bank[torch.randint(len(bank), (n,), device=device)]
    scale = torch.rand(n, device=device) * 0.6 + 0.05
    shift = (torch.rand(n, 2, device=device) * 2 - 1) * (1 - scale)[:, None]
    zero = torch.zeros_like(scale)
    theta = torch.stack((torch.stack((scale, zero, shift[:, 0]), 1), torch.stack((zero, scale, shift[:, 1]), 1)), 1)
    grid = functional.affine_grid(theta, [n, 3, CROP, CROP], align_corners=False)
    return functional.grid_sample(chosen, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _coarse(images: Tensor) -> Tensor:
    """As if they had been fewer pixels on the screen: each eighth of the batch at its own size."""
    parts = []
    for part in images.chunk(8):
        side = int(torch.randint(16, 120, (1,)))
        if side < CROP:
            part = functional.interpolate(part, (side, side), mode="bilinear", antialias=True)
            part = functional.interpolate(part, (CROP, CROP), mode="bilinear")
        parts.append(part)
    return torch.cat(parts)


def contrast(vectors: Tensor, names: Tensor, drawings: Drawings, scale: Tensor, negatives: int) -> Tensor:
    """Cross entropy of each crop over the batch's names and some others; ``names`` [n, k] are all its own, -1 for none."""
    n = len(names)
    count = (names >= 0).sum(1)
    main = torch.rand(n, device=names.device) < 0.6
    column = torch.where(main, 0, (torch.rand(n, device=names.device) * count).long())
    target = names.gather(1, column[:, None])[:, 0]
    others = torch.randint(len(drawings.vectors), (negatives,), device=names.device)
    unique, inverse = torch.cat((target, others)).unique(return_inverse=True)
    texts = drawings.vectors[unique]
    logits = scale.exp() * vectors @ texts.T
    goal = inverse[:n]
    close = (texts[goal] @ texts.T) > ALIKE
    own = (
        (unique[None, None] == names[:, :, None]).any(1)
        if n * names.shape[1] * len(unique) < 3e8
        else _own(unique, names)
    )
    hidden = (close | own).scatter(1, goal[:, None], False)
    along = (vectors * texts[goal]).sum(1)
    return functional.cross_entropy(logits.masked_fill(hidden, -1e4), goal) + 2.0 * (1 - along).mean()


def _own(unique: Tensor, names: Tensor) -> Tensor:
    """[n, unique]: which of the (sorted) names are the crop's own."""
    out = torch.zeros(len(names), len(unique) + 1, dtype=torch.bool, device=names.device)
    at = torch.searchsorted(unique, names.clamp(min=0)).clamp(max=len(unique) - 1)
    fits = (unique[at] == names) & (names >= 0)
    out.scatter_(1, torch.where(fits, at, len(unique)), True)
    return out[:, :-1]


@torch.no_grad()
def check(network: Namer, held: Drawings, bank: Tensor, kind: str, n: int = 4096) -> dict[str, float]:
    """How often the right main name wins: of 25 at random, and of all that are held out in this kind."""
    torch.manual_seed(1)
    pixels, which = crops(held, n, bank, 1.0 if kind == "icon" else 0.0)
    names = torch.cat((held.emoji_names[:, 0], held.icon_names[:, 0]))[which]
    vectors = torch.cat([network(part.contiguous(memory_format=torch.channels_last)) for part in pixels.split(1024)])
    table = held.icon_names if kind == "icon" else held.emoji_names
    unique = table[:, 0].unique()
    scores = vectors @ held.vectors[unique].T
    right = (unique[scores.argmax(1)] == names).float().mean()
    own = (vectors * held.vectors[names]).sum(1, keepdim=True)
    others = held.vectors[unique[torch.randint(len(unique), (n, 24), device=names.device)]]
    few = ((vectors[:, None] * others).sum(2).amax(1, keepdim=True) < own + 1e-6).float().mean()
    return {f"{kind}_of_all_{len(unique)}": float(right), f"{kind}_of_25": float(few)}


def main() -> None:
    """Train for the given time."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--batch", type=int, default=2048)
    options.add_argument("--negatives", type=int, default=4096)
    options.add_argument("--rate", type=float, default=2e-3)
    options.add_argument("--decay", type=float, default=0.2)
    options.add_argument("--icons", type=float, default=0.55, help="share of crops that show icons")
    options.add_argument("--start", type=Path, help="weights to go on from")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(chosen.seed)
    torch.backends.cudnn.benchmark = True
    started = time.monotonic()
    drawings = Drawings(chosen.data / "sprites.tar", chosen.data / "vocabulary.npz", device)
    held = Drawings(chosen.data / "sprites.tar", chosen.data / "vocabulary.npz", device, held_out=True)
    names = torch.cat((drawings.emoji_names, drawings.icon_names))
    network = Namer().to(device, memory_format=torch.channels_last)
    if chosen.start:
        network.load_state_dict({k: v.float() for k, v in load_file(chosen.start).items()}, strict=False)
    scale = torch.nn.Parameter(torch.tensor(math.log(20.0), device=device))
    average = Average(network)
    optimizer = torch.optim.AdamW(
        [*parameter_groups(network, chosen.decay), {"params": [scale], "weight_decay": 0.0}],
        lr=chosen.rate,
        betas=(0.9, 0.98),
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    log = Log(chosen.out / "namer.jsonl")
    log(
        emoji=len(drawings.emoji),
        icons=len(drawings.icons),
        held_emoji=len(held.emoji),
        held_icons=len(held.icons),
        loading=time.monotonic() - started,
    )
    pace, step, saved = Pace(chosen.seconds, chosen.rate), 0, 0.0
    mean = drawings.mean.half()
    bank = grounds(BANK, 128, None, device)
    while pace.passed < 1:
        pace.set(optimizer)
        if step % 50 == 0:
            bank = grounds(BANK, 128, None, device)
        pixels, which = crops(drawings, chosen.batch, bank, chosen.icons)
        with torch.autocast(device.type, torch.bfloat16):
            vectors = network(pixels.contiguous(memory_format=torch.channels_last))
        loss = contrast(vectors.float(), names[which], drawings, scale.clamp(max=math.log(60.0)), chosen.negatives)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.update(network)
        step += 1
        if step % 100 == 0:
            log(step=step, passed=pace.passed, loss=float(loss.detach()), scale=float(scale.detach().exp()))
        if pace.passed - saved > 0.2:
            saved = pace.passed
            log(step=step, **check(average.network, held, bank, "icon"), **check(average.network, held, bank, "emoji"))
            torch.manual_seed(step)
            save(average.network, chosen.out / "namer.safetensors", text_mean=mean)
    log(step=step, **check(average.network, held, bank, "icon"), **check(average.network, held, bank, "emoji"))
    save(average.network, chosen.out / "namer.safetensors", text_mean=mean)


if __name__ == "__main__":
    main()
