"""Files for the tests of opening, made on the spot: good ones of every format, and bad ones of every kind."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import encoders.media.document  # noqa: F401  (imports PyMuPDF without its layout networks)

import pymupdf  # isort: skip

from encoders.base import MediaInput

RELATIONSHIPS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def item(path: Path, start: float = 0, stop: float | None = None, **more: Any) -> MediaInput:
    return MediaInput("part", more.pop("uri", str(path)), more.pop("media_type", ""), path, None, start, stop, **more)


def pdf(path: Path, pages: int = 3, **saving: Any) -> Path:
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page = document.new_page()
        page.insert_text((72, 100), f"Page {number} of an office file", fontsize=14)
        page.draw_rect((50, 200, 300, 300))
        page.draw_line((50, 250), (300, 250))
    document.save(path, **saving)
    return path


def scan(path: Path, text: str = "SCANNED", hidden: str | None = None, stamp: str | None = None) -> Path:
    """One page that is a picture of text, with an invisible text layer or a visible stamp if asked for."""
    picture = Image.new("L", (620, 877), 255)
    ImageDraw.Draw(picture).text((100, 100), text, fill=0, font_size=30)
    data = io.BytesIO()
    picture.save(data, "JPEG")
    document = pymupdf.open()
    page = document.new_page()
    page.insert_image(page.rect, stream=data.getvalue())
    if hidden is not None:
        page.insert_text((100, 100), hidden, render_mode=3)
    if stamp is not None:
        page.insert_text((72, 30), stamp)
    document.save(path)
    return path


def spinning_pdf(path: Path, page: int = 2, pages: int = 3) -> Path:
    """A page that keeps MuPDF's native code busy for years: twelve forms, each drawing the next one twelve times."""
    document = pymupdf.open(pdf(path.with_suffix(".source.pdf"), pages))
    inner = None
    for _ in range(12):
        form = document.get_new_xref()
        resources = f"/Resources << /XObject << /X {inner} 0 R >> >>" if inner else ""
        document.update_object(form, f"<< /Type /XObject /Subtype /Form /BBox [0 0 600 800] {resources} >>")
        document.update_stream(form, b"/X Do " * 12 if inner else b"0 0 10 10 re f ", new=True)
        inner = form
    set_content(document, page - 1, b"/X Do ")
    document.xref_set_key(document[page - 1].xref, "Resources", f"<< /XObject << /X {inner} 0 R >> >>")
    document.save(path)
    return path


def broken_pdf(path: Path, how: str) -> Path:
    """Three pages, the second one broken in one of the ways that MuPDF only warns of."""
    document = pymupdf.open(pdf(path.with_suffix(".source.pdf")))
    page = document[1]
    if how == "syntax":
        set_content(document, 1, b"BT /F1 12 Tf (abc Tj ET garbage ((( <<")
    elif how == "zlib":
        set_content(document, 1, b"\x78\x9cno such thing", "/FlateDecode")
    elif how == "no stream":
        document.xref_set_key(page.xref, "Contents", "[9999 0 R]")
    else:
        document.update_object(page.xref, "null")
    document.save(path)
    return path


def set_content(document: Any, index: int, data: bytes, filter_name: str | None = None) -> None:
    for number, xref in enumerate(document[index].get_contents()):
        document.update_stream(xref, data if number == 0 else b" ", compress=False)
        if filter_name is not None and number == 0:
            document.xref_set_key(xref, "Filter", filter_name)


