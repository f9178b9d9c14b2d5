"""Kernels that find where lines are printed against OpenCV, to the bit; triton's interpreter runs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.ocr_pages import dense_pages
from encoders.ocr import crop_kernels, print_kernels
from encoders.ocr.cropper import Grey, HostCropper
from encoders.ocr.crops import printed_rows
from tests.encoders.interpreter import quicken

quicken()


def assert_printed_as_by_opencv(greys: Sequence[Grey]) -> None:
    widths = np.array([grey.shape[1] for grey in greys])
    lines = np.zeros((len(greys), crop_kernels.RECORD), np.int64)
    lines[:, crop_kernels.AT], lines[:, crop_kernels.TARGET] = np.cumsum(widths) - widths, widths
    order = np.random.default_rng(len(greys)).permutation(len(greys))  # lines need not lie in their order
    grey = torch.from_numpy(np.concatenate(greys, 1))
    rows = print_kernels.printed(torch.from_numpy(lines[order]), int(widths.max()), grey)
    assert rows.dtype == torch.uint8
    for number, ours in enumerate(np.split(rows.numpy(), np.cumsum(widths)[:-1])):
        assert np.array_equal(ours, printed_rows(greys[number])), number


def of_pages() -> list[Grey]:
    pages = [dense_pages(1)[0], dense_pages(1, seed=1, scanned=True)[0]]
    boxes = [[box for _, box in page.lines[:2]] for page in pages]
    corners = [
        [np.array([[a - 5, b - 3], [c + 5, b - 3], [c + 5, d + 3], [a - 5, d + 3]], np.float32) for a, b, c, d in some]
        for some in boxes
    ]
    greys = HostCropper().greys([(page.image, some) for page, some in zip(pages, corners)])()
    return [grey for some in greys for grey in some]


def made(kind: str, width: int) -> Grey:
    random = np.random.default_rng(width)
    level: NDArray[np.float64] = random.uniform(0, 256, (48, width))
    if kind == "soft":  # few levels side by side
        level = random.normal(random.uniform(0, 255), 2.5, (48, width))
    elif kind == "hard":  # two levels, and a gap in which all thresholds are as good
        level = np.where(random.random((48, width)) < random.random(), *random.uniform(0, 256, 2))
    return np.clip(level, 0, 255).astype(np.uint8)


def test_print_of_pages_and_of_lines_of_any_width_and_any_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    # The interpreter takes about as long for a large tile as for a small one.
    monkeypatch.setattr(print_kernels, "_DOWN", 64)
    monkeypatch.setattr(print_kernels, "_ACROSS", 512)
    monkeypatch.setattr(print_kernels, "_LINES", 64)
    greys = of_pages()
    widths = (1, 2, 3, 4, 5, 6, 31, 32, 33, 48, 49, 50, 511, 512, 513, 3200)
    of_any_width = [made(("noise", "soft", "hard")[width % 3], width) for width in widths]
    constant = [np.full((48, width), level, np.uint8) for width, level in ((1, 0), (2, 128), (60, 0), (60, 255))]
    halves = [np.full((48, 40), 10, np.uint8) for _ in range(3)]
    for grey, light in zip(halves, (19, 20, 21)):
        grey[:, :light] = 250
    assert_printed_as_by_opencv([*greys, 255 - greys[0], *of_any_width, *constant, *halves])


def test_print_by_tiles_of_their_size_on_a_card() -> None:
    assert_printed_as_by_opencv([made("noise", 1), made("soft", 130)])
