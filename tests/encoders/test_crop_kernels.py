"""The cropper made of our own kernels against the one of PyTorch's operations, both on CPU tensors: without a GPU
triton's interpreter runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.ocr import crop_kernels, ink_kernels, print_kernels
from encoders.ocr.config import DetectionConfig
from encoders.ocr.crop_trial import compare_croppers
from encoders.ocr.cropper import Crop, Marked, PrintedCrop, Sheet
from encoders.ocr.crops import printed_rows
from encoders.ocr.geometry import Corners
from encoders.ocr.kernel_cropper import KernelCropper
from encoders.ocr.perspective import frames_of, perspectives
from encoders.ocr.torch_cropper import Span, TorchCropper
from tests.encoders.interpreter import quicken

CPU = torch.device("cpu")

quicken()

PLAIN, OURS = TorchCropper(CPU, torch.float32, (4, 8)), KernelCropper(CPU, torch.float32, (4, 8))
ON_PAGES = (
    [
        [(8, 9), (70, 14), (69, 26), (7, 21)],  # in perspective
        [(60, 30), (94, 34), (92, 48), (58, 44)],  # over the right border
        [(4, 20), (22, 20), (22, 58), (4, 58)],
        [(30.5, 40.25), (50.5, 50.25), (46.5, 58.25), (26.5, 48.25)],
    ],
    [],
    [
        [(10, 5), (80, 8), (76, 100), (6, 97)],  # so high that it is averaged
        [(50, 10), (50, 80), (40, 80), (40, 10)],  # a quarter turned
        [(-20, -90), (15, -90), (15, 5), (-20, 5)],  # averaged as well, most of it beyond the corner
    ],
)


@pytest.fixture(autouse=True)
def large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    # The interpreter takes about as long for a large tile as for a small one.
    monkeypatch.setattr(crop_kernels, "_BLOCK", 8192)
    monkeypatch.setattr(crop_kernels, "_DOWN", 64)
    monkeypatch.setattr(crop_kernels, "_SIDEWAYS", 256)
    monkeypatch.setattr(ink_kernels, "_ROWS", 128)
    monkeypatch.setattr(print_kernels, "_DOWN", 64)
    monkeypatch.setattr(print_kernels, "_ACROSS", 512)


def page(height: int, width: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(height).integers(0, 256, (height // 5, width // 5, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def marked_by(cropper: TorchCropper) -> list[tuple[Sheet, list[Corners]]]:
    sheets = [cropper.sheet(image) for image in (page(60, 90), page(50, 50), page(90, 110))]
    sheets[2] = cropper.turned(sheets[2], 90)
    corners: list[list[Corners]] = [[np.array(quad, np.float32) for quad in quads] for quads in ON_PAGES]
    return list(zip(sheets, corners))


@cache
def lines_by(cropper: TorchCropper) -> Sequence[Sequence[Crop]]:
    return cropper.cut(marked_by(cropper))()


def colours(crop: Crop) -> torch.Tensor:
    line: torch.Tensor = crop.pixels.strip[:, :, crop.pixels.at : crop.pixels.at + crop.width]
    return line


def test_lines_of_several_pages_are_cut_alike() -> None:
    wanted, ours = lines_by(PLAIN), lines_by(OURS)
    assert [len(some) for some in ours] == [4, 0, 3]
    off = [
        (colours(mine).int() - colours(theirs).int()).abs().flatten()
        for some, others in zip(ours, wanted, strict=True)
        for mine, theirs in zip(some, others, strict=True)
    ]
    assert all(len(levels) and int(levels.max()) <= 1 for levels in off)
    assert float((torch.cat(off) > 0).float().mean()) < 1e-3
    for crop, grey in zip(chain(*ours), chain(*OURS.greys(marked_by(OURS))()), strict=True):
        pixels = np.ascontiguousarray(colours(crop).permute(1, 2, 0).numpy())
        assert np.array_equal(grey, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
        assert np.array_equal(crop.printed, printed_rows(grey)) and crop.printed.dtype == np.uint8


def test_nothing_is_cut_out_of_pages_without_lines() -> None:
    for cut in (OURS.cut, OURS.greys):
        assert cut([])() == [] and cut([(OURS.sheet(page(50, 50)), [])])() == [[]]


def test_batches_are_equal() -> None:
    first, _, third = lines_by(OURS)
    for crops in (first[:1], [third[0], *first], [*first, *third]):
        lines = [crop.pixels for crop in crops]
        for kind in (torch.float32, torch.float16)[: 1 if len(crops) == 1 else 2]:
            ours, plain = (kind_of(CPU, kind, (4, 8)).stack(lines) for kind_of in (KernelCropper, TorchCropper))
            assert torch.equal(ours, plain) and ours.stride() == plain.stride() and ours.dtype == plain.dtype
    with pytest.raises(ValueError, match="cut out together"):
        OURS.stack([first[0].pixels, lines_by(PLAIN)[0][0].pixels])


@pytest.mark.parametrize(
    ("size", "most", "least"), [((90, 70), 64, 32), ((150, 210), 160, 32), ((40, 90), 160, 64), ((33, 300), 160, 32)]
)
def test_pages_are_scaled_alike(size: tuple[int, int], most: int, least: int) -> None:
    config = DetectionConfig.model_construct(max_side=most, min_side=least)
    images = [page(*size), page(*size)[::-1]]
    (ours,) = OURS.scaled_all([OURS.sheet(image) for image in images], config)
    wanted = torch.cat(PLAIN.scaled_all([PLAIN.sheet(image) for image in images], config))
    assert torch.equal(ours, wanted) and ours.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(OURS.scaled(OURS.sheet(images[1]), config), wanted[1:])


def test_a_trial_finds_out_who_cuts_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_kernels, "_BLOCK", 16384)
    compare_croppers(KernelCropper, CPU)
    for amount in (-0.02, float("nan")):
        with pytest.raises(RuntimeError, match="% of batches of lines are more"):
            compare_croppers(shifted(amount), CPU)
    with pytest.raises(RuntimeError, match="print of a line of 222 columns"):
        compare_croppers(Unprinted, CPU)


def shifted(amount: float) -> type[TorchCropper]:
    class Shifted(TorchCropper):
        def stack(self, lines: Sequence[Span]) -> torch.Tensor:
            return super().stack(lines) + amount

    return Shifted


class Unprinted(TorchCropper):
    def cut(self, pages: Sequence[Marked]) -> Callable[[], Sequence[Sequence[Crop]]]:
        cut = super().cut(pages)()
        return lambda: [[PrintedCrop(crop.pixels, 0 * crop.printed) for crop in crops] for crops in cut]


def test_pages_of_one_batch_have_one_size() -> None:
    with pytest.raises(ValueError, match="2 sizes"):
        OURS.scaled_all([OURS.sheet(page(60, 90)), OURS.sheet(page(90, 60))], DetectionConfig())


def test_perspectives_are_opencvs() -> None:
    random = np.random.default_rng(5)
    frames = frames_of(random.integers(1, 3200, 60), random.integers(1, 400, 60))
    quads = (frames * random.uniform(0.2, 1, (60, 1, 1)) + random.uniform(0, 900, (60, 1, 2))).astype(np.float32)
    quads[20:40] = random.uniform(0, 900, (20, 4, 2))
    quads[40:50] = quads[40:50, :1]  # all four corners in one place
    theirs = np.stack([cv2.getPerspectiveTransform(frame, quad) for frame, quad in zip(frames, quads)])
    assert np.array_equal(perspectives(frames, quads).astype(np.float32), theirs.astype(np.float32))
