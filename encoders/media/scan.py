"""Pages of a PDF that are one JPEG, without MuPDF's libjpeg. In every doubt there are no pixels, and MuPDF draws.

Pixels are those that MuPDF draws, but for colours at half or quarter resolution, which libjpeg-turbo interpolates
in another way, as it does for JPEG files.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import pymupdf
from numpy.typing import NDArray

from encoders.media.sole_image import Matrix, sole_image

OUTSIDE, INSIDE = 5e-4, 0.9
"""Pixels by which an image's edges may miss the page's: MuPDF moves them out to whole pixels, or in by up to 1e-3."""
MAX_PROFILE_ERROR = 1
"""Largest change of a value by MuPDF for a colour profile that is taken for none."""

_PAGE_KEYS = {
    *("Type", "Parent", "MediaBox", "CropBox", "BleedBox", "TrimBox", "ArtBox", "Resources", "Contents", "Rotate"),
    *("StructParents", "Tabs", "Thumb", "LastModified", "Metadata", "PieceInfo", "ID"),
}
_IMAGE_KEYS = {
    *("Type", "Subtype", "Width", "Height", "BitsPerComponent", "ColorSpace", "Filter", "Length", "Name"),
    *("Interpolate", "Metadata", "StructParent", "ID"),
}
_PROFILE_KEYS = {"N", "Alternate", "Length", "Filter", "Metadata"}
_FONTS = {"/Type0", "/Type1", "/TrueType"}  # glyphs of Type 3 are drawn where other text is invisible
_ICC = re.compile(r"\[\s*/ICCBased\s+(\d+) 0 R\s*\]")
_MAX_PROFILE_BYTES = 1 << 16


def scan_pixels(document: Any, page: Any, columns: int, rows: int) -> NDArray[np.uint8] | None:
    """The page [rows, columns, 3] RGB if it is one JPEG that fills it and is no smaller; else None."""
    if not document.is_pdf or not _is_plain_page(document, page):
        return None
    shown = sole_image(page.read_contents())
    if shown is None or not _fills(page, shown.matrix, columns, rows):
        return None
    resources = _resources(document, page, shown.fonts)
    image = resources and _reference(document.xref_get_key(page.xref, f"Resources/XObject/{shown.name}"))
    return _drawn(document, image, columns, rows) if image else None


def _is_plain_page(document: Any, page: Any) -> bool:
    """No annotations, turns, crops, groups, units; nor an output intent, which gives device colours a profile."""
    keys = set(document.xref_get_keys(page.xref))
    if not {"Resources", "Contents"} <= keys or not keys <= _PAGE_KEYS:
        return False
    if page.rotation != 0 or page.cropbox != page.mediabox:
        return False
    return bool(document.xref_get_key(document.pdf_catalog(), "OutputIntents")[0] == "null")


def _fills(page: Any, matrix: Matrix, columns: int, rows: int) -> bool:
    """Whether the image is upright and MuPDF would move its edges to the page's."""
    a, b, c, d, e, f = matrix
    box = page.mediabox
    if b or c or a <= 0 or d <= 0 or box.width != page.rect.width or box.height != page.rect.height:
        return False
    across, down = columns / box.width, rows / box.height
    margins = ((e - box.x0) * across, (box.x1 - e - a) * across, (f - box.y0) * down, (box.y1 - f - d) * down)
    return all(-OUTSIDE < margin < INSIDE for margin in margins)


def _resources(document: Any, page: Any, fonts: frozenset[str]) -> bool:
    """Whether the page's resources leave device colours and invisible text what they are."""
    plain = document.xref_get_key(page.xref, "Resources/ColorSpace")[0] == "null"  # may redefine device colours
    return plain and all(
        document.xref_get_key(page.xref, f"Resources/Font/{font}/Subtype")[1] in _FONTS for font in fonts
    )


