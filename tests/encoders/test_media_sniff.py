"""Media types come from content; names only tell kinds of text apart."""

from __future__ import annotations

import pytest

from encoders.media.sniff import DOCX, media_type, modality, text_encoding

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (PNG, "a.pdf", "image/png"),
        (b"\xff\xd8\xff\xe0", "", "image/jpeg"),
        (b"II*\x00", "", "image/tiff"),
        (b"RIFF\x00\x00\x00\x00WEBP", "", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", "", "audio/wav"),
        (b"BM" + bytes(12) + b"\x28" + bytes(10), "", "image/bmp"),
        (b"GIF89a", "", "image/gif"),
        (b"\x00\x00\x00\x18ftypheic", "", "image/heic"),
        (b"\x00\x00\x00\x18ftypM4A ", "", "audio/mp4"),
        (b"\x00\x00\x00\x18ftypisom", "", "video/mp4"),
        (b"\x1aE\xdf\xa3\x01\x00webm", "", "video/webm"),
        (b"junk before\n%PDF-1.4", "", "application/pdf"),
        (b"PK\x03\x04" + bytes(26) + b"word/document.xml", "", DOCX),
        (b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/epub+zipPK", "", "application/epub+zip"),
        (b"\xff\xfb\x90\x00" + bytes(413) + b"\xff\xfb\x90\x00", "", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "", "audio/aac"),
        (b"plain words", "a.pdf", "text/plain"),
        (b"# Title\n", "notes.md", "text/markdown"),
        (b"a,b\n1,2\n", "s3://bucket/t.csv?version=3", "text/csv"),
        (b"  <!DOCTYPE html><p>", "a.txt", "text/html"),
        (b'{"a": [1]}', "data", "application/json"),
        ("Grüße".encode("utf-16"), "", "text/plain"),
        (b"BM is how this letter begins, and it goes on", "", "text/plain"),
        (bytes(range(256)) * 8, "a.txt", None),
        (b"", "", None),
    ],
)
def test_by_content(head: bytes, name: str, expected: str | None) -> None:
    assert media_type(head, b"", name) == expected


def test_modality_and_encoding() -> None:
    assert [modality(kind) for kind in ("application/pdf", "image/png", "video/mp4", "image/gif", None)] == [
        "document", "image", "audio", None, None,
    ]  # fmt: skip
    assert text_encoding("Привет, как дела? ".encode("cp1251") * 20) in ("cp1251", "windows-1251")
    assert text_encoding("größer".encode("latin-1")) == "cp1252"
    assert text_encoding("x é".encode()[:-1]) == "utf-8"  # cut inside a character
