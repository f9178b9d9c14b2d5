"""Pages of PDF, office, HTML and e-book files, by PyMuPDF."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.failures import FailureCategory, MediaError
from encoders.media import office, sniff
from encoders.media.archive import open_archive
from encoders.media.errors import as_failure
from encoders.media.markup import tamed
from encoders.media.opened import OpenedPage, Probe
from encoders.media.opening import Event, Source, page_range, whole_text
from encoders.media.protocol import Extent

# PyMuPDF 2 imports its layout networks (onnxruntime, networkx: 0.4 s and 60 MB) unless they are not to be found.
sys.modules.setdefault("pymupdf.layout", None)  # type: ignore[arg-type]
import pymupdf  # noqa: E402

from encoders.media.scan import scan_pixels  # noqa: E402
from encoders.media.text_layer import read_text_layer  # noqa: E402

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)

A4 = (595, 842)
REFLOW_FONT_SIZE = 11
MAX_SIDE = 32_000  # pixels; longer strips are scaled down, no network reads them

_FILETYPES = {
    "application/pdf": "pdf",
    sniff.DOCX: "docx",
    sniff.PPTX: "pptx",
    sniff.XLSX: "xlsx",
    sniff.EPUB: "epub",
    "application/vnd.ms-xpsdocument": "xps",
    "application/x-fictionbook+xml": "fb2",
    "text/html": "html",
}
_BROKEN = re.compile(r"error|cannot|unknown|invalid|unexpected|premature|broken|limit|too many", re.I)


def probe(source: Source, media_type: str) -> Probe:
    """The number of pages."""
    document = _open(source, media_type)
    return Probe(media_type, "document", pages=document.page_count)


def opened(source: Source, media_type: str) -> Iterator[Event]:
    """The pages of the request's range."""
    document = _open(source, media_type)
    pages = page_range(source.request, document.page_count)
    yield Extent(pages.start, pages.stop)
    for index in pages:
        yield index + 1
        try:
            page, _alive = _page(document, index, source)
            yield page
        except Exception as error:  # one page never costs the others
            yield as_failure(error, index + 1)
    pymupdf.TOOLS.store_shrink(100)


def _open(source: Source, media_type: str) -> Any:
    filetype = _FILETYPES.get(media_type, "txt")
    pymupdf.TOOLS.reset_mupdf_warnings()
    try:
        if filetype in ("docx", "pptx"):
            document = pymupdf.open(
                stream=office.as_html(source.path, media_type, source.request.max_unpacked), filetype="html"
            )
        elif filetype in ("html", "txt"):  # as a stream: by path, MuPDF would fetch images from the file's folder
            text = _utf8(source)
            document = pymupdf.open(stream=tamed(text) if filetype == "html" else text, filetype=filetype)
        else:
            if filetype in ("epub", "xps"):
                open_archive(source.path, source.request.max_unpacked).close()
            document = pymupdf.open(source.path, filetype=filetype)
    except pymupdf.EmptyFileError:
        raise MediaError(FailureCategory.EMPTY, "the file has no bytes") from None
    except pymupdf.FileDataError:
        raise MediaError(FailureCategory.CORRUPT, f"not a readable {filetype} file: damaged or cut short") from None
    if document.needs_pass and not document.authenticate(source.request.password or ""):
        wrong = "the given password does not open it" if source.request.password else "it opens only with a password"
        raise MediaError(FailureCategory.PASSWORD_REQUIRED, wrong)
    if document.is_reflowable:
        document.layout(width=A4[0], height=A4[1], fontsize=REFLOW_FONT_SIZE)
    if document.page_count == 0:
        broken = document.is_pdf and document.is_repaired
        category = FailureCategory.CORRUPT if broken else FailureCategory.EMPTY
        raise MediaError(category, "its pages are lost" if broken else "the document has no pages")
    return document


def _page(document: Any, index: int, source: Source) -> tuple[OpenedPage, Any]:
    """The page, and the pixmap that its image may be a view of: the image is gone when the pixmap is."""
    request = source.request
    pymupdf.TOOLS.reset_mupdf_warnings()
    page = document.load_page(index)
    if document.is_pdf and not {"Contents", "Type", "MediaBox"} & set(document.xref_get_keys(page.xref)):
        raise MediaError(FailureCategory.CORRUPT, "the page's object is lost")  # MuPDF makes an empty page of it
    matrix, width, height = _scale(page, request.dpi, request.max_pixels)
    layer = None
    if request.ocr != "always":
        layer = read_text_layer(page, page.rotation_matrix * matrix, width, height)
        if layer.sound or request.ocr == "never":
            _check(lambda: not layer.lines and not layer.painted)
            return OpenedPage(index + 1, width, height, None, layer.lines, layer.rules), None
    image, pixmap = _drawn(document, page, matrix, width, height)
    _check(lambda: bool(image.min() == 255))
    return OpenedPage(index + 1, width, height, image, None, layer.rules if layer is not None else ()), pixmap


def _drawn(document: Any, page: Any, matrix: Any, width: int, height: int) -> tuple[NDArray[np.uint8], Any]:
    """The page's pixels [height, width, 3] RGB, and the pixmap that they are a view of, if MuPDF drew them.

    It also draws scans that libjpeg-turbo shows white or not at all, so that one decoder tells what is broken.
    """
    try:
        image = scan_pixels(document, page, width, height)
    except Exception:
        image = None
    if image is not None and image.min() < 255:
        return image, None
    pixmap = page.get_pixmap(matrix=matrix, colorspace=pymupdf.csRGB, alpha=False)
    return _pixels(pixmap, width, height), pixmap


def _scale(page: Any, dpi: int, max_pixels: int) -> tuple[Any, int, int]:
    """Points to pixels under the pixel budget, and the size of the page in pixels."""
    width, height = page.rect.width, page.rect.height
    if not (math.isfinite(width) and math.isfinite(height)) or width <= 0 or height <= 0:
        raise MediaError(FailureCategory.CORRUPT, f"the page measures {width:g} x {height:g} points")
    zoom = dpi / 72
    zoom = min(zoom, math.sqrt(max_pixels / (width * height)), MAX_SIDE / max(width, height))
    columns, rows = max(math.floor(width * zoom), 1), max(math.floor(height * zoom), 1)
    return pymupdf.Matrix(columns / width, rows / height), columns, rows


def _pixels(pixmap: Any, width: int, height: int) -> NDArray[np.uint8]:
    rows = np.frombuffer(pixmap.samples_mv, np.uint8).reshape(pixmap.height, pixmap.stride)
    image = rows[:, : pixmap.width * 3].reshape(pixmap.height, pixmap.width, 3)
    if (pixmap.height, pixmap.width) != (height, width):  # a page that starts at half a pixel is one pixel larger
        image = image[:height, :width]
        image = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)), mode="edge")
    return image


def _check(blank: Callable[[], bool]) -> None:
    """Tell a page that MuPDF could not draw from one that is empty: it draws on after errors and only warns."""
    warnings = pymupdf.TOOLS.mupdf_warnings()
    if _BROKEN.search(warnings) and blank():
        raise MediaError(FailureCategory.CORRUPT, f"the page's content is broken: {warnings.strip()[:300]}")


def _utf8(source: Source) -> bytes:
    data = whole_text(source)
    encoding = sniff.text_encoding(data[: sniff.HEAD_BYTES])
    return data if encoding in (None, "utf-8") else data.decode(encoding or "utf-8", errors="replace").encode()
