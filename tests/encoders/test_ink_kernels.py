"""Ruling lines by our own kernels against OpenCV, on CPU tensors: without a GPU triton's interpreter runs them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.layout.runs import Look, runs_of, runs_on
from encoders.ocr import ink_kernels
from encoders.ocr.crop_trial import compare_ink
from encoders.ocr.ink import places
from encoders.ocr.kernel_cropper import KernelCropper
from tests.encoders.interpreter import quicken

CPU = torch.device("cpu")

quicken()


@pytest.fixture(autouse=True)
def large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    # The interpreter takes about as long for a large tile as for a small one.
    monkeypatch.setattr(ink_kernels, "_ROWS", 64)


def form(height: int, width: int) -> NDArray[np.uint8]:
    """Words on grey paper, a box, lines at the edges, a double line, a dotted one."""
    image = np.random.default_rng(height).normal(225, 6, (height, width, 3)).clip(0, 255).astype(np.uint8)
    for line in range(20, height, 30):
        cv2.putText(image, "illness 1lI|H === Total", (6, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 30, 20), 1)
    cv2.rectangle(image, (20, 40), (width - 30, height - 10), (70, 60, 50), 2)
    image[height // 2 : height // 2 + 5 : 3, 10:-3] = 60
    image[height // 3, 10 : width - 10 : 2] = 0
    image[:2, : width // 2], image[-1:, width // 2 :] = 30, 30
    image[: height // 2, :1], image[height // 2 :, -2:] = 30, 30
    return image


def test_runs_of_several_pages_are_those_that_opencv_finds() -> None:
    pages = [form(97, 203), form(67, 240), form(83, 64)]
    looks = [Look(0.0, 40, 30), Look(0.011, 26, 20), Look(-0.02, 33, 23)]
    cropper = KernelCropper(CPU, torch.float32)
    found = cropper.ink([(cropper.sheet(page), look) for page, look in zip(pages, looks, strict=True)])()
    laid = places([page.shape[:2] for page in pages])
    assert found.shape == (laid[-1].start + laid[-1].bytes,)
    for place, page, look in zip(laid, pages, looks, strict=True):
        across, down = runs_of(place.ink(found), look)
        assert (across, down) == runs_on(page, look)
        assert across and down


def test_small_pages_and_runs_at_their_edges() -> None:
    pages: list[NDArray[np.uint8]] = []
    for height, width in ((5, 7), (1, 45), (24, 1), (24, 24), (21, 8)):
        noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
        cross = np.full((height, width, 3), 255, np.uint8)
        cross[height // 2], cross[:, width // 2] = 0, 0
        frame = np.full((height, width, 3), 255, np.uint8)
        frame[0], frame[:, -1] = 0, 0
        pages += [noise, cross, frame][: 2 if 1 in (height, width) else 3]  # whose cross and frame are all of it
    look = Look(0.0, 20, 20)
    found = ink_kernels.find_ink([torch.from_numpy(page) for page in pages], [look] * len(pages), CPU).numpy()
    for place, page in zip(places([page.shape[:2] for page in pages]), pages, strict=True):
        assert runs_of(place.ink(found), look) == runs_on(page, look)


def test_what_is_tried_before_the_kernels_are_used_finds_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def found_once(*arguments: Any) -> torch.Tensor:
        kept.append(ink_kernels.find_ink(*arguments))
        return kept[0]

    monkeypatch.setattr("encoders.ocr.kernel_cropper.find_ink", found_once)
    compare_ink(KernelCropper(CPU, torch.float32))
    broken = kept[0].clone()
    broken[800:900] = 0
    monkeypatch.setattr("encoders.ocr.kernel_cropper.find_ink", lambda *_: broken)
    with pytest.raises(RuntimeError, match="a page is turned"):
        compare_ink(KernelCropper(CPU, torch.float32))
