"""Whether a cropper cuts, scales and stacks as PyTorch does on the same device, and finds print and ink where OpenCV
does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from encoders.layout.runs import Look, runs_of, runs_on
from encoders.ocr.config import DetectionConfig
from encoders.ocr.cropper import Sheet
from encoders.ocr.crops import printed_rows
from encoders.ocr.geometry import Corners
from encoders.ocr.ink import places
from encoders.ocr.torch_cropper import TorchCropper

_APART = 1e-3
"""The share of pixels that may be more than a grey level apart."""

_LINES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((20, 30), (140, 32), (139, 58), (19, 56)),
    ((200.5, 100.25), (290, 180), (270, 200), (180, 120)),
    ((250, 240), (330, 244), (328, 276), (248, 270)),  # over the right border
    ((10, 130), (64, 132), (61, 282), (14, 278)),  # so high that it is averaged
    ((40, 250), (40, 150), (60, 150), (60, 250)),  # a quarter turned
)


_NAMES = ("lines", "their grey", "batches of lines", "enlarged pages", "averaged pages")


def compare_croppers(kind: type[TorchCropper], device: torch.device) -> None:
    """Raise RuntimeError where a cropper of this kind and `TorchCropper` differ, or print is not where OpenCV finds it
    in the same grey."""
    for name, ours, wanted in zip(_NAMES, _made(kind, device), _made(TorchCropper, device), strict=True):
        if ours.shape != wanted.shape:
            raise RuntimeError(f"{name} are {tuple(ours.shape)} and not {tuple(wanted.shape)}")
        alike = (ours.float() - wanted.float()).abs() <= 1.01  # which what is no number is to nothing
        apart = 1.0 - float(alike.float().mean())
        if not apart <= _APART:
            raise RuntimeError(f"{100 * apart:.3g} % of {name} are more than a grey level apart")
    compare_ink(kind(device, torch.float16))


def compare_ink(cropper: TorchCropper) -> None:
    """Raise RuntimeError where the runs of ink that a cropper finds are not those that the host does."""
    image = np.random.default_rng(1).integers(150, 256, (18, 40, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    for at in (20, 50, 51, 100):
        image[at % 72, 20:130] = image[8:66, at] = 10
    image[:2, 100:] = image[-2:, :60] = 0
    images, looks = [image, image[:67, :143].copy()], [Look(0.0, 40, 30), Look(0.008, 60, 26)]
    found = cropper.ink([(cropper.sheet(image), look) for image, look in zip(images, looks, strict=True)])()
    if found is None:
        return
    for place, image, look in zip(places([image.shape[:2] for image in images]), images, looks, strict=True):
        if runs_of(place.ink(found), look) != runs_on(image, look):
            raise RuntimeError(f"other runs of ink are found when a page is turned by {look.angle}")


def _made(kind: type[TorchCropper], device: torch.device) -> Iterator[Tensor]:
    """Grey levels of what a cropper makes of two pages, one of them turned; batches are of half precision."""
    cropper = kind(device, torch.float16, (8, 16))
    marked = _marked(cropper)
    crops, greys = list(chain(*cropper.cut(marked)())), list(chain(*cropper.greys(marked)()))
    for crop, grey in zip(crops, greys, strict=True):
        if not np.array_equal(crop.printed, printed_rows(grey)):
            raise RuntimeError(f"print of a line of {crop.width} columns is not where OpenCV finds it")
    spans = [crop.pixels for crop in crops]
    yield torch.cat([span.strip[:, :, span.at : span.at + span.width] for span in spans], 2)
    yield torch.from_numpy(np.concatenate(greys, 1))
    yield cropper.stack(spans).float() * 127.5
    whole = marked[0][0]
    for page, most, least in ((whole[:120, :160].contiguous(), 256, 192), (whole, 128, 32)):
        config = DetectionConfig.model_construct(max_side=most, min_side=least)
        yield torch.cat(list(cropper.scaled_all([page] * 2, config))) * 127.5


def _marked(cropper: TorchCropper) -> list[tuple[Sheet, Sequence[Corners]]]:
    """Two pages with their lines, the second turned and dark, with light specks on it."""
    image = np.random.default_rng(0).integers(0, 256, (75, 75, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    dark = np.where(image < 224, image // 4, image)[:, :280]
    sheets = [cropper.sheet(image), cropper.turned(cropper.sheet(dark), 90)]
    corners = [np.array(line, np.float32) for line in _LINES]
    return [(sheet, corners) for sheet in sheets]
