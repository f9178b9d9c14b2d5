"""What a scanner and a camera do to a page: skew, noise, uneven light, perspective, compression."""

from __future__ import annotations

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray

METADATA = {
    "producer": "interlace examples",
    "creationDate": "D:20240701090000Z",
    "modDate": "D:20240701090000Z",
}
Gray = NDArray[np.uint8]
Colour = NDArray[np.uint8]


def scan(page: Gray, seed: int, *, degrees: float, noise: float, blur: float = 0.5, specks: int = 0) -> Gray:
    """A page as a flatbed scanner gives it: a little turned, soft, gray at one edge, noisy."""
    rng = np.random.default_rng(seed)
    height, width = page.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    image = cv2.warpAffine(page, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=244).astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), blur)
    image = image * 0.9 + 14
    image -= np.linspace(0, 26, width, dtype=np.float32)[None, :] ** 1.05 * 0.6
    grain = cv2.GaussianBlur(rng.normal(0, noise, page.shape).astype(np.float32), (0, 0), 0.8)
    image += grain * 1.6
    for x, y in zip(rng.integers(0, width, specks), rng.integers(0, height, specks)):
        cv2.circle(image, (int(x), int(y)), 1, float(rng.integers(40, 130)), -1)
    return np.clip(image, 0, 255).astype(np.uint8)


def photograph(
    sign: Colour, seed: int, *, size: tuple[int, int], corners: list[tuple[float, float]], wall: int
) -> Colour:
    """A flat sign as a camera sees it: in perspective in front of a wall, unevenly lit, a little soft and noisy.

    ``corners`` say where the sign's corners land, as fractions of ``size`` (width, height), top left first, clockwise.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    scene = _wall(rng, width, height, wall)
    source = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.array(
        [sign.shape[1], sign.shape[0]], np.float32
    )
    target = np.array(corners, np.float32) * np.array([width, height], np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    shadow = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(shadow, (target + 14).astype(np.int32), 0.5)
    scene *= 1 - cv2.GaussianBlur(shadow, (0, 0), 16)[..., None]
    mask = cv2.warpPerspective(np.ones(sign.shape[:2], np.float32), warp, size, flags=cv2.INTER_AREA)[..., None]
    flat = cv2.warpPerspective(sign.astype(np.float32), warp, size, flags=cv2.INTER_AREA)
    scene = scene * (1 - mask) + flat * mask
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    light = 1.06 - 0.22 * ((across + 0.45) ** 2 + (down + 0.5) ** 2) / 2
    scene = cv2.GaussianBlur(scene * light[..., None].astype(np.float32), (0, 0), 0.9)
    scene += cv2.GaussianBlur(rng.normal(0, 5, scene.shape).astype(np.float32), (0, 0), 0.7)
    return np.clip(scene, 0, 255).astype(np.uint8)


def _wall(rng: np.random.Generator, width: int, height: int, tone: int) -> NDArray[np.float32]:
    """Boards or plaster: smooth noise at three sizes in one hue."""
    texture = np.zeros((height, width), np.float32)
    for cells, depth in ((6, 14.0), (40, 8.0), (180, 5.0)):
        coarse = rng.normal(0, depth, (max(2, cells * height // width), cells)).astype(np.float32)
        texture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    hue = np.array([1.0, 0.96, 0.88], np.float32) if tone > 120 else np.array([0.86, 0.97, 1.0], np.float32)
    return (tone + texture)[..., None] * hue


def encode(image: NDArray[np.uint8], suffix: str, quality: int = 60) -> bytes:
    """Encoded bytes; ``image`` is gray or RGB."""
    flags = {
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        ".png": [cv2.IMWRITE_PNG_COMPRESSION, 9],
    }[suffix]
    ok, data = cv2.imencode(suffix, image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    if not ok:
        raise ValueError(f"cannot encode {suffix}")
    return data.tobytes()


def turned_by_exif(jpeg: bytes, orientation: int) -> bytes:
    """The same JPEG with an EXIF orientation tag, as phones write it."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    tiff = b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" + entry + b"\x00\x00\x00\x00"
    payload = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload + jpeg[2:]


def image_pdf(images: list[bytes], dpi: int) -> bytes:
    """A PDF that holds nothing but pictures of pages, as a scanner writes it."""
    with pymupdf.open() as document:
        for data in images:
            shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            height, width = shown.shape[:2]
            page = document.new_page(width=width * 72 / dpi, height=height * 72 / dpi)
            page.insert_image(page.rect, stream=data)
        document.set_metadata(METADATA)
        return bytes(document.tobytes(garbage=3, no_new_id=True))
