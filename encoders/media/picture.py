"""Images by Pillow: upright, RGB over white, under the pixel budget; each frame of a TIFF is a page."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from encoders.failures import FailureCategory, MediaError
from encoders.media.errors import as_failure
from encoders.media.opened import OpenedPage, Probe
from encoders.media.opening import Event, Source, page_range
from encoders.media.protocol import Extent
from encoders.media.sniff import IMAGES

Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and refuses with a category
warnings.filterwarnings("ignore", module="PIL")
STRIP = 256  # rows of a reduced image made at once
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "LA": 4}  # in Pillow's memory; RGB takes 4
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
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
        except MemoryError as error:
            small = _loaded_bytes(image) < source.request.memory_bytes / 4
            lie = MediaError(FailureCategory.CORRUPT, "a piece of it declares more bytes than there is memory")
            yield as_failure(lie if small else error, index + 1)
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


def _refuse_unloadable(image: Image.Image, source: Source) -> None:
    """Say beforehand that pixels will not fit: running out of memory would look like a passing fault."""
    needed = _loaded_bytes(image)
    if needed > 0.95 * source.request.memory_bytes:
        message = (
            f"{image.width} x {image.height} pixels take {needed / 2**30:.1f} GiB, opening may use "
            f"{source.request.memory_bytes / 2**30:g} GiB (ocr.limits.memory_gib)"
        )
        raise MediaError(FailureCategory.TOO_LARGE, message)


def _loaded_bytes(image: Image.Image) -> int:
    return image.width * image.height * _BYTES_PER_PIXEL.get(image.mode, 4)


def _pixels(image: Image.Image, source: Source) -> NDArray[np.uint8]:
    _refuse_large(image, source)
    budget = source.request.max_pixels
    excess = math.sqrt(image.width * image.height / budget)
    if excess > 1 and image.format == "JPEG":  # decodes at 1/2, 1/4 or 1/8, never below the size asked for
        image.draft(None, (math.floor(image.width / excess), math.floor(image.height / excess)))
    _refuse_unloadable(image, source)
    if excess <= 1 and (plain := _plain_jpeg(image, source)) is not None:
        return plain
    image.load()
    factor = math.floor(math.sqrt(image.width * image.height / budget))
    shown = _reduced(image, factor) if factor >= 2 else _rgb(image, _full_scale(image))
    turn = _turn(image)
    if turn is not None:
        shown = shown.transpose(turn)
    excess = math.sqrt(shown.width * shown.height / budget)
    if excess > 1:
        size = max(math.floor(shown.width / excess), 1), max(math.floor(shown.height / excess), 1)
        # Averages have no fine edges left for the better filter, which takes twice as long.
        smooth = Image.Resampling.HAMMING if factor >= 2 else Image.Resampling.LANCZOS
        shown = shown.resize(size, smooth, reducing_gap=2.0)
    return np.asarray(shown)


def _plain_jpeg(image: Image.Image, source: Source) -> NDArray[np.uint8] | None:
    """The pixels of an upright JPEG that every decoder takes alike, in two thirds of the time that Pillow takes for the
    same; None for another."""
    components = {"L": 1, "RGB": 3}.get(image.mode)
    if image.format != "JPEG" or components is None or _turn(image) is not None:
        return None
    from encoders.media import jpeg  # brings OpenCV, which other images do without

    data = Path(source.path).read_bytes()
    if not jpeg.is_plain(data, image.width, image.height, components):
        return None
    pixels = jpeg.decoded(data, (image.height, image.width, 3)[: 2 if components == 1 else 3])
    return None if pixels is None else jpeg.rgb(pixels if components == 3 else pixels[..., None])


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to set the image upright, as its camera says; a broken note about that does not cost the image."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return None


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """RGB at 1/factor of the size, by averages; strip by strip, so that a huge image is in memory only once."""
    full = _full_scale(image)
    shown = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, factor * STRIP):
        strip = image.crop((0, top, image.width, min(top + factor * STRIP, image.height)))
        if strip.mode in ("1", "L"):  # a quarter of the bytes of RGB
            shown.paste(strip.convert("L").reduce(factor).convert("RGB"), (0, top // factor))
        else:
            shown.paste(_rgb(strip, full).reduce(factor), (0, top // factor))
    return shown


def _full_scale(image: Image.Image) -> float:
    """The value that shows white in images of more than 8 bits: the range of their type, as far as they use it."""
    if not _is_deep(image):
        return 255.0
    top = 0.0
    for row in range(0, image.height, 1024):
        values = np.asarray(image.crop((0, row, image.width, min(row + 1024, image.height))))
        top = max(top, float(np.nan_to_num(values).max(initial=0)))
    if image.mode == "F":
        return next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    return 65535.0 if top <= 65535.0 else top


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _rgb(image: Image.Image, full: float) -> Image.Image:
    """8-bit RGB; what is transparent shows white. ``full`` is white in an image of more than 8 bits."""
    if _is_deep(image):
        floats = np.nan_to_num(np.asarray(image).astype(np.float32))
        image = Image.fromarray((np.clip(floats, 0, full) * (255.0 / full)).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
