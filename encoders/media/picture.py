"""Images by Pillow: upright, RGB over white, under the pixel budget; each frame of a TIFF is a page."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from encoders.failures import FailureCategory, MediaError
from encoders.media.errors import as_failure
from encoders.media.opened import OpenedPage, Probe
from encoders.media.opening import Event, Source, page_range
from encoders.media.protocol import Extent
from encoders.media.sniff import IMAGES

Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and refuses with a category
warnings.filterwarnings("ignore", module="PIL")
_FORMATS = {media_type: media_type.partition("/")[2].upper() for media_type in IMAGES}


def probe(source: Source, media_type: str) -> Probe:
    """The number of pages."""
    image = _open(source, media_type)
    _refuse_large(image, source)
    return Probe(media_type, "image", pages=_pages(image))


def opened(source: Source, media_type: str) -> Iterator[Event]:
    """The pages of the request's range."""
    image = _open(source, media_type)
    pages = page_range(source.request, _pages(image))
    yield Extent(pages.start, pages.stop)
    for index in pages:
        yield index + 1
        try:
            if index:
                image.seek(index)
            pixels = _pixels(image, source)
        except Exception as error:  # one page never costs the others
            yield as_failure(error, index + 1)
        else:
            yield OpenedPage(index + 1, pixels.shape[1], pixels.shape[0], pixels)


def _open(source: Source, media_type: str) -> ImageFile.ImageFile:
    try:
        return Image.open(source.path, formats=[_FORMATS[media_type]])
    except UnidentifiedImageError:
        raise MediaError(FailureCategory.CORRUPT, f"not a readable {media_type} file") from None


def _pages(image: ImageFile.ImageFile) -> int:
    """Frames of a TIFF; an animation and the thumbnails of a photograph are one page."""
    return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def _refuse_large(image: Image.Image, source: Source) -> None:
    pixels, limit = image.width * image.height, source.request.max_image_pixels
    if pixels > limit:
        message = f"it declares {image.width} x {image.height} pixels, the limit is {limit:,}"
        raise MediaError(FailureCategory.TOO_LARGE, message)
    if pixels == 0:
        raise MediaError(FailureCategory.EMPTY, "the image has no pixels")


def _pixels(image: Image.Image, source: Source) -> NDArray[np.uint8]:
    _refuse_large(image, source)
    budget = source.request.max_pixels
    excess = math.sqrt(image.width * image.height / budget)
    if excess > 1 and image.format == "JPEG":  # decodes at 1/2, 1/4 or 1/8, never below the size asked for
        image.draft(None, (math.floor(image.width / excess), math.floor(image.height / excess)))
    image.load()
    upright = ImageOps.exif_transpose(image)
    assert upright is not None
    shown = _rgb(upright)
    excess = math.sqrt(shown.width * shown.height / budget)
    if excess > 1:
        size = max(math.floor(shown.width / excess), 1), max(math.floor(shown.height / excess), 1)
        shown = shown.resize(size, Image.Resampling.BOX if excess > 4 else Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(shown)


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB; what is transparent shows white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bit(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey levels of 16 or 32 bits or floating point: by the range of their type, as far as they use it."""
    floats = np.nan_to_num(values.astype(np.float32))
    top = float(floats.max(initial=0.0))
    full = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    if values.dtype.kind != "f":
        full = 65535.0 if top <= 65535.0 else top
    return (np.clip(floats, 0, full) * (255.0 / full)).astype(np.uint8)