def png_bomb(path: Path, side: int) -> Path:
    """A few bytes that declare side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))))
    return path


def zipped(path: Path, parts: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def _office(main: str, parts: dict[str, str], targets: list[tuple[str, str]]) -> dict[str, str]:
    links = [f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{to}"/>' for n, (kind, to) in enumerate(targets)]
    folder, _, name = main.rpartition("/")
    root = f'<Relationship Id="r0" Type="{OFFICE}/officeDocument" Target="{main}"/>'
    return {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": RELATIONSHIPS.format(root),
        f"{folder}/_rels/{name}.rels": RELATIONSHIPS.format("".join(links)),
        **parts,
    }


def docx(path: Path, body: str | None = None) -> Path:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = body or (
        f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr>{run.format("A heading")}</w:p>'
        f"<w:p>{run.format('First paragraph, größer.')}</w:p>"
        f"<w:p><w:pPr><w:numPr/></w:pPr>{run.format('an item')}</w:p>"
        "<w:tbl><w:tr>"
        + "".join(f"<w:tc><w:p>{run.format(cell)}</w:p></w:tc>" for cell in ("left", "right"))
        + '</w:tr></w:tbl><w:p><w:r><w:br w:type="page"/></w:r></w:p>'
        f"<w:p>{run.format('On the second page')}</w:p>"
    )
    xml = f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'
    return zipped(path, _office("word/document.xml", {"word/document.xml": xml}, []))


def pptx(path: Path, slides: int = 2) -> Path:
    a, p = "http://schemas.openxmlformats.org/drawingml/2006/main", "http://schemas.openxmlformats.org/presentationml/2006/main"  # fmt: skip  # noqa: E501
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="r{n}"/>' for n in range(slides))
    parts = {
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{p}" xmlns:r="{OFFICE}"><p:sldIdLst>{ids}</p:sldIdLst>'
        "</p:presentation>"
    }
    for n in range(slides):
        parts[f"ppt/slides/slide{n + 1}.xml"] = (
            f'<p:sld xmlns:p="{p}" xmlns:a="{a}"><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r><a:t>Slide {n + 1}'
            "</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>"
        )
    return zipped(
        path, _office("ppt/presentation.xml", parts, [("slide", f"slides/slide{n + 1}.xml") for n in range(slides)])
    )


def xlsx(path: Path) -> Path:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rows = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>Sum</t></is></c></row>'
        '<row r="2"><c r="A2" t="s"><v>1</v></c><c r="C2"><v>12.5</v></c></row>'
    )
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{space}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="Stock" sheetId="1" r:id="r0"/><sheet name="Void" sheetId="2" r:id="r2"/></sheets></workbook>',
        "xl/sharedStrings.xml": f'<sst xmlns="{space}"><si><t>Name</t></si><si><r><t>Mül</t></r><r><t>ler</t></r></si></sst>',  # noqa: E501
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>',
        "xl/worksheets/sheet2.xml": f'<worksheet xmlns="{space}"><sheetData/></worksheet>',
    }
    targets = [
        ("worksheet", "worksheets/sheet1.xml"),
        ("sharedStrings", "sharedStrings.xml"),
        ("worksheet", "/xl/worksheets/sheet2.xml"),
    ]
    return zipped(path, _office("xl/workbook.xml", parts, targets))


def noise(seconds: float, rate: int, channels: int) -> NDArray[np.float32]:
    """A different hum in each channel, its loudness stepping every second."""
    t = np.arange(round(seconds * rate)) / rate
    loudness = 0.1 + 0.05 * (t.astype(int) % 7)
    return np.stack([loudness * np.sin(2 * np.pi * (220 + 330 * c) * t) for c in range(channels)]).astype(np.float32)


def sound(
    path: Path, container: str, codec: str, rate: int, samples: NDArray[np.float32], *, video: bool = False
) -> Path:
    """A recording of float samples [channels, n] in any container and codec that FFmpeg writes."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[0]]
    with av.open(str(path), "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout) if samples.shape[1] else None
        if video:
            pictures: Any = out.add_stream("libvpx" if container == "webm" else "mpeg4", rate=5)
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
            for number in range(5):
                picture = av.VideoFrame(64, 64, "yuv420p")
                picture.pts = number
                out.mux(pictures.encode(picture))
            out.mux(pictures.encode(None))
        if stream is not None:
            fitted = av.AudioResampler(stream.format, layout, rate, stream.codec_context.frame_size or None)
            for start in range(0, samples.shape[1], rate):
                block = np.ascontiguousarray(samples[:, start : start + rate])
                frame = av.AudioFrame.from_ndarray(block, "fltp", layout)
                frame.sample_rate, frame.pts = rate, start
                for piece in fitted.resample(frame):
                    out.mux(stream.encode(piece))
            for piece in fitted.resample(None):
                out.mux(stream.encode(piece))
            out.mux(stream.encode(None))
    return path
