"""Whether a cropper cuts, scales and stacks as PyTorch's operations do on the same device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from encoders.ocr.config import DetectionConfig
from encoders.ocr.geometry import Corners
from encoders.ocr.torch_cropper import TorchCropper

_APART = 1e-3
"""The share of pixels that may be more than a grey level apart."""

_LINES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((20, 30), (260, 34), (259, 60), (19, 56)),
    ((200.5, 100.25), (290, 180), (270, 200), (180, 120)),
    ((250, 240), (330, 244), (328, 276), (248, 270)),  # over the right border
    ((10, 130), (130, 135), (120, 390), (15, 380)),  # so high that it is averaged
    ((40, 300), (40, 90), (60, 90), (60, 300)),  # a quarter turned
)


_NAMES = ("lines", "their grey", "batches of lines", "enlarged pages", "averaged pages")


def compare_croppers(kind: type[TorchCropper], device: torch.device) -> None:
    """Raise RuntimeError where a cropper of this kind and `TorchCropper` differ."""
    for name, ours, wanted in zip(_NAMES, _made(kind, device), _made(TorchCropper, device), strict=True):
        if ours.shape != wanted.shape:
            raise RuntimeError(f"{name} are {tuple(ours.shape)} and not {tuple(wanted.shape)}")
        alike = (ours.float() - wanted.float()).abs() <= 1.01  # which what is no number is to nothing
        apart = 1.0 - float(alike.float().mean())
        if not apart <= _APART:
            raise RuntimeError(f"{100 * apart:.3g} % of {name} are more than a grey level apart")


def _made(kind: type[TorchCropper], device: torch.device) -> Iterator[Tensor]:
    """Grey levels of what a cropper makes of two pages, one of them turned; batches are of half precision."""
    cropper = kind(device, torch.float16, (8, 16))
    image = np.random.default_rng(0).integers(0, 256, (100, 75, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    sheets = [cropper.sheet(image), cropper.turned(cropper.sheet(image[:, :280]), 90)]
    corners: list[Corners] = [np.array(line, np.float32) for line in _LINES]
    crops = [crop for page in cropper.cut([(sheet, corners) for sheet in sheets])() for crop in page]
    spans = [crop.pixels for crop in crops]
    yield torch.cat([span.strip[:, :, span.at : span.at + span.width] for span in spans], 2)
    yield torch.from_numpy(np.concatenate([crop.grey for crop in crops], 1))
    yield cropper.stack(crops).float() * 127.5
    for most, least in ((640, 480), (160, 32)):
        config = DetectionConfig.model_construct(max_side=most, min_side=least)
        yield torch.cat(list(cropper.scaled_all(sheets[:1] * 2, config))) * 127.5
