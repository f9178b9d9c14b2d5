"""The cropper of a GPU: a page is uploaded once, and what comes back of it are grey lines.

Cutting 50 lines out of a page by `cv2.warpPerspective` takes 60 to 72 ms of a core, and scaling them and the page
another 45: at 140 pages/s that alone would be 16 cores. The same arithmetic here, as PyTorch operations on any device:
bicubic sampling with a = -0.75 and repeated borders, area averages, values rounded to grey levels where OpenCV does.
`kernel_cropper` does the same by kernels of our own, where those are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from encoders.layout.runs import Look
from encoders.ocr.config import DetectionConfig
from encoders.ocr.cropper import Crop, Grey, GreyCrop, Image, Marked, greys_of
from encoders.ocr.crops import HEIGHT, CropSize, crop_sizes, padded_width
from encoders.ocr.detection import network_size
from encoders.ocr.geometry import Corners
from encoders.ocr.perspective import frames_of, perspectives
from encoders.transfers import Fetch, memory_errors, to_card

_GREY = (9798, 19235, 3735)  # OpenCV's weights of red, green and blue, of 2^15
_MIDDLE = 127.5


class TorchCropper:
    """See `Cropper`; a sheet is the page as bytes [h, w, 3] on ``device``, batches have the recogniser's ``dtype``.

    A batch of lines is filled up with empty ones to the next of ``sizes``: cuDNN plans each shape that it meets, for
    longer than it computes it, and lengths of batches are as many as lines on pages.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, sizes: Sequence[int] = ()) -> None:
        self._device = device
        self._dtype = dtype
        self._sizes = sizes

    def sheet(self, image: Image) -> Tensor:
        """See `Cropper`."""
        with memory_errors():
            return to_card(np.ascontiguousarray(image), self._device)

    def turned(self, sheet: Tensor, degrees: int) -> Tensor:
        """See `Cropper`."""
        return torch.rot90(sheet, -degrees // 90)

    @torch.inference_mode()
    def scaled(self, sheet: Tensor, config: DetectionConfig) -> Tensor:
        """See `Cropper`: `detection.network_input`, within a grey level."""
        rows, columns = network_size(sheet.shape[0], sheet.shape[1], config)
        shrinks = rows * columns < sheet.shape[0] * sheet.shape[1]
        with memory_errors():
            planes = sheet.permute(2, 0, 1)
            return _normalised(_resized(planes, rows, columns, area=shrinks)).flip(0)[None]

    def scaled_all(self, sheets: Sequence[Tensor], config: DetectionConfig) -> list[Tensor]:
        """See `Cropper`."""
        return [self.scaled(sheet, config) for sheet in sheets]

    def cut(self, pages: Sequence[Marked]) -> Callable[[], Sequence[Sequence[Crop]]]:
        """See `Cropper`: `crops.cut`, within what the 32nds of a pixel make of which OpenCV samples."""
        coming: Callable[[], list[list[GreyCrop]]] = self._in_grey(pages)
        return coming

    def greys(self, pages: Sequence[Marked]) -> Callable[[], list[list[Grey]]]:
        """See `Cropper`."""
        coming = self._in_grey(pages)
        return lambda: greys_of(coming())

    @torch.inference_mode()
    def _in_grey(self, pages: Sequence[Marked]) -> Callable[[], list[list[GreyCrop]]]:
        with memory_errors():
            strips = [_Strip(sheet, corners) for sheet, corners in pages if len(corners)]
            if not strips:
                return lambda: [[] for _ in pages]
            whole = torch.cat([strip.pixels for strip in strips], dim=2)
            # One copy for all pages: memory that a copy can be made to at once takes longer to be had than the copy.
            coming = Fetch(torch.cat([_grey(strip.pixels) for strip in strips], dim=1))

        def crops() -> list[list[GreyCrop]]:
            (grey,), left, at, made = coming.wait(), iter(strips), 0, []
            for _, corners in pages:
                made.append(next(left).crops(grey, whole, at) if len(corners) else [])
                at += sum(crop.width for crop in made[-1])
            return made

        return crops

    @torch.inference_mode()
    def stack(self, lines: Sequence[Span]) -> Tensor:
        """See `Cropper`."""
        strip, spans = self._spans(lines)
        count, width = spans.shape[1], padded_width(spans[1].max())
        with memory_errors():
            # All lines at once: a copy of each is a kernel of its own, and a batch has up to 128.
            starts, widths = to_card(spans, self._device)[..., None]
            columns = torch.arange(width, device=self._device)
            inside = columns < widths
            pixels = strip.index_select(2, torch.where(inside, starts + columns, 0).view(-1)).flip(0)  # trained on BGR
            batch = torch.empty(
                (count, 3, HEIGHT, width),
                dtype=self._dtype, device=self._device, memory_format=torch.channels_last,
            )  # fmt: skip
            batch.copy_(pixels.view(3, HEIGHT, count, width).permute(2, 0, 1, 3))
            return batch.sub_(_MIDDLE).div_(_MIDDLE).mul_(inside[:, None, None])

    def ink(self, looks: Sequence[tuple[Tensor, Look]]) -> Callable[[], NDArray[np.uint8] | None]:
        """See `Cropper`: the host, for whom these would be some forty operations a page."""
        return lambda: None

    def _spans(self, lines: Sequence[Span]) -> tuple[Tensor, NDArray[np.int64]]:
        """The strip that the lines are of, and where in it each begins and how wide it is, [2, n], n a size of a batch;
        those that fill it up are 0 wide. Raises `ValueError` where there is no such strip."""
        strip = lines[0].strip
        if any(line.strip is not strip for line in lines):
            raise ValueError("a batch holds lines that were cut out together")
        spans = np.zeros((2, next((size for size in self._sizes if size >= len(lines)), len(lines))), np.int64)
        spans[:, : len(lines)] = [line.at for line in lines], [line.width for line in lines]
        return strip, spans


class Span(NamedTuple):
    """A crop among the lines of all pages that were cut out together, bytes [3, 48, w], RGB: where it begins."""

    strip: Tensor
    at: int
    width: int


class _Strip:
    """The lines of a page side by side, those that need no averaging first: ``pixels`` are bytes [3, 48, w], RGB."""

    def __init__(self, sheet: Tensor, corners: Sequence[Corners]) -> None:
        planes = sheet.permute(2, 0, 1).float()[None]
        sizes = [CropSize(*size) for size in crop_sizes(corners).tolist()]
        plain = [i for i, size in enumerate(sizes) if not size.shrinks]
        large = [i for i, size in enumerate(sizes) if size.shrinks]
        rows = [_row_of(planes, [corners[i] for i in plain], HEIGHT, [sizes[i].columns for i in plain])]
        for i in large:
            own = _row_of(planes, [corners[i]], sizes[i].rows, [sizes[i].columns])
            rows.append(_resized(own, HEIGHT, sizes[i].target, area=True))
        self.pixels = torch.cat(rows, dim=2).to(torch.uint8)
        self._widths = {i: sizes[i].target for i in (*plain, *large)}

    def crops(self, grey: NDArray[np.uint8], whole: Tensor, begin: int) -> list[GreyCrop]:
        """In the order of the corners; the strip begins at a column of the ``whole``, and of its ``grey`` [48, w]."""
        crops, at = {}, begin
        for i, width in self._widths.items():
            crops[i] = GreyCrop(Span(whole, at, width), grey[:, at : at + width])
            at += width
        return [crops[i] for i in range(len(crops))]


def _row_of(planes: Tensor, corners: Sequence[Corners], rows: int, widths: Sequence[int]) -> Tensor:
    """[3, rows, sum of widths]: the quads side by side, each ``rows`` high, sampled from [1, 3, h, w] in one go."""
    device, total = planes.device, sum(widths)
    if not total:
        return planes.new_zeros(3, rows, 0)
    height, width = planes.shape[2:]
    to_page = to_card(to_grid(corners, np.array(widths), np.full(len(widths), rows), [(height, width)]), device)
    spans = to_card(np.stack([widths, np.cumsum([0, *widths[:-1]])]).astype(np.int64), device)
    line = torch.arange(len(widths), device=device).repeat_interleave(spans[0], output_size=total)
    x, y = torch.arange(total, device=device) - spans[1, line], torch.arange(rows, device=device)[:, None]
    by_x, by_y, fixed = to_page[line].permute(2, 1, 0)  # each [3, total], to homogeneous coordinates
    homogeneous = by_y[:, None] * y + (by_x * x + fixed)[:, None]  # [3, rows, total]
    grid = (homogeneous[:2] / homogeneous[2]).permute(1, 2, 0)[None]
    sampled = functional.grid_sample(planes, grid, mode="bicubic", padding_mode="border", align_corners=True)
    return sampled[0].round_().clamp_(0, 255)


def to_grid(
    corners: Sequence[Corners] | NDArray[np.float32], columns: NDArray[np.int64], rows: NDArray[np.int64],
    pages: Sequence[tuple[int, int]] | NDArray[np.int64],
) -> NDArray[np.float32]:  # fmt: skip
    """[n, 3, 3]: pixels of pictures of n lines, each so many columns and rows, to where `grid_sample` has them on pages
    of this height and width, one or n of them: in -1..1."""
    matrices = perspectives(frames_of(columns, rows), np.asarray(corners, np.float32))
    scale = 2 / np.maximum(1, np.array(pages)[:, ::-1] - 1)  # while numbers are double
    matrices[:, :2] = matrices[:, :2] * scale[..., None] - matrices[:, 2:]
    return matrices.astype(np.float32)


def _grey(strip: Tensor) -> Tensor:
    """Bytes [3, h, w], RGB, to bytes [h, w] as `cv2.cvtColor` does."""
    red, green, blue = strip.to(torch.int32)
    return ((red * _GREY[0] + green * _GREY[1] + blue * _GREY[2] + (1 << 14)) >> 15).to(torch.uint8)


def _normalised(values: Tensor) -> Tensor:
    """0..255 to -1..1."""
    return (values.float() - _MIDDLE) / _MIDDLE


def _resized(planes: Tensor, rows: int, columns: int, *, area: bool) -> Tensor:
    """[3, h, w] to [3, rows, columns] in whole grey levels, as `cv2.resize` by INTER_AREA or INTER_LINEAR."""
    for dim, target in ((1, rows), (2, columns)):
        indices, weights = _taps(planes.shape[dim], target, area, planes.device)
        shape = (1, -1, 1) if dim == 1 else (1, 1, -1)
        made = planes.index_select(dim, indices[0]) * weights[0].view(shape)
        for index, weight in zip(indices[1:], weights[1:]):
            made += planes.index_select(dim, index) * weight.view(shape)
        planes = made
    return planes.round_().clamp_(0, 255)


@lru_cache(maxsize=256)
def _taps(source: int, target: int, area: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each of ``target`` pixels the k source pixels that it is made of, [k, target], and their shares."""
    scale = source / target
    if area and scale >= 1:
        first, last = np.arange(target) * scale, np.arange(1, target + 1) * scale
        index = np.floor(first + 1e-9).astype(np.int64) + np.arange(int(np.ceil(scale)) + 1)[:, None]
        weight = (np.minimum(index + 1, last) - np.maximum(index, first)).clip(0) / scale
    else:
        at = (np.arange(target) + 0.5) * scale - 0.5
        low = np.floor(at).astype(np.int64)
        index, weight = np.stack([low, low + 1]), np.stack([1 - (at - low), at - low])
    index = index.clip(0, source - 1)
    return to_card(index, device), to_card(weight.astype(np.float32), device)
