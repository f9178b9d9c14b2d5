"""Images: every format and mode comes out as upright RGB, and bad ones have a category."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.failures import Failure, FailureCategory
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.media.opened import OpenedPage
from encoders.media.opener import MediaOpener
from tests.encoders.media_files import item, png_bomb


@pytest.fixture(scope="module")
def opener() -> Iterator[MediaOpener]:
    with MediaOpener() as opener:
        yield opener


def scene(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    """White, with a red upper left quarter."""
    image = Image.new("RGB", size, "white")
    image.paste((200, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    return image.convert(mode)


def shown(opener: MediaOpener, path: Path) -> np.ndarray:
    (page,) = opener.pages(item(path))
    assert isinstance(page, OpenedPage) and page.image is not None and page.lines is None, page
    assert page.image.shape == (page.height, page.width, 3) and page.image.dtype == np.uint8
    return page.image


def categories(opener: MediaOpener, path: Path) -> list[tuple[int | None, FailureCategory] | int]:
    return [(v.page, v.category) if isinstance(v, Failure) else v.page for v in opener.pages(item(path))]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.png", "RGB"), ("a.png", "RGBA"), ("a.png", "P"), ("a.png", "L"), ("a.png", "1"), ("a.jpg", "RGB"),
        ("a.jpg", "CMYK"), ("a.jpg", "L"), ("a.webp", "RGB"), ("a.bmp", "RGB"), ("a.bmp", "P"), ("a.tif", "RGB"),
        ("a.tif", "CMYK"), ("a.tif", "1"), ("a.tif", "LAB"),
    ],
)  # fmt: skip
def test_formats_and_modes(opener: MediaOpener, tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / name
    (scene("RGB").convert("L").convert(mode) if mode in ("L", "1") else scene_in(mode)).save(path)
    image = shown(opener, path)
    assert image.shape == (40, 60, 3)
    assert image[30, 50].min() > 240  # white stays white
    corner = image[5:15, 5:25].mean(axis=(0, 1))
    expected = [59.8] * 3 if mode in ("L", "1") else [200, 0, 0]
    assert np.abs(corner - expected).max() < 30


def scene_in(mode: str) -> Image.Image:
    if mode != "LAB":
        return scene(mode)
    from PIL import ImageCms

    return ImageCms.profileToProfile(
        scene(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )  # type: ignore[return-value]


def test_sixteen_bits_and_floats(opener: MediaOpener, tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 60 * 40).reshape(40, 60)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "a.png")
    Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        image = shown(opener, tmp_path / name)
        assert np.abs(image[..., 0] - ramp / 257).max() <= 1


def test_transparency_is_over_white(opener: MediaOpener, tmp_path: Path) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 20, 40))
    for name in ("a.png", "a.webp"):
        image.save(tmp_path / name, lossless=True)
        pixels = shown(opener, tmp_path / name)
        assert (pixels[20, 30] == 255).all() and (pixels[20, 5] == (0, 0, 255)).all()
    palette = image.convert("RGB").quantize(4)
    palette.info["transparency"] = palette.getpixel((30, 20))
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((30, 20)))
    assert (shown(opener, tmp_path / "p.png")[20, 30] == 255).all()


def test_jpegs_have_pillows_pixels(opener: MediaOpener, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (53, 87, 3), np.uint8)
    image = Image.fromarray(noise).resize((311, 203))
    whole = {"sampling": 0, "half": 1, "quarter": 2}
    for name, saved, how in [
        *((name, image, {"subsampling": sampling}) for name, sampling in whole.items()),
        ("grey", image.convert("L"), {}),
        ("progressive", image, {"progressive": True}),
        ("rgb", image, {"keep_rgb": True}),
    ]:
        path = tmp_path / f"{name}.jpg"
        saved.save(path, quality=60, **how)
        with Image.open(path) as read:
            expected = np.asarray(read.convert("RGB"))
        assert np.array_equal(shown(opener, path), expected), name
    cut = tmp_path / "cut.jpg"
    cut.write_bytes((tmp_path / "half.jpg").read_bytes()[:-900])
    assert categories(opener, cut) == [(1, FailureCategory.CORRUPT)]


@pytest.mark.parametrize(("name", "orientation"), [(n, o) for n in ("a.jpg", "a.tif", "a.png") for o in (3, 6, 8)])
def test_photographs_are_turned_upright(opener: MediaOpener, tmp_path: Path, name: str, orientation: int) -> None:
    turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    scene().transpose(turned).save(tmp_path / name, exif=exif)
    image = shown(opener, tmp_path / name)
    assert image.shape == (40, 60, 3)
    assert image[5, 5, 1] < 60 < 200 < image[35, 55, 1]


def test_pages_of_a_tiff_and_a_broken_one_among_them(opener: MediaOpener, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (64, 64), np.uint8)) for n in range(4)]
    path = tmp_path / "a.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:], compression="tiff_lzw")
    assert opener.probe(item(path)).pages == 4
    assert [page.page for page in opener.pages(item(path, 1, 3))] == [2, 3]
    data = bytearray(path.read_bytes())
    with Image.open(path) as image:
        image.seek(1)
        strip = image.tag_v2[273][0]  # type: ignore[attr-defined]
    data[strip : strip + 1000] = b"\xff" * 1000
    path.write_bytes(data)
    assert categories(opener, path) == [1, (2, FailureCategory.CORRUPT), 3, 4]


def test_large_images_are_scaled_and_larger_ones_refused(tmp_path: Path) -> None:
    scene(size=(900, 600)).save(tmp_path / "a.jpg", quality=95)
    scene(size=(900, 600)).save(tmp_path / "a.png")
    with MediaOpener(OpeningConfig(max_pixels=60_000), OpeningLimits(max_image_pixels=10_000_000)) as opener:
        for name in ("a.jpg", "a.png"):
            image = shown(opener, tmp_path / name)
            assert image.shape == (200, 300, 3)
            assert image[50, 50, 1] < 30 and image[150, 250].min() > 240
        assert categories(opener, png_bomb(tmp_path / "bomb.png", 50_000)) == [(1, FailureCategory.TOO_LARGE)]


def test_bad_images(opener: MediaOpener, tmp_path: Path) -> None:
    scene(size=(600, 400)).save(tmp_path / "a.png")
    scene(size=(600, 400)).save(tmp_path / "a.jpg")
    scene().save(tmp_path / "a.gif")
    for name in ("a.png", "a.jpg"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
        assert categories(opener, tmp_path / name) == [(1, FailureCategory.CORRUPT)]
    (tmp_path / "head.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert categories(opener, tmp_path / "head.png") == [(None, FailureCategory.CORRUPT)]
    assert categories(opener, tmp_path / "a.gif") == [(None, FailureCategory.UNSUPPORTED)]
