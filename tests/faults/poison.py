"""The poison set: files that have broken archives before, each with what must come of it."""

from __future__ import annotations

import io
import random
import struct
import wave
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.encoders import media_files as made

import pymupdf  # isort: skip

OK = "ok"


@dataclass(frozen=True)
class Poison:
    """An object in a bucket. ``expected``: ok, or the categories of failures that its row may have, and no others."""

    key: str
    data: bytes
    expected: str | tuple[str, ...]
    text: str | None = None  # what its text must hold
    pages: int | None = None  # how many pages must come out, failed ones included

    @property
    def fine(self) -> bool:
        """Whether it must come out without any failure."""
        return self.expected == OK


def poison(folder: Path) -> list[Poison]:
    """Every file of the set; ``folder`` is for scratch."""
    return [*_pdfs(folder), *_bombs(folder), *_texts(folder), *_pictures(folder), *_recordings(folder), *_names(folder)]


def good(number: int) -> Poison:
    """A neighbour, which must never suffer."""
    return Poison(f"good/{number}.txt", f"neighbour {number}\n".encode(), OK, f"neighbour {number}", 1)


def _pdfs(folder: Path) -> list[Poison]:
    whole = made.pdf(folder / "whole.pdf", 3, no_new_id=True).read_bytes()
    locked = made.pdf(
        folder / "locked.pdf", 2, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="open", owner_pw="sesame"
    )
    rng = random.Random(260)
    cut = [
        Poison(f"pdf/cut-{at}.pdf", whole[:at], ("corrupt", "empty"))
        for at in sorted(rng.randrange(20, len(whole) // 3) for _ in range(3))
    ]
    return cut + [
        Poison("pdf/locked.pdf", locked.read_bytes(), ("password_required",)),
        Poison("pdf/zero.pdf", b"", ("empty",)),
        Poison("pdf/zeros.pdf", bytes(5000), ("unsupported",)),
        Poison("pdf/ten-thousand-pages.pdf", _many_pages(10_000), OK, pages=10_000),
        Poison("pdf/large-page.pdf", _large_page(), OK, "on a large page", 1),
        Poison("pdf/own-parent.pdf", _own_parent(), ("corrupt", "empty")),
        Poison("pdf/own-form.pdf", _form_in_itself(folder), OK, pages=1),
        Poison("pdf/two-billion-pages.pdf", _count(2_000_000_000), ("too_large", "corrupt")),
        Poison("pdf/brackets.pdf", _brackets(), ("corrupt",)),
        Poison("pdf/spin.pdf", made.spinning_pdf(folder / "spin.pdf").read_bytes(), ("timed_out",), "Page 1", 3),
        Poison("pdf/no-fonts.pdf", _foreign_font(), OK, "no such font", 1),
        Poison("pdf/vertical.pdf", _vertical(), OK, "縦", 1),
        Poison("pdf/crash-segfault@2", made.pdf(folder / "c.pdf", 3).read_bytes(), ("crashed",), "Page 3", 3),
    ]


def _bombs(folder: Path) -> list[Poison]:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    entities = f'<!DOCTYPE x [<!ENTITY l0 "lol">{laughs}]>'
    fetching = '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    return [
        Poison("bombs/sizes.docx", _lying_sizes(folder), ("too_large",)),
        Poison("bombs/zeros.docx", _inflating(folder), ("too_large",)),
        Poison("bombs/laughs.docx", _with_dtd(folder, entities, "&l9;"), ("corrupt",)),
        Poison("bombs/fetching.docx", _with_dtd(folder, fetching, "&x;"), ("corrupt",)),
        Poison("bombs/archive.zip", _inflating(folder, "a.bin"), ("unsupported",)),
        Poison("bombs/nested.docx", _nested(folder), OK, "the outermost"),
        Poison("bombs/pixels.png", made.png_bomb(folder / "b.png", 100_000).read_bytes(), ("too_large",)),
        Poison("bombs/memory.png", made.png_bomb(folder / "m.png", 44_000).read_bytes(), ("corrupt",)),
        Poison("bombs/comment.png", _text_bomb(), ("too_large",)),
        Poison("bombs/stream.pdf", _stream_bomb(), (OK, "timed_out")),
    ]


def _texts(folder: Path) -> list[Poison]:
    cell = "<w:tbl><w:tr><w:tc>" * 3000 + "<w:p><w:r><w:t>innermost</w:t></w:r></w:p>" + "</w:tc></w:tr></w:tbl>" * 3000
    top = "<w:p><w:r><w:t>top</w:t></w:r></w:p>"
    rtl = "<html><body dir=rtl><p>مرحبا بالعالم</p><p>שלום עולם</p></body></html>"
    return [
        Poison(
            "deep/tables.docx",
            made.docx(folder / "deep.docx", top + cell).read_bytes(),
            OK,
            "top",
        ),
        Poison("deep/divs.html", b"<html>" + b"<div>" * 50_000 + b"innermost", OK, "innermost"),
        Poison("deep/brackets.json", b"[" * 100_000, OK),
        Poison("deep/brackets", b"[" * 100_000, OK),
        Poison("deep/comments.html", b"<!---->" * 400 + b"just text", OK),
        Poison("text/one-word.txt", b"x" * 300_000, OK),
        Poison("text/rtl.html", rtl.encode(), OK, "مرحبا"),
        Poison("text/program.pdf", b"\x7fELF\x02\x01\x01" + bytes(200), ("unsupported",)),
        Poison("text/picture.pdf", _png(40, 30), OK, pages=1),
        Poison("text/document.mp3", made.pdf(folder / "d.pdf", 1).read_bytes(), OK, "Page 1"),
        Poison("text/locked.xlsx", _ole(), ("password_required",)),
    ]


def _pictures(folder: Path) -> list[Poison]:
    png = _png(400, 300)
    looped = bytearray(struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 0) + struct.pack("<I", 8))
    return [
        Poison("pictures/large.png", _png(30_000, 30_000, depth=1), OK, pages=1),
        Poison("pictures/cut.png", png[: len(png) // 2], ("corrupt",)),
        Poison("pictures/loop.tif", bytes(looped), ("corrupt",)),
        Poison("pictures/moving.gif", b"GIF89a" + bytes(100), ("unsupported",)),
    ]


def _recordings(folder: Path) -> list[Poison]:
    mp4 = made.sound(folder / "a.mp4", "mp4", "aac", 16000, made.noise(2, 16000, 1), video=True).read_bytes()
    film = made.sound(folder / "f.mp4", "mp4", "aac", 16000, np.zeros((1, 0), np.float32), video=True).read_bytes()
    broken = bytearray(mp4)
    at = mp4.rindex(b"moov")
    broken[at + 8 : at + 400] = bytes(392)
    nan = made.noise(2, 16000, 1)
    nan[:, ::3] = np.nan
    return [
        Poison("sound/silent.wav", _wav(3.0), OK),
        Poison("sound/ten-hours.wav", _wav(1.0, declared=36_000.0), OK),
        Poison("sound/years.flac", _long_flac(folder), ("too_large", "corrupt", OK)),
        Poison("sound/nan.wav", made.sound(folder / "nan.wav", "wav", "pcm_f32le", 16000, nan).read_bytes(), OK),
        Poison("sound/broken.mp4", bytes(broken), ("corrupt", "unsupported")),
        Poison("sound/cut.mp4", mp4[: len(mp4) // 2], ("corrupt",)),
        Poison("sound/film.mp4", film, ("unsupported",)),
    ]


def _names(folder: Path) -> list[Poison]:
    keys = (
        "names/with spaces and tail .txt", "names/quote's \"both\".txt", "names/emoji 🦆🇪🇺.txt", "names/new\nline.txt",
        "names/tab\tand ..%2f..%2fup.txt", "names/[/red]markup[bold].txt", "names/100%25 of a+b&c=d#e?f.txt",
        "names/深い/ファイル.txt", "names/<script>alert(1)<script>.txt", "names/{0}%s$HOME`id`.txt",
        "names/" + "long" * 55 + ".txt",
    )  # fmt: skip
    return [Poison(key, f"named {number}".encode(), OK, f"named {number}", 1) for number, key in enumerate(keys)]


# -- PDF ---------------------------------------------------------------------------------------------------------------
def _pdf(*objects: str) -> bytes:
    """A PDF of objects 1, 2, ...; the first is the catalog."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    tail = (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer << /Size {len(objects) + 1} /Root 1 0 R >>\n"
    )
    return bytes(out) + f"{tail}startxref\n{len(out)}\n%%EOF".encode()


def _page_of(content: str, resources: str, *more: str) -> bytes:
    return _pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << {resources} >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        *more,
    )


def _many_pages(count: int) -> bytes:
    kids = " ".join(f"{number} 0 R" for number in range(3, count + 3))
    page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"
    tree = f"<< /Type /Pages /Kids [{kids}] /Count {count} >>"
    return _pdf("<< /Type /Catalog /Pages 2 0 R >>", tree, *[page] * count)


def _large_page() -> bytes:
    document = pymupdf.open()
    page = document.new_page(width=14_400, height=14_400)  # 28,800 pixels at 144 dpi, the most that viewers take
    page.set_mediabox(pymupdf.Rect(0, 0, 15_000, 15_000))
    page.insert_text((500, 5000), "on a large page", fontsize=900)
    return bytes(document.tobytes())


def _own_parent() -> bytes:
    return _pdf("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [2 0 R] /Count 1 /Parent 2 0 R >>")


def _count(pages: int) -> bytes:
    return _pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [3 0 R] /Count {pages} >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
    )


def _form_in_itself(folder: Path) -> bytes:
    form = "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> /Length 5 >>"
    return _page_of("/X Do", "/XObject << /X 5 0 R >>", f"{form}\nstream\n/X Do\nendstream")


def _brackets() -> bytes:
    return b"%PDF-1.4\n1 0 obj\n" + b"[" * 200_000 + b"\nendobj\ntrailer << /Root 1 0 R >>"


def _foreign_font() -> bytes:
    font = "<< /Type /Font /Subtype /TrueType /BaseFont /NoSuchFontAnywhere /Encoding /WinAnsiEncoding >>"
    return _page_of("BT /F 24 Tf 72 700 Td (no such font) Tj ET", "/Font << /F 5 0 R >>", font)


def _vertical() -> bytes:
    font = (
        "<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3 /Encoding /UniJIS-UTF16-V /DescendantFonts [6 0 R] >>"
    )
    descendant = (
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiMin-W3 "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 6 >> /FontDescriptor 7 0 R >>"
    )
    descriptor = "<< /Type /FontDescriptor /FontName /HeiseiMin-W3 /Flags 4 /ItalicAngle 0 /Ascent 800 /Descent -200 >>"
    shown = "<" + "縦書き".encode("utf-16-be").hex() + ">"
    return _page_of(f"BT /F 24 Tf 300 700 Td {shown} Tj ET", "/Font << /F 5 0 R >>", font, descendant, descriptor)


def _stream_bomb() -> bytes:
    """130 MB of drawing operators, packed twice into a kilobyte."""
    packed = zlib.compress(zlib.compress(b"0 0 m 9 9 l S\n" * 9_000_000, 1), 9)
    head = f"<< /Length {len(packed)} /Filter [/FlateDecode /FlateDecode] >>\nstream\n"
    pages = _page_of("x", "").replace(b"<< /Length 1 >>\nstream\nx", head.encode("latin-1") + packed)
    return pages


# -- office ------------------------------------------------------------------------------------------------------------
def _inflating(folder: Path, name: str = "word/document.xml") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(name, "w") as member:
            for _ in range(140):
                member.write(bytes(1 << 20))
        archive.writestr("_rels/.rels", "<x/>")
    return out.getvalue()


def _lying_sizes(folder: Path) -> bytes:
    """A directory that declares 3.9 GB for a member of a few bytes."""
    data = bytearray(made.docx(folder / "lying.docx").read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xE8000000)
    return bytes(data)


def _with_dtd(folder: Path, dtd: str, text: str) -> bytes:
    path = made.docx(folder / "dtd.docx", f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name).decode()
            target.writestr(name, dtd + content if name == "word/document.xml" else content)
    return out.getvalue()


def _nested(folder: Path) -> bytes:
    inner = b"the innermost"
    for depth in range(8):
        word = "the outermost" if depth == 7 else f"level {depth}"
        path = made.docx(folder / "nested.docx", f"<w:p><w:r><w:t>{word}</w:t></w:r></w:p>")
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            for copy in range(3):
                archive.writestr(f"word/embeddings/{copy}.docx", inner)
        inner = path.read_bytes()
    return inner


def _ole() -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(100)


# -- pictures and sound ------------------------------------------------------------------------------------------------
def _png(width: int, height: int, depth: int = 8, extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    row = b"\0" + b"\xff" * (-(-width * depth // 8))
    pixels = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    data = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(100 << 20), 1)
    return _png(40, 30, extra=struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)))


def _wav(seconds: float, declared: float | None = None) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(round(seconds * 16000) * 2))
    data = bytearray(out.getvalue())
    if declared is not None:
        data[40:44] = struct.pack("<I", round(declared * 32000))
    return bytes(data)


def _long_flac(folder: Path) -> bytes:
    """A FLAC whose header declares 2**36 - 1 samples: 49 days."""
    data = bytearray(made.sound(folder / "a.flac", "flac", "flac", 16000, made.noise(1, 16000, 1)).read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff\xff\xff\xff"
    return bytes(data)
