"""Training data on the device: pages and drawings as tensors, and random views of them.

Everything lies in device memory, so that cutting, scaling, recolouring and composing cost next to nothing.
"""

from __future__ import annotations

import json
import math
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from encoders.detection.network import KINDS

MOST = 96  # elements of one view
PASSIVE = tuple(KINDS.index(kind) for kind in ("image", "avatar"))  # what they show may be things of its own


@dataclass(slots=True)
class Truth:
    """Elements of a batch of views, padded to MOST: boxes and pointers [b, MOST, 4], kinds and presence [b, MOST]."""

    boxes: Tensor
    kinds: Tensor
    there: Tensor
    pointers: Tensor
    pointed: Tensor


class Pages:
    """Screenshots with their elements, in device memory."""

    def __init__(self, archives: list[Path], device: torch.device) -> None:
        rows: list[dict] = []  # type: ignore[type-arg]
        blobs: dict[str, bytes] = {}
        for archive in archives:
            with tarfile.open(archive) as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    if content is None:  # a folder
                        continue
                    if member.name.endswith(".jsonl"):
                        rows += [json.loads(line) for line in content.read().decode().splitlines()]
                    else:
                        blobs[Path(member.name).name] = content.read()
        self.rows = [row for row in rows if row["image"] in blobs]
        with ThreadPoolExecutor(16) as pool:
            decoded = pool.map(lambda row: np.array(Image.open(BytesIO(blobs[row["image"]])).convert("RGB")), self.rows)
            self.images = [torch.from_numpy(image).to(device) for image in decoded]
        self.device = device
        self._truth = [self._elements(row) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def _elements(self, row: dict) -> Tensor:  # type: ignore[type-arg]
        """[n, 10]: box, kind, whether it points, pointer."""
        values = [
            [*e["box"], KINDS.index(e["kind"]), float(e["label"] is not None), *(e["label"] or (0, 0, 0, 0))]
            for e in row["elements"]
        ]
        return torch.tensor(values, dtype=torch.float32, device=self.device).reshape(-1, 10)

    def view(self, number: int, side: int, scale: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A square window [3, side, side] in 0..1 of a page shown at ``scale``, and its elements in window pixels."""
        image, elements = self.images[number], self._truth[number]
        height, width = image.shape[:2]
        span = side / scale
        x = round(rng.uniform(min(0, width - span), max(0, width - span)))
        y = round(rng.uniform(min(0, height - span), max(0, height - span)))
        x0, y0 = max(0, x), max(0, y)
        x1, y1 = min(width, math.ceil(x + span)), min(height, math.ceil(y + span))
        piece = image[y0:y1, x0:x1].permute(2, 0, 1)[None].float() / 255
        left, top = round((x0 - x) * scale), round((y0 - y) * scale)
        size = (min(side - top, max(1, round((y1 - y0) * scale))), min(side - left, max(1, round((x1 - x0) * scale))))
        if scale != 1.0:
            piece = functional.interpolate(piece, size, mode="bilinear", antialias=scale < 1)
        piece = piece[:, :, : side - top, : side - left]
        out = torch.full((3, side, side), float(rng.uniform(0, 1)), device=self.device)
        out[:, top : top + piece.shape[2], left : left + piece.shape[3]] = piece[0]
        moved = elements.clone()
        shift = torch.tensor([x, y, x, y], device=self.device, dtype=torch.float32)
        moved[:, :4] = (elements[:, :4] - shift) * scale
        moved[:, 6:10] = (elements[:, 6:10] - shift) * scale
        cut = moved[:, :4].clamp(0, side)
        kept = (cut[:, 2:] - cut[:, :2]).prod(1) / (moved[:, 2:4] - moved[:, :2]).prod(1).clamp(min=1)
        sides = (cut[:, 2:] - cut[:, :2]).amin(1)
        moved[:, :4] = cut
        centre = (moved[:, 6:8] + moved[:, 8:10]) / 2
        moved[:, 5] *= ((centre > 0) & (centre < side)).all(1)
        return out, moved[(kept > 0.5) & (sides >= 4)]


class Drawings:
    """Icons (shape only) and emoji (colour) that training may see, with the texts that name them."""

    def __init__(
        self, archive: Path, vocabulary: Path, device: torch.device, most_names: int = 8, *, held_out: bool = False
    ) -> None:
        with tarfile.open(archive) as tar:
            files = {Path(m.name).name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
        rows = json.loads(files["sprites.json"])["sprites"]
        self.rows = [row for row in rows if row["held_out"] == held_out and row["sheet"] in files]
        sheets = dict.fromkeys(row["sheet"] for row in self.rows)
        with ThreadPoolExecutor(16) as pool:
            opened = list(pool.map(lambda name: np.asarray(Image.open(BytesIO(files[name]))), sheets))
        pixels = dict(zip(sheets, opened))
        icons, emoji, self.icon_rows, self.emoji_rows = [], [], [], []
        for row in self.rows:
            size, (down, across) = row["size"], divmod(row["place"], 16)
            piece = pixels[row["sheet"]][down * size : (down + 1) * size, across * size : (across + 1) * size]
            if row["emoji"]:
                emoji.append(piece)
                self.emoji_rows.append(row)
            else:
                icons.append(piece if piece.ndim == 2 else piece[..., 0])
                self.icon_rows.append(row)
        self.icons = torch.from_numpy(np.stack(icons)).to(device)  # [n, 64, 64] uint8, how much ink
        rgba = np.stack(
            [
                piece if piece.shape[-1] == 4 else np.dstack((piece, np.full(piece.shape[:2], 255, np.uint8)))
                for piece in emoji
            ]
        )
        self.emoji = torch.from_numpy(rgba).permute(0, 3, 1, 2).contiguous().to(device)  # [n, 4, 96, 96] uint8
        stored = np.load(vocabulary)
        index = {text: number for number, text in enumerate(stored["texts"].tolist())}
        self.vectors = torch.from_numpy(stored["vectors"].astype(np.float32)).to(device)
        self.mean = torch.from_numpy(stored["mean"])
        self.texts: list[str] = stored["texts"].tolist()
        self.icon_names = _name_table(self.icon_rows, index, most_names).to(device)
        self.emoji_names = _name_table(self.emoji_rows, index, most_names).to(device)
        self.device = device


def _name_table(rows: list[dict], index: dict[str, int], most: int) -> Tensor:  # type: ignore[type-arg]
    """[n, most] indices into the vocabulary, the main name first, -1 where there are no more."""
    table = torch.full((len(rows), most), -1, dtype=torch.long)
    for number, row in enumerate(rows):
        for place, name in enumerate(row["names"][:most]):
            table[number, place] = index[name]
    return table


def truth(elements: list[Tensor], device: torch.device) -> Truth:
    """Padded elements; of too many, a random choice."""
    b = len(elements)
    out = torch.zeros(b, MOST, 10, device=device)
    there = torch.zeros(b, MOST, dtype=torch.bool, device=device)
    for row, values in enumerate(elements):
        if len(values) > MOST:
            values = values[torch.randperm(len(values), device=device)[:MOST]]
        out[row, : len(values)] = values
        there[row, : len(values)] = True
    return Truth(out[..., :4], out[..., 4].long(), there, out[..., 6:], (out[..., 5] > 0) & there)


def recolour(images: Tensor) -> Tensor:
    """Channels in another order, inverted, brighter, flatter, noisy, blurred: each for some of [b, 3, h, w]."""
    b, device = len(images), images.device

    def share(p: float) -> Tensor:
        return torch.rand(b, 1, 1, 1, device=device) < p

    order = torch.stack([torch.randperm(3, device=device) for _ in range(b)])
    images = torch.where(share(0.4), images.gather(1, order[:, :, None, None].expand_as(images)), images)
    images = torch.where(share(0.2), 1 - images, images)
    images = torch.where(share(0.15), images.mean(1, keepdim=True).expand_as(images), images)
    gain, lift = torch.rand(b, 3, 1, 1, device=device) * 0.5 + 0.75, torch.rand(b, 3, 1, 1, device=device) * 0.3 - 0.15
    images = torch.where(share(0.5), (images - 0.5) * gain + 0.5 + lift, images)
    blurred = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    images = torch.where(share(0.1), blurred, images)
    noise = torch.randn_like(images) * torch.rand(b, 1, 1, 1, device=device) * 0.06
    return torch.where(share(0.3), images + noise, images).clamp(0, 1)
