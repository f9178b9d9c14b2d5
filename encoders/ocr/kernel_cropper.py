"""The cropper of a GPU by kernels of our own: one launch for all pages of a request, where PyTorch needs 30 a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.layout.runs import Look
from encoders.ocr import crop_kernels as kernels
from encoders.ocr import print_kernels
from encoders.ocr.config import DetectionConfig
from encoders.ocr.cropper import Crop, Grey, Marked, PrintedCrop
from encoders.ocr.crops import HEIGHT, crop_sizes, padded_width
from encoders.ocr.detection import network_size
from encoders.ocr.ink_kernels import find_ink
from encoders.ocr.torch_cropper import Span, TorchCropper, to_grid
from encoders.transfers import Fetch, memory_errors, to_card

T = TypeVar("T")


class KernelCropper(TorchCropper):
    """See `TorchCropper`; the same pixels within a grey level, nearly all of them equal."""

    def turned(self, sheet: Tensor, degrees: int) -> Tensor:
        """See `Cropper`."""
        with memory_errors():
            return super().turned(sheet, degrees).contiguous()  # kernels go by a page's address and size

    def scaled(self, sheet: Tensor, config: DetectionConfig) -> Tensor:
        """See `Cropper`."""
        return self.scaled_all([sheet], config)[0]

    @torch.inference_mode()
    def scaled_all(self, sheets: Sequence[Tensor], config: DetectionConfig) -> list[Tensor]:
        """See `Cropper`: one tensor of all. Raises `ValueError` where they do not come to one size."""
        sizes = {network_size(sheet.shape[0], sheet.shape[1], config) for sheet in sheets}
        if len(sizes) != 1:
            raise ValueError(f"pages of one batch come to {len(sizes)} sizes")
        ((rows, columns),) = sizes
        pages = np.array([_page(sheet) for sheet in sheets], np.int64)
        with memory_errors():
            batch = torch.empty(
                (len(sheets), 3, rows, columns),
                dtype=torch.float32, device=self._device, memory_format=torch.channels_last,
            )  # fmt: skip
            kernels.scaled(to_card(pages, self._device), batch)
        return [batch]

    @torch.inference_mode()
    def cut(self, pages: Sequence[Marked]) -> Callable[[], Sequence[Sequence[Crop]]]:
        """See `Cropper`."""
        if not any(len(corners) for _, corners in pages):
            return lambda: [[] for _ in pages]
        laid = _Laid.of(pages)
        with memory_errors():
            lines, strip, grey = self._cut(laid)
            coming = Fetch(print_kernels.printed(lines, max(laid.widths), grey))

        def crops() -> list[list[Crop]]:
            (rows,) = coming.wait()
            return laid.by_page(lambda at, width: PrintedCrop(Span(strip, at, width), rows[at : at + width]))

        return crops

    @torch.inference_mode()
    def greys(self, pages: Sequence[Marked]) -> Callable[[], list[list[Grey]]]:
        """See `Cropper`."""
        if not any(len(corners) for _, corners in pages):
            return lambda: [[] for _ in pages]
        laid = _Laid.of(pages)
        with memory_errors():
            coming = Fetch(self._cut(laid)[2])

        def greys() -> list[list[Grey]]:
            (grey,) = coming.wait()
            return laid.by_page(lambda at, width: grey[:, at : at + width])

        return greys

    def _cut(self, laid: _Laid) -> tuple[Tensor, Tensor, Tensor]:
        """The lines' records, and bytes [3, 48, w], RGB, and [48, w]: the lines side by side in their order, and their
        grey."""
        total, records = sum(laid.widths), laid.records
        strip = torch.empty((3, HEIGHT, total), dtype=torch.uint8, device=self._device)
        grey = torch.empty((HEIGHT, total), dtype=torch.uint8, device=self._device)
        large = range(laid.plain, len(records))
        own = torch.empty(laid.own, dtype=torch.uint8, device=self._device) if large else None
        if own is not None:
            records[laid.plain :, kernels.OWN] += own.data_ptr()
        lines = to_card(records, self._device)
        numbers = lines.view(torch.float32)
        pixels = records[:, kernels.ROWS] * records[:, kernels.COLUMNS]
        if laid.plain:
            most = int(pixels[: laid.plain].max())
            kernels.sampled(lines, numbers, range(laid.plain), most, strip, grey, plain=True)
        if large:
            kernels.sampled(lines, numbers, large, int(pixels[laid.plain :].max()), strip, grey, plain=False)
            kernels.averaged(lines, large, int(records[laid.plain :, kernels.TARGET].max()), strip, grey)
        return lines, strip, grey

    @torch.inference_mode()
    def stack(self, lines: Sequence[Span]) -> Tensor:
        """See `Cropper`."""
        strip, spans = self._spans(lines)
        with memory_errors():
            batch = torch.empty(
                (spans.shape[1], 3, HEIGHT, padded_width(spans[1].max())),
                dtype=self._dtype, device=self._device, memory_format=torch.channels_last,
            )  # fmt: skip
            kernels.stacked(strip, to_card(spans, self._device), batch)
        return batch

    @torch.inference_mode()
    def ink(self, looks: Sequence[tuple[Tensor, Look]]) -> Callable[[], NDArray[np.uint8]]:
        """See `Cropper`."""
        sheets, wanted = zip(*looks, strict=True)
        with memory_errors():
            coming = Fetch(find_ink(sheets, wanted, self._device))
        return lambda: coming.wait()[0]


class _Laid(NamedTuple):
    """What becomes of the lines of several pages."""

    records: NDArray[np.int64]  # [n, `kernels.RECORD`], first those that need no averaging
    plain: int  # how many those are
    own: int  # bytes that the others take at their own size
    starts: list[int]  # where each line begins in the strip, in the order of the pages
    widths: list[int]
    counts: list[int]  # of lines of each page

    @classmethod
    def of(cls, pages: Sequence[Marked]) -> _Laid:
        """Of at least one line."""
        counts = [len(corners) for _, corners in pages]
        quads = np.concatenate([np.asarray(corners, np.float32).reshape(-1, 4, 2) for _, corners in pages])
        columns, rows, targets, shrinks = crop_sizes(quads).T
        starts = np.cumsum(targets) - targets
        sheets = np.array([_page(sheet) for sheet, _ in pages], np.int64).repeat(counts, 0)
        taken = np.where(shrinks, 3 * rows * columns, 0)
        records = np.zeros((len(quads), kernels.RECORD), np.int64)
        records[:, kernels.ADDRESS : kernels.PAGE_COLUMNS + 1] = sheets
        records[:, kernels.ROWS], records[:, kernels.COLUMNS] = rows, columns
        records[:, kernels.OWN] = np.cumsum(taken) - taken
        records[:, kernels.AT], records[:, kernels.TARGET] = starts, targets
        matrices = to_grid(quads, columns, rows, sheets[:, 1:])
        records.view(np.float32)[:, 2 * kernels.MATRIX :][:, :9] = matrices.reshape(-1, 9)
        order = np.argsort(shrinks, kind="stable")
        plain, own = int((shrinks == 0).sum()), int(taken.sum())
        return cls(records[order], plain, own, starts.tolist(), targets.tolist(), counts)

    def by_page(self, line: Callable[[int, int], T]) -> list[list[T]]:
        """What becomes of where each line begins and how wide it is, for each page."""
        made = iter([line(at, width) for at, width in zip(self.starts, self.widths)])
        return [[next(made) for _ in range(count)] for count in self.counts]


def _page(sheet: Tensor) -> tuple[int, int, int]:
    """Where it is, and its height and width."""
    return sheet.data_ptr(), sheet.shape[0], sheet.shape[1]
