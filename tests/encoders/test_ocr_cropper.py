"""The GPU's cropper, on CPU tensors, against OpenCV's: the same pixels within a grey level or two.

That lines and boxes come out alike is in `test_ocr_engines`.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.ocr.config import DetectionConfig
from encoders.ocr.cropper import HostCropper
from encoders.ocr.crops import printed_rows
from encoders.ocr.geometry import Corners
from encoders.ocr.torch_cropper import TorchCropper

HOST, CARD = HostCropper(), TorchCropper(torch.device("cpu"), torch.float32)


def _page(height: int, width: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(3).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _quad(x: float, y: float, width: float, height: float, degrees: float) -> Corners:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray(frame + (x, y), np.float32)


@pytest.mark.parametrize("size", [(842, 595), (2100, 1500), (200, 900)])
def test_pages_are_scaled_alike(size: tuple[int, int]) -> None:
    image, config = _page(*size), DetectionConfig(max_side=640)
    theirs, ours = HOST.scaled(image, config), CARD.scaled(CARD.sheet(image), config).numpy()
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).max() * 127.5 <= 1.01


@pytest.mark.parametrize("degrees", [0, 0.4, 12, 90])
def test_lines_are_cut_alike(degrees: float) -> None:
    image = _page(700, 500)
    lines = [_quad(90, 60, 320, 22, degrees), _quad(200, 300, 260, 110, degrees), _quad(480, 650, 80, 30, degrees)]
    (theirs,), (their_greys,) = HOST.cut([(image, lines)])(), HOST.greys([(image, lines)])()
    marked = [(CARD.sheet(image), lines[:2]), (CARD.sheet(image), []), (CARD.sheet(image), lines)]
    others, none, ours = CARD.cut(marked)()
    assert len(others) == 2 and not none
    for a, b, a_grey, b_grey in zip(theirs, ours, their_greys, CARD.greys(marked)()[2], strict=True):
        pixels = b.pixels.strip[:, :, b.pixels.at : b.pixels.at + b.width]
        off = np.abs(a.pixels.astype(int) - pixels.permute(1, 2, 0).numpy())
        assert off.max() <= 2 and off.mean() < 0.05
        assert np.abs(a_grey.astype(int) - b_grey).max() <= 2
        assert np.array_equal(a.printed, printed_rows(a_grey)) and np.array_equal(b.printed, printed_rows(b_grey))
    batch = CARD.stack([line.pixels for line in ours])
    assert np.abs(HOST.stack([line.pixels for line in theirs]) - batch.numpy()).max() * 127.5 <= 2.01
    filled = TorchCropper(torch.device("cpu"), torch.float32, (2, 8)).stack([line.pixels for line in ours])
    assert len(filled) == 8 and not filled[3:].any() and torch.equal(filled[:3], batch)


def test_turned_sheets_are_turned_images() -> None:
    image = _page(64, 96)
    for degrees in (90, 180, 270):
        assert np.array_equal(CARD.turned(CARD.sheet(image), degrees).numpy(), HOST.turned(image, degrees))
