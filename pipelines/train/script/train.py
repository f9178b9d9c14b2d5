"""Train the script network: ``python -m pipelines.train.script.train LINES.npz WEIGHTS.safetensors``.

Lines are degraded on the device as they are drawn: cut, scaled, sheared, turned, thinned or thickened, blurred,
shrunk, greyed, made noisy, shown white on black, and half of them turned on their heads.
"""

from __future__ import annotations

import argparse
import io
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from encoders.ocr.script_network import CLASSES, HEIGHT, WIDTH, ScriptNetwork, prepare

WIDEST = 400
COMMON = CLASSES.index("Zyyy")


def load_lines(path: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lines [n, 40, 400] uint8 padded with paper, their widths, labels, and whether they are held out."""
    archive = np.load(path)
    png, offsets = archive["png"].tobytes(), archive["offsets"]
    lines = np.full((len(offsets) - 1, HEIGHT, WIDEST), 255, np.uint8)
    widths = np.zeros(len(lines), np.int64)
    for n, (start, stop) in enumerate(pairwise(offsets)):
        line = np.asarray(Image.open(io.BytesIO(png[start:stop])).convert("L"))[:, :WIDEST]
        lines[n, :, : line.shape[1]] = line
        widths[n] = line.shape[1]
    return (
        torch.from_numpy(lines),
        torch.from_numpy(widths),
        torch.from_numpy(archive["label"].astype(np.int64)),
        torch.from_numpy(archive["evaluation"]),
    )


def uniform(n: int, low: float, high: float, device: torch.device) -> Tensor:
    """[n, 1, 1, 1] uniform numbers."""
    return torch.rand(n, 1, 1, 1, device=device) * (high - low) + low


def cut(lines: Tensor, widths: Tensor, flip: Tensor, jitter: bool) -> Tensor:
    """Windows [n, 1, 40, 256] of lines [n, 40, 400], warped when ``jitter``, turned by 180 degrees where ``flip``."""
    n, device = len(lines), lines.device
    r = (lambda low, high: uniform(n, low, high, device)) if jitter else (lambda low, high: uniform(n, 0, 0, device))
    scale_x, scale_y = r(-0.35, 0.25).exp(), r(-0.12, 0.15).exp()
    room = (widths.view(n, 1, 1, 1) - WIDTH * scale_x).clamp(min=0)
    start = room * (torch.rand_like(room) if jitter else 0.5)
    x = torch.arange(WIDTH, device=device).view(1, 1, 1, WIDTH) + 0.5
    y = torch.arange(HEIGHT, device=device).view(1, 1, HEIGHT, 1) + 0.5 - HEIGHT / 2
    turned = torch.where(flip.view(n, 1, 1, 1), -1.0, 1.0)
    # Upside down about the middle of what is written, as the whole page would be turned.
    written = torch.minimum(widths.view(n, 1, 1, 1).float(), WIDTH * scale_x)
    across = torch.where(turned < 0, written - x * scale_x, x * scale_x) + start
    down = y * turned
    source_x = across + r(-0.25, 0.25) * down
    source_y = down * scale_y + r(-0.03, 0.03) * (across - WIDTH / 2) + r(-2.5, 2.5) + HEIGHT / 2
    source_x, source_y = torch.broadcast_tensors(source_x, source_y)
    grid = torch.stack((source_x / WIDEST, source_y / HEIGHT), -1)[:, 0] * 2 - 1
    ink = 255 - lines[:, None].float()
    return 255 - functional.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def some(crops: Tensor, changed: Tensor, share: float) -> Tensor:
    """``changed`` for a random share of the crops, the crops themselves for the rest."""
    return torch.where(torch.rand(len(crops), 1, 1, 1, device=crops.device) < share, changed, crops)


def shrink(crops: Tensor, height: int) -> Tensor:
    """As if the line had been so few pixels high."""
    small = functional.interpolate(crops, (height, WIDTH * height // HEIGHT), mode="area")
    return functional.interpolate(small, (HEIGHT, WIDTH), mode="bicubic", align_corners=False)


def degrade(crops: Tensor) -> Tensor:
    """What printers, lenses and scanners do."""
    n, device = len(crops), crops.device
    crops = some(crops, neighbours(crops), 0.25)
    crops = some(crops, dots(crops), 0.06)
    crops = some(crops, -functional.max_pool2d(-crops, 3, 1, 1), 0.12)  # thicker
    crops = some(crops, functional.max_pool2d(functional.pad(crops, (0, 1)), (1, 2), 1), 0.08)  # thinner
    for height in (12, 16, 20, 26):
        crops = some(crops, shrink(crops, height), 0.12)
    for sigma in (0.7, 1.2):
        taps = torch.exp(-(torch.arange(-3, 4, device=device).float() ** 2) / (2 * sigma**2))
        taps = taps / taps.sum()
        blurred = functional.conv2d(crops, taps.view(1, 1, 1, 7), padding=(0, 3))
        blurred = functional.conv2d(blurred, taps.view(1, 1, 7, 1), padding=(3, 0))
        crops = some(crops, blurred, 0.2)
    smear = functional.avg_pool2d(crops, (1, 5), 1, (0, 2), count_include_pad=False)
    crops = some(crops, smear, 0.08)
    rules = crops.clone()
    rules[:, :, torch.randint(0, HEIGHT, (1,)).item()] = 60  # an underline, a cell's border or the edge of a form
    crops = some(crops, rules, 0.06)
    paper, ink = uniform(n, 150, 255, device), uniform(n, 0, 90, device)
    crops = ink + (paper - ink) * crops.clamp(0, 255) / 255
    slope = torch.linspace(-1, 1, WIDTH, device=device).view(1, 1, 1, WIDTH)
    crops = some(crops, crops + slope * uniform(n, -35, 35, device), 0.3)
    noise = torch.randn_like(crops) * uniform(n, 0, 14, device)
    coarse = functional.interpolate(
        torch.randn(n, 1, HEIGHT // 4, WIDTH // 4, device=device), (HEIGHT, WIDTH), mode="bilinear"
    )
    crops = some(crops, crops + noise, 0.6)
    crops = some(crops, crops + coarse * uniform(n, 0, 18, device), 0.25)
    return some(crops, 255 - crops, 0.12).clamp(0, 255)


def neighbours(crops: Tensor) -> Tensor:
    """Feet of the line above and heads of the line below, where a box was drawn too large."""
    n, device = len(crops), crops.device
    others = crops[torch.randperm(n, device=device)]
    y = torch.arange(HEIGHT, device=device).view(1, 1, HEIGHT, 1)
    above, below = (torch.randint(0, 7, (n, 1, 1, 1), device=device) for _ in range(2))
    crops = torch.where(y < above, torch.minimum(crops, others.roll(-26, 2)), crops)
    return torch.where(y >= HEIGHT - below, torch.minimum(crops, others.roll(26, 2)), crops)


def dots(crops: Tensor) -> Tensor:
    """As a dot matrix or a thermal head prints."""
    y = torch.arange(HEIGHT, device=crops.device).view(1, 1, HEIGHT, 1)
    x = torch.arange(WIDTH, device=crops.device).view(1, 1, 1, WIDTH)
    every = torch.randint(3, 6, (len(crops), 1, 1, 1), device=crops.device)
    across = torch.rand(len(crops), 1, 1, 1, device=crops.device) < 0.6
    gap = (y % every == 0) | ((x % every == 0) & across)
    return torch.where(gap, crops + (255 - crops) * 0.8, crops)


def no_text(n: int, device: torch.device) -> Tensor:
    """What a detector takes for text: noise of one coarseness, gratings, bars, edges, single shapes."""
    crops = torch.zeros(n, 1, HEIGHT, WIDTH, device=device)
    for k, cell in enumerate((1, 2, 4, 8, 16, 32)):
        noise = torch.randn(n, 1, max(2, HEIGHT // cell), max(2, WIDTH // cell), device=device)
        grown = functional.interpolate(noise, (HEIGHT, WIDTH), mode="bilinear" if k % 2 else "nearest")
        crops += grown * torch.rand(n, 1, 1, 1, device=device) ** 3
    y = torch.linspace(0, 1, HEIGHT, device=device).view(1, 1, HEIGHT, 1)
    x = torch.linspace(0, WIDTH / HEIGHT, WIDTH, device=device).view(1, 1, 1, WIDTH)
    for _ in range(3):
        wave = torch.sin(x * uniform(n, -40, 40, device) + y * uniform(n, -40, 40, device) + uniform(n, 0, 6, device))
        crops = some(crops, crops + wave * uniform(n, 0, 3, device), 0.3)
        left, top = uniform(n, 0, 6, device), uniform(n, -0.2, 0.9, device)
        box = (x > left) & (x < left + uniform(n, 0, 4, device)) & (y > top) & (y < top + uniform(n, 0, 0.8, device))
        crops = some(crops, crops + box * uniform(n, -6, 6, device), 0.5)
        centre_x, centre_y, radius = uniform(n, 0, 6, device), uniform(n, 0, 1, device), uniform(n, 0.05, 0.6, device)
        ring = ((x - centre_x) ** 2 + (y - centre_y) ** 2).sqrt() - radius
        crops = some(crops, crops + (ring.abs() < uniform(n, 0.01, 0.3, device)) * uniform(n, -6, 6, device), 0.4)
    hard = torch.rand(n, 1, 1, 1, device=device) < 0.4
    return torch.where(hard, crops.sign() * 90, crops * 50).clamp(-127, 127) + 127


def evaluate(network: ScriptNetwork, lines: Tensor, widths: Tensor, label: Tensor, noisy: bool) -> None:
    """Print the accuracy by script on held-out lines, and of the upside-down head."""
    network.eval()
    flip = torch.arange(len(lines), device=lines.device) % 2 == 1
    with torch.inference_mode():
        crops = cut(lines, widths, flip, jitter=noisy)
        scores, upside = network(prepare(degrade(crops) if noisy else crops))
    text = label != COMMON
    right = scores.argmax(1) == label
    per = " ".join(f"{name} {right[label == k].float().mean().item():.3f}" for k, name in enumerate(CLASSES))
    flips = ((upside > 0) == flip)[text].float().mean().item()
    print(
        f"{'degraded' if noisy else 'clean'}: right {right[text].float().mean().item():.4f}, way up {flips:.4f}\n{per}"
    )
    wrong = [(CLASSES[a], CLASSES[b]) for a, b in zip(label[~right].tolist(), scores.argmax(1)[~right].tolist())]
    print("  mistakes:", sorted({(wrong.count(w), *w) for w in wrong}, reverse=True)[:14])


def main() -> None:
    """Train on the training lines, print what the held-out lines show, write float16 weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device(options.device)
    lines, widths, label, held_out = (t.to(device) for t in load_lines(options.lines))
    train = torch.nonzero(~held_out)[:, 0]
    share = 1.0 / torch.bincount(label[train], minlength=len(CLASSES)).clamp(min=1).float()
    for script, more in {"Latn": 3.0, "Cyrl": 2.0, "Grek": 1.5}.items():
        share[CLASSES.index(script)] *= more  # their capitals look alike, and most pages are Latin
    network = ScriptNetwork().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, options.steps, pct_start=0.1)
    began = time.monotonic()
    for step in range(options.steps):
        network.train()
        chosen = train[torch.multinomial(share[label[train]], options.batch, replacement=True)]
        flip = torch.rand(options.batch, device=device) < 0.3
        crops = degrade(cut(lines[chosen], widths[chosen], flip, jitter=True))
        target = label[chosen]
        empty = options.batch // 20
        crops[:empty], target[:empty] = no_text(empty, device), COMMON
        scores, upside = network(prepare(crops))
        loss = functional.nll_loss(scores, target) * 0.95 - 0.05 * scores.mean()
        text = target != COMMON
        loss = loss + 0.5 * functional.binary_cross_entropy_with_logits(upside[text], flip[text].float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 1000 == 0:
            print(f"step {step} loss {loss.item():.4f} {time.monotonic() - began:.0f} s", flush=True)
    held = torch.nonzero(held_out)[:, 0]
    for noisy in (False, True):
        evaluate(network, lines[held], widths[held], label[held], noisy)
    tensors = {
        name: t.detach().half().contiguous() for name, t in network.state_dict().items() if t.is_floating_point()
    }
    save_file(tensors, options.weights)


if __name__ == "__main__":
    main()
