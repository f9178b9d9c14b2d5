"""Media type by content. A name is used only to tell kinds of plain text apart, which no content can."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

HEAD_BYTES = 8192
"""How much of the start of a file `media_type` wants."""
TAIL_BYTES = 65_557
"""How much of its end: the zip directory of office files lies there (22 bytes and a comment of up to 65,535)."""

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"

PLAIN = frozenset({"text/plain", "text/markdown", "text/csv", "text/tab-separated-values", "application/json", XLSX})
"""Documents that are text, or cells of text, to be read without a rendering library."""
DOCUMENTS = PLAIN | {
    *("application/pdf", DOCX, PPTX, EPUB, "application/vnd.ms-xpsdocument", "application/x-fictionbook+xml"),
    "text/html",
}
IMAGES = frozenset({"image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp"})
RECORDINGS = frozenset(
    {"audio/wav", "audio/mpeg", "audio/flac", "audio/ogg", "audio/aac", "audio/mp4", "video/mp4", "video/quicktime"}
    | {"video/x-matroska", "video/webm", "video/x-msvideo"}
)

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"MM\x00+", "image/tiff"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"%!PS", "application/postscript"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x7fELF", "application/x-executable"),
)
_RIFF = {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
_FTYP_IMAGES = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}
_TEXT_SUFFIXES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".json": "application/json",
    ".jsonl": "application/json",
}
# Atomic groups: comments in a row could else be divided up in exponentially many ways.
_HTML = re.compile(
    rb"\s*+(?:<\?xml[^>]*+>\s*+)?(?><!--(?>.*?-->)\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)


def media_type(head: bytes, tail: bytes = b"", name: str = "") -> str | None:
    """The media type of a file from its first `HEAD_BYTES` and last `TAIL_BYTES` bytes; None when it is not known.

    ``name`` (a path or uri) decides only between kinds of plain text: a ``.pdf`` full of text is text/plain.
    """
    for offset, magic, found in _MAGIC:
        if head.startswith(magic, offset):
            return found
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(head, tail)
    if head.startswith(b"BM") and len(head) > 18 and head[14] in (12, 40, 52, 56, 64, 108, 124):
        return "image/bmp"
    if b"%PDF-" in head[:1024]:  # readers accept leading junk
        return "application/pdf"
    if _mpeg_audio(head):
        return "audio/mpeg"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    return _text(head, name)


def modality(media_type: str | None) -> str | None:
    """document, image or audio; None for a type that no encoder reads."""
    if media_type in DOCUMENTS:
        return "document"
    if media_type in IMAGES:
        return "image"
    return "audio" if media_type in RECORDINGS else None


def text_encoding(head: bytes) -> str | None:
    """The encoding of plain text: by byte order mark, utf-8, utf-16 by its zero bytes, else cp1252; None: binary."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return encoding
    if b"\x00" in head:
        pairs = max(len(head) // 2, 1)
        if head[1::2].count(0) > 0.7 * pairs and head[0::2].count(0) < 0.1 * pairs:
            return "utf-16-le"
        if head[0::2].count(0) > 0.7 * pairs and head[1::2].count(0) < 0.1 * pairs:
            return "utf-16-be"
        return None
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if control > 0.01 * len(head):
        return None
    for cut in range(4):  # the head may end inside a character
        try:
            head[: len(head) - cut].decode("utf-8")
            return "utf-8"
        except UnicodeDecodeError:
            continue
    return _legacy_encoding(head)


def _legacy_encoding(head: bytes) -> str | None:
    """cp1252, unless so many bytes are high that it must be another encoding or no text at all."""
    high = sum(byte >= 128 for byte in head)
    undefined = sum(byte in b"\x81\x8d\x8f\x90\x9d" for byte in head)
    if undefined == 0 and (high < 0.3 * len(head) or len(head) < 64):
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(head).best()
    return best.encoding if best is not None and best.chaos < 0.2 else None


def _text(head: bytes, name: str) -> str | None:
    if not head:
        return None
    encoding = text_encoding(head)
    if encoding is None:
        return None
    text = head.decode(encoding, errors="replace")
    if _HTML.match(text.encode()):
        return "text/html"
    if text.lstrip().startswith("<?xml") and "<FictionBook" in text:
        return "application/x-fictionbook+xml"
    suffix = PurePosixPath(name.partition("?")[0]).suffix.lower()
    if suffix in _TEXT_SUFFIXES:
        return _TEXT_SUFFIXES[suffix]
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
            return "application/json"
        except (ValueError, RecursionError):  # the latter for brackets nested a thousand deep
            pass
    return "text/plain"


def _iso_media(head: bytes) -> str:
    brand = head[8:12]
    if brand in _FTYP_IMAGES:
        return "image/avif" if brand.startswith(b"avi") else "image/heic"
    if brand == b"qt  ":
        return "video/quicktime"
    return "audio/mp4" if brand in (b"M4A ", b"M4B ", b"M4P ") else "video/mp4"


def _zip(head: bytes, tail: bytes) -> str:
    if head[30:38] == b"mimetype":
        kind = re.match(rb"[a-z0-9./+-]+", head[38:200])
        if kind:
            return kind[0].decode().partition("PK")[0]
    names = head + tail
    for part, found in ((b"word/document", DOCX), (b"ppt/presentation", PPTX), (b"xl/workbook", XLSX)):
        if part in names:
            return found
    if b"FixedDocSeq.fdseq" in names or b"FixedDocumentSequence.fdseq" in names:
        return "application/vnd.ms-xpsdocument"
    return "application/zip"


def _mpeg_audio(head: bytes) -> bool:
    """Two MPEG audio frames in a row, layer I to III: one frame header alone also occurs in UTF-16 text."""
    start = 0
    while start < min(len(head), 2048) and head[start] == 0:
        start += 1  # some encoders pad with zeros
    size = _mpeg_frame(head[start : start + 4])
    return bool(size) and bool(_mpeg_frame(head[start + size : start + size + 4]) or start + size >= len(head))


def _mpeg_frame(header: bytes) -> int:
    """Bytes of the MPEG layer III or II frame that starts with these 4 bytes, 0 when none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate_index, sample_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer not in (1, 2) or rate_index in (0, 15) or sample_index == 3:
        return 0
    rates = _BITRATES[(version == 3, layer)]
    sample_rate = (44100, 48000, 32000)[sample_index] >> (0 if version == 3 else 1 if version == 2 else 2)
    factor = 72 if layer == 1 and version != 3 else 144
    return factor * rates[rate_index] * 1000 // sample_rate + padding


_BITRATES = {
    (True, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
