"""One small good file of every format that is opened, as bytes; what is mutated."""

from __future__ import annotations

import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw

from tests.encoders import media_files as made

NAMES = {"text": "a.txt", "markdown": "a.md", "csv": "a.csv", "json": "a.json", "html": "a.html"}
"""File names where they matter: plain text has no other mark of its kind."""


@cache
def seeds() -> dict[str, bytes]:
    """Kind -> bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return _documents(folder) | _texts() | _images() | _recordings(folder)


def _documents(folder: Path) -> dict[str, bytes]:
    paths = {
        "pdf": made.pdf(folder / "a.pdf", 3, deflate=False, no_new_id=True),
        "pdf-packed": made.pdf(folder / "b.pdf", 3, use_objstms=1, deflate=True, no_new_id=True),
        "pdf-scan": made.scan(folder / "c.pdf", hidden="hidden text", stamp="a stamp"),
        "docx": made.docx(folder / "a.docx"),
        "pptx": made.pptx(folder / "a.pptx"),
        "xlsx": made.xlsx(folder / "a.xlsx"),
    }
    return {"epub": _epub()} | {kind: path.read_bytes() for kind, path in paths.items()}


def _epub() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)  # by which the format is known
        for name, text in _EPUB.items():
            archive.writestr(name, text)
    return out.getvalue()


def _texts() -> dict[str, bytes]:
    return {
        "text": "Grüße aus Köln.\n\n  Zweiter Absatz, اللغة العربية, 日本語\t\f".encode(),
        "utf-16": "Grüße aus Köln\n".encode("utf-16"),
        "markdown": b"# Title\n\n- an item\n- another\n\n|a|b|\n|-|-|\n|1|2|\n",
        "csv": b'name,sum\n"M\xc3\xbcller, Karl",12.5\n"two\nlines",7\n',
        "json": b'{"a": [1, 2, {"b": "text \\ud83d\\ude00"}], "c": null}',
        "html": b"<!doctype html><html><head><style>p{color:red}</style></head><body><h1>Title</h1><p>Text &amp; more"
        b"<table border=1><tr><td colspan=2>a<td>b</table><img src='x.png'><ul><li>one<li>two</ul></body></html>",
        "fb2": b'<?xml version="1.0"?><FictionBook><body><title><p>Title</p></title><section><p>Text</p></section>'
        b"</body></FictionBook>",
    }


def _images() -> dict[str, bytes]:
    picture = Image.new("RGB", (60, 40), "white")
    ImageDraw.Draw(picture).text((5, 5), "HELLO", fill="black")
    frames = {"save_all": True, "append_images": [picture.convert("L")]}
    exif = Image.Exif()
    exif[274] = 6  # turned
    saved = {
        "png": (picture, "PNG", {}),
        "png-palette": (picture.quantize(8), "PNG", {"transparency": 0}),
        "png-16": (Image.new("I;16", (30, 20), 9000), "PNG", {}),
        "jpeg": (picture, "JPEG", {"exif": exif}),
        "jpeg-progressive": (picture, "JPEG", {"progressive": True}),
        "tiff": (picture, "TIFF", {"compression": "tiff_lzw", **frames}),
        "tiff-fax": (picture.convert("1"), "TIFF", {"compression": "group4"}),
        "webp": (picture, "WEBP", {}),
        "bmp": (picture, "BMP", {}),
    }
    out = {}
    for kind, (image, form, options) in saved.items():
        data = io.BytesIO()
        image.save(data, form, **options)
        out[kind] = data.getvalue()
    return out


def _recordings(folder: Path) -> dict[str, bytes]:
    samples = made.noise(0.4, 16000, 1)
    forms = {
        "wav": ("wav", "pcm_s16le"),
        "wav-float": ("wav", "pcm_f32le"),
        "mp3": ("mp3", "libmp3lame"),
        "flac": ("flac", "flac"),
        "ogg": ("ogg", "flac"),
        "m4a": ("ipod", "aac"),
        "aac": ("adts", "aac"),
        "mkv": ("matroska", "flac"),
    }
    out = {kind: made.sound(folder / kind, *form, 16000, samples).read_bytes() for kind, form in forms.items()}
    films = {"mp4": ("mp4", "aac", 16000), "webm": ("webm", "libopus", 48000), "avi": ("avi", "pcm_s16le", 16000)}
    for kind, (container, codec, rate) in films.items():
        path = made.sound(folder / kind, container, codec, rate, made.noise(0.4, rate, 2), video=True)
        out[kind] = path.read_bytes()
    return out


_EPUB = {
    "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="a.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
    "a.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>'
    '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine>'
    "</package>",
    "a.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Title</h1><p>Text</p></body></html>',
}
