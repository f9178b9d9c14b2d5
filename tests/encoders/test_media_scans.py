"""Pages of a PDF that are one JPEG: libjpeg-turbo's pixels are MuPDF's, and every doubt is left to MuPDF."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from encoders.media import jpeg
from encoders.media.config import OpeningConfig
from encoders.media.opened import OpenedPage
from encoders.media.opener import MediaOpener
from encoders.media.scan import scan_pixels
from encoders.media.sole_image import sole_image
from tests.encoders.media_files import item, pymupdf

WIDTH, HEIGHT = 300, 420  # pixels of the page; two to a point
SOLE = b"q 150 0 0 210 0 0 cm /I Do Q"
HIDDEN = b" BT 3 Tr /F 10 Tf 1 0 0 1 20 20 Tm (a \\(hidden\\) ) Tj [<616263> -20 (d)] TJ ET"


@pytest.fixture(scope="module")
def opener() -> Iterator[MediaOpener]:
    with MediaOpener(OpeningConfig(ocr="always")) as opener:
        yield opener


def picture(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Coloured slopes under dark stripes: nothing white, edges everywhere."""
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.stack([across * 200 // width, down * 200 // height, (down + across) % 200], -1).astype(np.uint8)
    pixels[(down // 7 % 5 == 0) & (across // 3 % 4 > 0)] = 20
    return Image.fromarray(pixels)


def coded(image: Image.Image | None = None, **how: Any) -> bytes:
    data = io.BytesIO()
    (image or picture()).save(data, "JPEG", quality=80, **how)
    return data.getvalue()


def scanned(data: bytes | None = None, program: bytes = SOLE, **entries: str) -> Any:
    """A document of one page of 150 x 210 points that shows a JPEG of its size; ``entries`` are the image's."""
    data = coded(subsampling=0) if data is None else data
    document = pymupdf.open()
    page = document.new_page(width=150, height=210)
    image, font, content = (document.get_new_xref() for _ in range(3))
    shown = Image.open(io.BytesIO(data))
    known = {"ColorSpace": "/DeviceGray" if shown.mode == "L" else "/DeviceRGB", "Filter": "/DCTDecode"}
    known |= {"Type": "/XObject", "Subtype": "/Image", "BitsPerComponent": "8"}
    known |= {"Width": str(shown.width), "Height": str(shown.height)} | entries
    document.update_object(image, "<<" + "".join(f"/{key} {value}" for key, value in known.items()) + ">>")
    document.update_stream(image, data, compress=False)
    for key in ("Filter", *entries):  # which the update took away
        document.xref_set_key(image, key, known[key])
    document.update_object(font, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    document.update_object(content, "<<>>")
    document.update_stream(content, program)
    document.xref_set_key(page.xref, "Contents", f"{content} 0 R")
    document.xref_set_key(page.xref, "Resources", f"<</XObject<</I {image} 0 R>>/Font<</F {font} 0 R>>>>")
    return document


def through_both(document: Any) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8]]:
    """The page as this module shows it, if it does, and as MuPDF draws it, in 144 dpi."""
    document = pymupdf.open(stream=document.tobytes())
    page = document[0]
    columns, rows = int(page.rect.width * 2), int(page.rect.height * 2)
    drawn = page.get_pixmap(matrix=pymupdf.Matrix(2, 2), colorspace=pymupdf.csRGB, alpha=False)
    pixels = np.frombuffer(drawn.samples, np.uint8).reshape(drawn.height, drawn.width, 3)
    return scan_pixels(document, page, columns, rows), pixels


def apart(document: Any) -> NDArray[np.int16]:
    ours, mupdf = through_both(document)
    assert ours is not None
    return np.abs(ours.astype(np.int16) - mupdf)


def test_full_colour_and_grey_are_mupdfs_pixels() -> None:
    assert apart(scanned()).max() <= 1  # rounding of YCbCr to RGB
    assert apart(scanned(coded(picture().convert("L")))).max() == 0
    assert apart(scanned(Interpolate="true")).max() <= 1


@pytest.mark.parametrize("subsampling", [1, 2])
def test_subsampled_colours_are_near(subsampling: int) -> None:
    """The worst case: coloured stripes; brightness, which networks read, is the same to rounding."""
    ours, mupdf = through_both(scanned(coded(subsampling=subsampling)))
    assert ours is not None
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs(ours.astype(np.float64) - mupdf).mean() < 4
    assert np.quantile(np.abs((ours - mupdf.astype(np.float64)) @ weights), 0.99) < 3


def test_subsampled_greys_are_mupdfs_pixels() -> None:
    assert apart(scanned(coded(picture().convert("L").convert("RGB"), subsampling=2))).max() <= 1


@pytest.mark.parametrize("factor", [1.2, 1.39, 1.99])
def test_larger_scans_are_scaled_as_mupdf_scales(factor: float) -> None:
    large = picture(int(WIDTH * factor), int(HEIGHT * factor))
    assert apart(scanned(coded(large, subsampling=0))).max() <= 1
    assert apart(scanned(coded(large.convert("L")))).max() == 0


def test_pages_of_any_size_keep_each_pixel_in_its_place() -> None:
    rng = np.random.default_rng(5)
    for width, height in rng.uniform(60, 400, (12, 2)).round(3):
        columns, rows = int(width * 2), int(height * 2)
        document = scanned(
            coded(picture(columns, rows).convert("L")), b"q %.3f 0 0 %.3f 0 0 cm /I Do Q" % (width, height)
        )
        document[0].set_mediabox(pymupdf.Rect(0, 0, width, height))
        page = document[0]
        matrix = pymupdf.Matrix(columns / page.rect.width, rows / page.rect.height)
        drawn = page.get_pixmap(matrix=matrix, alpha=False)
        ours = scan_pixels(document, page, columns, rows)
        assert ours is not None and ours.tobytes() == drawn.samples


@pytest.mark.parametrize("factor", [1, 1.39])
def test_edges_within_a_pixel_are_the_pages(factor: float) -> None:
    """Image and page seldom have the same proportions to the last digit."""
    data = coded(picture(int(WIDTH * factor), int(HEIGHT * factor)).convert("L"))
    for left, right, bottom, top in np.random.default_rng(3).uniform(0, 0.44, (12, 4)):
        place = (150 - left - right, 210 - bottom - top, left, bottom)
        assert apart(scanned(data, b"%.4f 0 0 %.4f %.4f %.4f cm /I Do" % place)).max() == 0


@pytest.mark.parametrize(
    "program",
    [
        SOLE + HIDDEN,
        HIDDEN + b"\n" + SOLE,
        b"q\n.5 0 0 .5 0 0 cm\nq\n300 0 0 420 0 0 cm\n/I Do\nQ\nQ\n",
        SOLE + b" q BT 1 0 0 1 9 9 Tm /F 9 Tf 3 Tr 0 0 1 rg [<41>]TJ ET Q",
    ],
)
def test_hidden_text_and_matrices_leave_a_scan_a_scan(program: bytes) -> None:
    assert apart(scanned(program=program)).max() <= 1


def test_profiles_are_taken_for_none_if_mupdf_does() -> None:
    def profiled(profile: bytes, components: int = 3) -> Any:
        document = scanned(coded(subsampling=0) if components == 3 else coded(picture().convert("L")))
        image, stream = document[0].get_images()[0][0], document.get_new_xref()
        document.update_object(stream, f"<</N {components}>>")
        document.update_stream(stream, profile)
        document.xref_set_key(image, "ColorSpace", f"[/ICCBased {stream} 0 R]")
        return document

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert apart(profiled(srgb)).max() <= 2
    assert through_both(profiled(srgb[:200]))[0] is None or apart(profiled(srgb[:200])).max() <= 2  # MuPDF's own
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    ours, _ = through_both(profiled(lab))
    assert ours is None or apart(profiled(lab)).max() <= 2


def page_key(key: str, value: str) -> Callable[[], Any]:
    def made() -> Any:
        document = scanned()
        document.xref_set_key(document[0].xref, key, value)
        return document

    return made


def image_of(data: bytes, **entries: str) -> Callable[[], Any]:
    return lambda: scanned(data, **entries)


def showing(program: bytes) -> Callable[[], Any]:
    return lambda: scanned(program=program)


def annotated() -> Any:
    document = scanned()
    document[0].add_highlight_annot(pymupdf.Rect(20, 20, 90, 60))
    return document


def masked() -> Any:
    document = scanned()
    mask = document.get_new_xref()
    document.update_object(mask, "<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray>>")
    document.update_stream(mask, b"\x80")
    document.xref_set_key(mask, "BitsPerComponent", "8")
    document.xref_set_key(document[0].get_images()[0][0], "SMask", f"{mask} 0 R")
    return document


def glyphs_that_are_drawings() -> Any:
    document = scanned(program=SOLE + HIDDEN)
    glyph = document.get_new_xref()
    document.update_object(glyph, "<<>>")
    document.update_stream(glyph, b"1000 0 0 0 1000 1000 d1 0 0 1000 1000 re f")
    font = (
        f"<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]/CharProcs<</a {glyph} 0 R>>"
    )
    font += "/Encoding<</Differences[97/a]>>/FirstChar 97/LastChar 97/Widths[1000]>>"
    document.xref_set_key(document[0].xref, "Resources/Font/F", font)
    return document


def intended() -> Any:
    document = scanned()
    document.xref_set_key(document.pdf_catalog(), "OutputIntents", "[<</S/GTS_PDFA1>>]")
    return document


def cut_short(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + data[middle + 40 :]


LEFT_TO_MUPDF = {
    "text over it": showing(SOLE + b" BT /F 20 Tf 30 100 Td (stamped) Tj ET"),
    "text that is seen after hidden text": showing(SOLE + b" BT 3 Tr /F 20 Tf (a) Tj 0 Tr 30 90 Td (seen) Tj ET"),
    "hidden text of drawn glyphs": glyphs_that_are_drawings,
    "a line over it": showing(SOLE + b" 10 10 m 90 90 l S"),
    "a clip": showing(b"q 10 10 90 90 re W n 150 0 0 210 0 0 cm /I Do Q"),
    "a graphics state": showing(b"q /G gs 150 0 0 210 0 0 cm /I Do Q"),
    "two images": showing(SOLE + b" q 50 0 0 50 9 9 cm /I Do Q"),
    "an inline image": showing(SOLE + b" BI /W 1 /H 1 /CS /G /BPC 8 ID a EI"),
    "marked content": showing(b"/OC /Layer BDC " + SOLE + b" EMC"),
    "margins": showing(b"q 130 0 0 190 10 10 cm /I Do Q"),
    "an image larger than the page": showing(b"q 160 0 0 220 -5 -5 cm /I Do Q"),
    "a margin of a pixel": showing(b"q 149.5 0 0 210 .5 0 cm /I Do Q"),
    "upside down": showing(b"q 150 0 0 -210 0 210 cm /I Do Q"),
    "slanted": showing(b"q 150 3 0 210 0 0 cm /I Do Q"),
    "turned": page_key("Rotate", "90"),
    "cropped": page_key("CropBox", "[10 10 120 180]"),
    "a group": page_key("Group", "<</S/Transparency/CS/DeviceCMYK>>"),
    "a unit": page_key("UserUnit", "2"),
    "an annotation": annotated,
    "a soft mask": masked,
    "a mask of colours": image_of(coded(subsampling=0), Mask="[0 40 0 40 0 40]"),
    "an output intent": intended,
    "decode": image_of(coded(subsampling=0), Decode="[1 0 1 0 1 0]"),
    "other filters": image_of(coded(subsampling=0), Filter="[/DCTDecode/DCTDecode]"),
    "parameters": image_of(coded(subsampling=0), DecodeParms="<</ColorTransform 0>>"),
    "cmyk": image_of(coded(picture().convert("CMYK")), ColorSpace="/DeviceCMYK"),
    "calibrated": image_of(coded(subsampling=0), ColorSpace="[/CalRGB<</WhitePoint[.95 1 1.09]/Gamma[2 2 2]>>]"),
    "grey that is said to be colour": image_of(coded(picture().convert("L")), ColorSpace="/DeviceRGB"),
    "other size than said": image_of(coded(subsampling=0), Width="290"),
    "progressive": image_of(coded(progressive=True)),
    "cut short": image_of(cut_short(coded(subsampling=0))),
    "damaged": image_of(damaged(coded(subsampling=0))),
    "smaller than the page": image_of(coded(picture(150, 210), subsampling=0)),
    "twice the page": image_of(coded(picture(600, 840), subsampling=0)),
}


@pytest.mark.parametrize("what", LEFT_TO_MUPDF)
def test_what_is_left_to_mupdf(opener: MediaOpener, tmp_path: Path, what: str) -> None:
    document = LEFT_TO_MUPDF[what]()
    ours, mupdf = through_both(document)
    assert ours is None
    document.save(tmp_path / "a.pdf")
    [page] = opener.pages(item(tmp_path / "a.pdf"))
    assert isinstance(page, OpenedPage) and page.image is not None
    assert (page.image == mupdf).all()


def test_the_child_delivers_scans(opener: MediaOpener, tmp_path: Path) -> None:
    document = scanned(coded(subsampling=2))
    document.save(tmp_path / "a.pdf")
    document.save(tmp_path / "locked.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="pw")
    ours, mupdf = through_both(document)
    for name, more in (("a.pdf", {}), ("locked.pdf", {"password": "pw"})):
        [page] = opener.pages(item(tmp_path / name, **more))
        assert isinstance(page, OpenedPage) and page.image is not None
        assert (page.image == ours).all() and (page.image != mupdf).any()


def test_streams_that_decoders_may_take_differently() -> None:
    data = coded(subsampling=0)
    assert jpeg.is_plain(data, WIDTH, HEIGHT, 3) and jpeg.is_plain(data + b"\r\n", WIDTH, HEIGHT, 3)
    assert jpeg.is_plain(coded(picture().convert("L")), WIDTH, HEIGHT, 1)
    rgb = data.replace(b"\x01\x11\x00\x02\x11\x01\x03\x11\x01", b"R\x11\x00G\x11\x01B\x11\x01", 1)
    adobe = data[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" + data[2:]
    for other in (b"", data[:-2], data[2:], data + b"more", rgb, adobe, coded(progressive=True), b"\xff\xd8\xff\xd9"):
        assert not jpeg.is_plain(other, WIDTH, HEIGHT, 3)
    assert jpeg.decoded(damaged(data), (HEIGHT, WIDTH, 3)) is None


def test_programs_that_are_not_known_are_no_scans() -> None:
    assert sole_image(SOLE) is not None and sole_image(SOLE + HIDDEN) is not None
    for program in (b"", b"q Q", b"Q " + SOLE, SOLE + b" (", SOLE + b" BT", SOLE + b"%", b"q " * 200_000, SOLE[:-8]):
        assert sole_image(program) is None
    for text in (b"BT 0 3 Tr (a) Tj ET", b"BT (a) Tj 3 Tr ET", b"BT 3 Tr (a) Tj 2 Tr ET", b"BT 3 Tr (a(b)) Tj ET"):
        assert sole_image(SOLE + b" " + text) is None