def _drawn(document: Any, image: int, columns: int, rows: int) -> NDArray[np.uint8] | None:
    """The image in the size of the page."""
    if not set(document.xref_get_keys(image)) <= _IMAGE_KEYS:
        return None
    read = {key: document.xref_get_key(image, key) for key in ("Subtype", "BitsPerComponent", "Filter")}
    filters = read["Filter"][1].strip("[ ]")
    if (read["Subtype"][1], read["BitsPerComponent"][1], filters) != ("/Image", "8", "/DCTDecode"):
        return None
    width, height = (_integer(document.xref_get_key(image, key)) for key in ("Width", "Height"))
    components = _components(document, image)
    if not components or not _is_drawn_alike(width, height, columns, rows):
        return None
    from encoders.media import jpeg  # OpenCV is not loaded for files without scans

    data = document.xref_stream_raw(image)
    if not jpeg.is_plain(data, width, height, components):
        return None
    pixels = jpeg.decoded(data, (height, width) if components == 1 and width != columns else (height, width, 3))
    if pixels is None or (width, height) == (columns, rows):
        return pixels
    # As MuPDF scales when it draws.
    large = pymupdf.Pixmap(pymupdf.csGRAY if components == 1 else pymupdf.csRGB, width, height, pixels.tobytes(), False)
    small = pymupdf.Pixmap(large, columns, rows, None).samples
    return jpeg.rgb(np.frombuffer(small, np.uint8).reshape(rows, columns, components))


def _is_drawn_alike(width: int, height: int, columns: int, rows: int) -> bool:
    """Pixel for pixel, or scaled down by less than two: MuPDF decodes in half size for more, interpolates for less."""
    return (width, height) == (columns, rows) or (columns < width < 2 * columns and rows < height < 2 * rows)


def _components(document: Any, image: int) -> int:
    """1 for grey and 3 for RGB if MuPDF shows their values as they are, else 0."""
    kind, value = document.xref_get_key(image, "ColorSpace")
    if kind == "xref":
        value = document.xref_object(int(value.split()[0]))
    if value in ("/DeviceGray", "/DeviceRGB"):
        return 1 if value == "/DeviceGray" else 3
    found = _ICC.fullmatch(value.strip())
    if found is None:
        return 0
    profile = int(found[1])
    components = _integer(document.xref_get_key(profile, "N"))
    if components not in (1, 3) or not set(document.xref_get_keys(profile)) <= _PROFILE_KEYS:
        return 0
    data = document.xref_stream(profile)
    return components if len(data) <= _MAX_PROFILE_BYTES and _changes_nothing(data, components) else 0


@lru_cache(maxsize=32)
def _changes_nothing(profile: bytes, components: int) -> bool:
    """Whether MuPDF draws values of this profile as they are; it is asked, by an image of 4,096 colours."""
    levels = np.arange(16, dtype=np.uint8) * 17
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(64, 64, 3)
    if components == 1:
        colours = np.arange(4096, dtype=np.uint16).reshape(64, 64, 1).astype(np.uint8).repeat(3, axis=2)
    with pymupdf.open() as document:
        page = document.new_page(width=64, height=64)
        profile_xref, image, program = (document.get_new_xref() for _ in range(3))
        document.update_object(profile_xref, f"<</N {components}>>")
        document.update_stream(profile_xref, profile)
        space = f"/ColorSpace[/ICCBased {profile_xref} 0 R]/BitsPerComponent 8"
        document.update_object(image, f"<</Type/XObject/Subtype/Image/Width 64/Height 64{space}>>")
        document.update_stream(image, colours[:, :, :components].tobytes())
        document.update_object(program, "<<>>")
        document.update_stream(program, b"64 0 0 64 0 0 cm /I Do")
        document.xref_set_key(page.xref, "Resources", f"<</XObject<</I {image} 0 R>>>>")
        document.xref_set_key(page.xref, "Contents", f"{program} 0 R")
        drawn = np.frombuffer(page.get_pixmap(alpha=False).samples, np.uint8).reshape(64, 64, 3)
    return bool(np.abs(drawn.astype(np.int16) - colours).max() <= MAX_PROFILE_ERROR)


def _reference(found: tuple[str, str]) -> int:
    return int(found[1].split()[0]) if found[0] == "xref" else 0


def _integer(found: tuple[str, str]) -> int:
    return int(found[1]) if found[0] == "int" else 0
