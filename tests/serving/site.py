"""Files on an HTTP server, and the files themselves: small ones whose content is known."""

from __future__ import annotations

import base64
import http.server
import io
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import pymupdf
from PIL import Image, ImageDraw, ImageFont

TOTAL = "144.02"


@cache
def receipt() -> bytes:
    """A PNG of a receipt whose total is `TOTAL`."""
    image = Image.new("RGB", (480, 360), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype("DejaVuSans.ttf", 26)
    for row, text in enumerate(("HARBOUR CAFE", "Tea 3.50", "Cake 140.52", f"TOTAL {TOTAL}")):
        draw.text((40, 40 + 70 * row), text, font=font, fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@cache
def pdf(pages: int = 2) -> bytes:
    """A PDF with a text layer, one line a page."""
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page = document.new_page(width=400, height=300)
        page.insert_text((50, 80), f"This is sheet number {number} of the report", fontsize=14)
    return bytes(document.tobytes(no_new_id=True))


def data_uri(data: bytes, media_type: str = "application/octet-stream") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def image_part(data: bytes | None = None) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_uri(data or receipt(), "image/png")}}


def file_part(data: bytes, name: str | None = None) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data_uri(data)} | ({"filename": name} if name else {})}


class _Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        found = {"/receipt": receipt, "/report.pdf": pdf, "/lines.csv": lambda: b"day,count\n1,5\n2,7\n"}.get(path)
        if found is None:
            self.send_error(404)
            return
        body = found()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve_folder(host: str) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer((host, 0), _Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{host}:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
