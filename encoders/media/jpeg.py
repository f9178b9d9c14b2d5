"""Plain JPEG streams by libjpeg-turbo, which OpenCV brings: three times as quick as MuPDF's libjpeg."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_START, _BASELINE, _HUFFMAN, _SCAN, _END = 0xD8, 0xC0, 0xC4, 0xDA, b"\xff\xd9"
_QUANTISERS, _RESTARTS, _COMMENT, _ADOBE = 0xDB, 0xDD, 0xFE, 0xEE
_MAX_SEGMENTS = 200
_LUMA = (0x11, 0x12, 0x21, 0x22)  # samples across and down for one of colour


def is_plain(data: bytes, width: int, height: int, components: int) -> bool:
    """Whether every decoder takes the stream alike: baseline, 8 bits, grey or YCbCr, one scan, the declared size.

    What is neither cut short nor followed by anything; colours at full, half or quarter resolution.
    """
    if not data.startswith(b"\xff\xd8\xff") or not data.rstrip(b"\r\n").endswith(_END):
        return False
    at, framed = 2, False
    for _ in range(_MAX_SEGMENTS):
        if len(data) < at + 4 or data[at] != 0xFF:
            return False
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker == _SCAN:
            return framed and body[:1] == bytes([components])
        if marker == _BASELINE:
            if framed or not _is_plain_frame(body, width, height, components):
                return False
            framed = True
        elif marker == _ADOBE:
            if body.startswith(b"Adobe") and (components == 1 or len(body) != 12 or body[11] != 1):
                return False
        elif marker not in (_HUFFMAN, _QUANTISERS, _RESTARTS, _COMMENT) and not 0xE0 <= marker <= 0xEF:
            return False
        at += 2 + length
    return False


def _is_plain_frame(body: bytes, width: int, height: int, components: int) -> bool:
    size = (8).to_bytes() + height.to_bytes(2, "big") + width.to_bytes(2, "big") + components.to_bytes()
    if body[:6] != size or len(body) != 6 + 3 * components:
        return False
    if components == 1:
        return body[7] == 0x11
    return body[6::3] == b"\1\2\3" and body[7] in _LUMA and body[10] == body[13] == 0x11


def decoded(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The pixels of the stream as ``shape`` says: [height, width, 3] RGB, or [height, width] grey; None if damaged."""
    flags = cv2.IMREAD_COLOR_RGB if len(shape) == 3 else cv2.IMREAD_GRAYSCALE
    with _warnings() as warned:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if pixels is None or warned or pixels.shape != shape else pixels


def rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey values [height, width, 1] three times; RGB as it is. MuPDF takes 80 times as long for the same."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8) if pixels.shape[2] == 1 else pixels


@contextmanager
def _warnings() -> Iterator[list[int]]:
    """Not empty afterwards if something was written to stderr, where libjpeg tells of damage and goes on."""
    warned: list[int] = []
    kept, heard = os.dup(2), os.memfd_create("interlace-jpeg", os.MFD_CLOEXEC)
    try:
        os.dup2(heard, 2)
        try:
            yield warned
        finally:
            os.dup2(kept, 2)
        warned.extend([os.fstat(heard).st_size] * (os.fstat(heard).st_size > 0))
    finally:
        os.close(kept)
        os.close(heard)
