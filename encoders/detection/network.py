"""The default detector's two networks: one finds boxes, one says in the space of a text encoder what a box shows.

Both are trained from scratch in `pipelines/train/detection`; shapes and limits are told in docs/detection.md.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

KINDS = (
    "button",
    "link",
    "text field",
    "search field",
    "text area",
    "dropdown",
    "check box",
    "radio button",
    "switch",
    "slider",
    "tab",
    "menu item",
    "icon",
    "image",
    "avatar",
    "badge",
    "progress bar",
    "table",
    "heading",
    "figure",
    "stamp",
    "signature",
    "logo",
    "barcode",
    "object",
)
"""What the finder tells apart by itself, in the order of its outputs."""

STRIDES = (8, 16, 32, 64)
MULTIPLE = 64  # sides of its input
POINTER_SCALE = 64.0  # pixels of one unit of the pointer's outputs
CROP = 64  # side of what the namer looks at
EMBEDDING = 384  # all-MiniLM-L6-v2


class Found(NamedTuple):
    """What the finder says at every place of its input, [b, places, ...]."""

    boxes: Tensor  # [..., 4] x0, y0, x1, y1 in pixels
    objectness: Tensor  # [...] logits; trained towards the overlap of the box
    kinds: Tensor  # [..., len(KINDS)] logits
    pointers: Tensor  # [..., 4] box of the text that names the element, in pixels
    places: Tensor  # [places, 2] x, y of the places
    strides: Tensor  # [places]


class Conv(nn.Sequential):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(inplace=True),
        )


class Stage(nn.Module):
    """Half of the channels pass residual pairs of 3x3 convolutions, the other half passes by; every step is kept."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.half = outputs // 2
        self.enter = Conv(inputs, outputs, 1)
        self.pairs = nn.ModuleList(
            nn.Sequential(Conv(self.half, self.half), Conv(self.half, self.half)) for _ in range(depth)
        )
        self.leave = Conv(self.half * (2 + depth), outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """[b, inputs, h, w] to [b, outputs, h, w]."""
        parts = list(self.enter(maps).split(self.half, 1))
        for pair in self.pairs:
            parts.append(parts[-1] + pair(parts[-1]))
        out: Tensor = self.leave(torch.cat(parts, 1))
        return out


class Context(nn.Module):
    """Pools of growing width side by side: what a place sees of its surroundings."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = Conv(channels, channels // 2, 1)
        self.leave = Conv(channels // 2 * 4, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        parts = [self.enter(maps)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        out: Tensor = self.leave(torch.cat(parts, 1))
        return out


class Finder(nn.Module):
    """Finds things and elements, one box per place of four grids (strides 8 to 64); 4 million parameters.

    Takes images [b, 3, h, w] in 0..1, sides multiples of 64.
    """

    def __init__(self) -> None:
        super().__init__()
        c = (24, 48, 96, 192, 320)
        self.stem = nn.Sequential(Conv(3, c[0], 3, 2), Conv(c[0], c[1], 3, 2), Stage(c[1], c[1], 1))
        self.down8 = nn.Sequential(Conv(c[1], c[2], 3, 2), Stage(c[2], c[2], 2))
        self.down16 = nn.Sequential(Conv(c[2], c[3], 3, 2), Stage(c[3], c[3], 2))
        self.down32 = nn.Sequential(Conv(c[3], c[4], 3, 2), Stage(c[4], c[4], 1), Context(c[4]))
        self.up16 = Stage(c[4] + c[3], 160, 1)
        self.up8 = Stage(160 + c[2], 96, 1)
        self.again16 = nn.ModuleList((Conv(96, 96, 3, 2), Stage(96 + 160, 160, 1)))
        self.again32 = nn.ModuleList((Conv(160, 160, 3, 2), Stage(160 + c[4], 256, 1)))
        self.down64 = nn.Sequential(Conv(256, 192, 3, 2), Stage(192, 192, 1))
        self.entries = nn.ModuleList(Conv(channels, 96, 1) for channels in (96, 160, 256, 192))
        self.place = nn.Sequential(Conv(96, 96), Conv(96, 96))
        self.kind = nn.Sequential(Conv(96, 96), Conv(96, 96, 1))
        self.to_place = nn.Conv2d(96, 4 + 1 + 4, 1)
        self.to_kind = nn.Conv2d(96, len(KINDS), 1)
        nn.init.zeros_(self.to_place.weight[:, :, 0, 0])
        with torch.no_grad():
            self.to_place.bias.zero_()
            self.to_place.bias[:4] = math.log(2.0)
            self.to_place.bias[4] = -4.6  # one place in a hundred

    def maps(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For every grid: boxes, objectness and pointers [b, 9, h, w], kinds [b, kinds, h, w]; raw outputs."""
        four = self.stem(images)
        eight = self.down8(four)
        sixteen = self.down16(eight)
        thirtytwo = self.down32(sixteen)
        up16 = self.up16(torch.cat((_double(thirtytwo), sixteen), 1))
        up8 = self.up8(torch.cat((_double(up16), eight), 1))
        at16 = self.again16[1](torch.cat((self.again16[0](up8), up16), 1))
        at32 = self.again32[1](torch.cat((self.again32[0](at16), thirtytwo), 1))
        at64 = self.down64(at32)
        out = []
        for entry, maps in zip(self.entries, (up8, at16, at32, at64)):
            inner = entry(maps)
            out.append((self.to_place(self.place(inner)), self.to_kind(self.kind(inner))))
        return out

    def forward(self, images: Tensor) -> Found:
        """Everything at every place."""
        return decode(self.maps(images))


def decode(maps: list[tuple[Tensor, Tensor]]) -> Found:
    """Raw outputs of the grids as boxes, logits and pointers, in float32."""
    raw, kinds, places, strides = [], [], [], []
    for stride, (place, kind) in zip(STRIDES, maps):
        height, width = place.shape[2:]
        y, x = torch.meshgrid(
            torch.arange(height, device=place.device), torch.arange(width, device=place.device), indexing="ij"
        )
        places.append((torch.stack((x, y), -1).reshape(-1, 2).float() + 0.5) * stride)
        strides.append(torch.full((height * width,), float(stride), device=place.device))
        raw.append(place.flatten(2).transpose(1, 2).float())
        kinds.append(kind.flatten(2).transpose(1, 2).float())
    values, centres, steps = torch.cat(raw, 1), torch.cat(places), torch.cat(strides)
    sides = values[..., :4].clamp(-5, 5.5).exp() * steps[:, None]
    boxes = torch.cat((centres - sides[..., :2], centres + sides[..., 2:]), -1)
    pointers = values[..., 5:9] * POINTER_SCALE + centres.repeat(1, 2)
    return Found(boxes, values[..., 4], torch.cat(kinds, 1), pointers, centres, steps)


def _double(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pair = nn.Sequential(Conv(channels, channels), Conv(channels, channels))

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = maps + self.pair(maps)
        return out


class Namer(nn.Module):
    """What a crop shows, as a unit vector in the text encoder's (centred) space; 3.9 million parameters.

    Takes crops [n, 3, 64, 64] in 0..1; gives [n, 384].
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv(3, 32, 3, 2),
            Conv(32, 64, 3, 2),
            _Residual(64),
            _Residual(64),
            Conv(64, 160, 3, 2),
            _Residual(160),
            _Residual(160),
            Conv(160, 320, 3, 2),
            _Residual(320),
        )
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(320 * 2, EMBEDDING)

    def forward(self, crops: Tensor) -> Tensor:
        """Unit vectors, float32."""
        maps = self.body(crops)
        pooled = torch.cat((maps.mean((2, 3)), maps.amax((2, 3))), 1)
        return functional.normalize(self.head(self.dropout(pooled)).float(), dim=1)
