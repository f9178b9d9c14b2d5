"""Requests of every kind, and the networks that each of them takes."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from tests.encoders.test_detection_encoder import form
from tests.serving.conftest import Endpoint
from tests.serving.site import file_part, image_part, pdf
from tests.serving.sounds import tone

ARCHIVE = Path(__file__).resolve().parents[2] / "examples" / "archive"
OCR = {"ocr_detection", "ocr_recognition", "script"}
SPEECH = {"speech", "speech_activity", "speaker"}
_fresh = itertools.count()


@dataclass(frozen=True, slots=True)
class Case:
    """A request: the kind of its file ("" for none), its words or task, who is asked for it, which networks run, and
    whether its encoder's adapter runs too."""

    name: str
    file: str
    asks: str
    encoder: str | None
    runs: frozenset[str]
    adapter: bool = False

    @property
    def task(self) -> str | None:
        """The task, where it is one: no decoder."""
        return self.asks if self.asks in ("ocr", "object_detection", "gui_detection", "speech_to_text") else None


def _case(name: str, file: str, asks: str, encoder: str | None, runs: set[str], adapter: bool = False) -> Case:
    return Case(name, file, asks, encoder, frozenset(runs), adapter)


CASES = (
    _case("an OCR task on a text layer", "layer", "ocr", "ocr", set()),
    _case("an OCR task on a scan", "scan", "ocr", "ocr", OCR),
    _case("an OCR task on an empty page", "blank", "ocr", "ocr", {"ocr_detection"}),
    _case("words alone", "", "What is a ship?", None, set()),
    _case("a question about a table of text", "text", "What is the total?", "ocr", set()),
    _case("a question about a text layer", "layer", "What is the total?", "ocr", set()),
    _case("a question about a scan", "scan", "What is the total?", "ocr", OCR, adapter=True),
    _case("a question about an empty page", "blank", "What is the total?", "ocr", {"ocr_detection"}),
    _case("a detection task where nothing is drawn", "scan", "object_detection", "object_detection", {"finder"}),
    _case("a detection task", "form", "object_detection", "object_detection", {"finder", "namer", "text_embedding"}),
    _case("a count in an image", "blank", "How many dogs are there?", "object_detection", {"finder"}),
    _case("a GUI task for all elements", "scan", "gui_detection", "gui_detection", {"finder"}),
    _case("silence", "silence", "speech_to_text", "speech_to_text", {"speech_activity"}),
    _case("a recording", "speech", "speech_to_text", "speech_to_text", SPEECH),
    _case("a question about a recording", "speech", "What is this about?", "speech_to_text", SPEECH),
    _case("a question about silence", "silence", "What is this about?", "speech_to_text", {"speech_activity"}),
)


def content(kind: str) -> list[dict[str, Any]]:
    """A file of the kind that nobody has sent before: what was read lately is not read again."""
    number = next(_fresh)
    if not kind:
        return []
    if kind == "text":
        return [file_part(f"day,count\n1,{number}\n".encode(), "lines.csv")]
    if kind == "layer":
        return [file_part(pdf() + b"\n%%%d" % number, "report.pdf")]
    if kind == "speech":
        sound = (ARCHIVE / "recordings" / "memo-0031.ogg").read_bytes()
        return [file_part(sound + bytes(1 + number), "memo.ogg")]
    if kind == "silence":
        return [file_part(tone(2.0 + number / 100), "tone.wav")]
    image = form() if kind == "form" else Image.new("RGB", (360, 120), "white")
    if kind == "scan":
        font = ImageFont.truetype("DejaVuSans.ttf", 26)
        ImageDraw.Draw(image).text((30, 40), "TOTAL 144.02", font=font, fill="black")
    about, out = PngImagePlugin.PngInfo(), io.BytesIO()
    about.add_text("number", str(number))
    image.save(out, "PNG", pnginfo=about)
    return [image_part(out.getvalue())]


def asked(endpoint: Endpoint, case: Case) -> dict[str, Any]:
    """The answer to a case's request."""
    if case.task is not None:
        system = {"role": "system", "content": f"<task>{case.task}</task>"}
        messages = [system, {"role": "user", "content": content(case.file)}]
        status, body, _ = endpoint.chat(messages=messages)
    else:
        status, body, _ = endpoint.chat([{"type": "text", "text": case.asks}, *content(case.file)], max_tokens=2)
    assert status == 200, body
    found: dict[str, Any] = body
    return found
