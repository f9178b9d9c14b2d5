"""What stands between a page and the networks: scaling it, cutting lines out of it, batches of lines.

Implementations of one interface: `HostCropper` by OpenCV, and `torch_cropper.TorchCropper`, which uploads a page once
and leaves its pixels on the GPU, with `kernel_cropper.KernelCropper`, which does so by our own kernels. An engine
brings the one that suits where it runs (`OcrNetworks.cropper`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from encoders.layout.runs import Look
from encoders.ocr import crops as cropping
from encoders.ocr import detection
from encoders.ocr.config import DetectionConfig
from encoders.ocr.crops import Printed
from encoders.ocr.geometry import Corners, turn_image

Image = NDArray[np.uint8]
"""A page [h, w, 3], RGB, on the host."""

Sheet = Any
"""A page where its cropper works on it."""

Pixels = Any
"""A line where its cropper works on it."""

Grey = NDArray[np.uint8]
"""A line [48, w], on the host."""

Marked = tuple[Sheet, Sequence[Corners]]
"""A page, and where its lines are."""


class Crop(Protocol):
    """A line cut out of a page, 48 pixels high."""

    @property
    def pixels(self) -> Pixels:
        """For `Cropper.stack`."""

    @property
    def width(self) -> int:
        """In pixels."""

    @property
    def printed(self) -> Printed:
        """Where it is print."""


@dataclass(frozen=True, slots=True)
class PrintedCrop:
    """A crop whose print was found where its cropper works."""

    pixels: Pixels
    printed: Printed

    @property
    def width(self) -> int:
        """See `Crop`."""
        return len(self.printed)


@dataclass(frozen=True, slots=True)
class GreyCrop:
    """A crop that is looked at on the host, by whoever wants to know."""

    pixels: Pixels
    grey: Grey

    @property
    def width(self) -> int:
        """See `Crop`."""
        return int(self.grey.shape[1])

    @property
    def printed(self) -> Printed:
        """See `Crop`."""
        return cropping.printed_rows(self.grey)


class Cropper(Protocol):
    """Pages to inputs of the networks. Raises `MemoryError` when one does not fit."""

    def sheet(self, image: Image) -> Sheet:
        """Bring a page to where it is worked on."""

    def turned(self, sheet: Sheet, degrees: int) -> Sheet:
        """The sheet turned clockwise by 90, 180 or 270 degrees."""

    def scaled(self, sheet: Sheet, config: DetectionConfig) -> Any:
        """Input of the detector: [1, 3, H, W] BGR in -1..1."""

    def scaled_all(self, sheets: Sequence[Sheet], config: DetectionConfig) -> Sequence[Any]:
        """`scaled` of pages that come to one size, as the detector takes them: together or each by itself."""

    def cut(self, pages: Sequence[Marked]) -> Callable[[], Sequence[Sequence[Crop]]]:
        """What waits for the lines of each page as upright crops, see `crops.cut`."""

    def greys(self, pages: Sequence[Marked]) -> Callable[[], Sequence[Sequence[Grey]]]:
        """The same in grey."""

    def stack(self, lines: Sequence[Pixels]) -> Any:
        """Input of the recogniser from pixels of one `cut`, see `crops.network_input`."""

    def ink(self, looks: Sequence[tuple[Sheet, Look]]) -> Callable[[], NDArray[np.uint8] | None]:
        """What waits for the pages' ink, as `ink.places` has it, or for None where the host had better look itself."""


class HostCropper:
    """On the CPU; a sheet is the image itself."""

    def sheet(self, image: Image) -> Image:
        """See `Cropper`."""
        return image

    def turned(self, sheet: Image, degrees: int) -> Image:
        """See `Cropper`."""
        return turn_image(sheet, degrees)

    def scaled(self, sheet: Image, config: DetectionConfig) -> NDArray[np.float32]:
        """See `Cropper`."""
        return detection.network_input(sheet, config)

    def scaled_all(self, sheets: Sequence[Image], config: DetectionConfig) -> list[NDArray[np.float32]]:
        """See `Cropper`."""
        return [self.scaled(sheet, config) for sheet in sheets]

    def cut(self, pages: Sequence[Marked]) -> Callable[[], list[list[GreyCrop]]]:
        """See `Cropper`."""
        cut = [[cropping.cut(sheet, line) for line in corners] for sheet, corners in pages]
        made = [[GreyCrop(line, np.asarray(cv2.cvtColor(line, cv2.COLOR_RGB2GRAY))) for line in page] for page in cut]
        return lambda: made

    def greys(self, pages: Sequence[Marked]) -> Callable[[], list[list[Grey]]]:
        """See `Cropper`."""
        made = greys_of(self.cut(pages)())
        return lambda: made

    def stack(self, lines: Sequence[Image]) -> NDArray[np.float32]:
        """See `Cropper`."""
        return cropping.network_input(lines)

    def ink(self, looks: Sequence[tuple[Sheet, Look]]) -> Callable[[], None]:
        """See `Cropper`."""
        return lambda: None


def greys_of(pages: Sequence[Sequence[GreyCrop]]) -> list[list[Grey]]:
    """Of the crops of each page."""
    return [[crop.grey for crop in page] for page in pages]
