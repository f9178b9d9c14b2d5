"""Lines of scripts that the built-in recogniser does not know, read by the tesseract program, one process a page.

The lines travel as the pages of one TIFF over stdin and are read as single lines (psm 7): what the detector
found stays one line, and a page costs one process start. Measured against reading whole pages (psm 3 and 6) on
clean and scan-like pages of 12 languages: the same errors, 0-15 % less CPU, and no page is lost to layout
analysis (psm 3 lost 69 % of a Korean page). The models of whole scripts (Cyrillic, Arabic, ...) read every
language of their script as well as the languages' own models do, so no language has to be guessed.
"""

from __future__ import annotations

import csv
import io
import os
import re
import resource
import shutil
import struct
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from encoders.failures import FailureCategory, MediaError
from encoders.results import Line, Quad, Word


@dataclass(frozen=True, slots=True)
class ScriptModel:
    """The tesseract model that reads a script, and the Debian package that holds it."""

    model: str
    package: str


MODELS: dict[str, ScriptModel] = {
    script: ScriptModel(model, f"tesseract-ocr-script-{script.lower()}")
    for script, model in {
        "Cyrl": "Cyrillic", "Grek": "Greek", "Arab": "Arabic", "Hebr": "Hebrew", "Deva": "Devanagari",
        "Beng": "Bengali", "Guru": "Gurmukhi", "Gujr": "Gujarati", "Orya": "Oriya", "Taml": "Tamil",
        "Telu": "Telugu", "Knda": "Kannada", "Mlym": "Malayalam", "Sinh": "Sinhala", "Thai": "Thai", "Laoo": "Lao",
        "Khmr": "Khmer", "Mymr": "Myanmar", "Tibt": "Tibetan", "Ethi": "Ethiopic", "Geor": "Georgian",
        "Armn": "Armenian", "Hang": "Hangul",
    }.items()
} | {"Latn-VN": ScriptModel("Vietnamese", "tesseract-ocr-script-viet")}  # fmt: skip
"""Every script that is routed to tesseract, by ISO 15924 code."""

INSTALLED_SCRIPTS = (
    "Cyrl", "Grek", "Arab", "Hebr", "Deva", "Beng", "Guru", "Gujr", "Taml", "Telu", "Knda", "Mlym", "Thai", "Geor",
    "Armn", "Hang", "Latn-VN",
)  # fmt: skip
DEBIAN_PACKAGES = ("tesseract-ocr", *(MODELS[script].package for script in INSTALLED_SCRIPTS))
"""What `make system` installs. A page in any other script of MODELS fails with the name of the missing package."""

_LINE_HEIGHT = 48  # px; smaller lines are enlarged to this, see benchmarks/ocr_scripts.py
_MARGIN = 0.15  # of a line's height, added around it: detectors cut off marks above and below
_NO_SPACES = frozenset({"Thai", "Laoo", "Khmr", "Mymr", "Tibt"})  # tesseract splits words that print without a space
_LEAST_CONTRAST = 3.0  # standard deviation in grey levels; fainter crops are blank
_LSTM = 17  # of a traineddata file's parts, counted from 0: TESSDATA_LSTM
_GAP = 0.25  # of a line's height: from here on a gap between two words of those scripts is a space


class TesseractConfig(BaseModel):
    """How the tesseract program is run. None of it shapes what is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str = Field("tesseract", description="the tesseract program, by name or path")
    page_seconds: float = Field(120.0, gt=0, description="wall seconds for the lines of one page")


@dataclass(frozen=True, slots=True)
class _Crop:
    """A line cut out upright, and the transform that takes its pixels back to the page's."""

    pixels: NDArray[np.uint8]  # [h, w] grey
    to_page: NDArray[np.float64]  # [3, 3]


class TesseractReader:
    """Reads given lines of one script. Starts one single-threaded process per call and leaves none behind."""

    def __init__(self, config: TesseractConfig | None = None) -> None:
        self.config = config or TesseractConfig()
        self.runs: Counter[str] = (
            Counter()
        )  # processes that read something, by network: tesseract_ and the script's name

    @cached_property
    def installed(self) -> frozenset[str]:
        """Names of the models that this machine's tesseract has; empty when there is no tesseract."""
        return frozenset(name.strip() for name in self._listed[1:])

    @cached_property
    def _listed(self) -> list[str]:
        """What tesseract says of its models: the folder in quotes on the first line, then their names."""
        if shutil.which(self.config.command) is None:
            return []
        listed = subprocess.run(
            [self.config.command, "--list-langs"], capture_output=True, text=True, timeout=60, check=False
        )
        return listed.stdout.splitlines()

    @cache  # noqa: B019  a reader lives as long as its process
    def parameters(self, network: str) -> int:
        """About how many parameters a network of `runs` has: the models of Debian's packages store one a byte."""
        model = self.model(next(s for s, known in MODELS.items() if _network(known.model) == network))
        folder = re.search(r'"(.+)"', self._listed[0])
        return _lstm_bytes(Path(folder[1], f"{model}.traineddata")) if folder else 0

    def model(self, script: str) -> str:
        """The name of the installed model for a script; `MediaError` saying what to install when there is none."""
        if script not in MODELS:
            raise MediaError(FailureCategory.UNSUPPORTED, f"no recogniser reads script {script}")
        wanted = MODELS[script]
        for name in (wanted.model, f"script/{wanted.model}"):
            if name in self.installed:
                return name
        raise MediaError(
            FailureCategory.MODEL_FAILED,
            f"the page has {wanted.model} text ({script}) and tesseract's model for it is not installed: "
            f"apt-get install {wanted.package}",
        )

    def read(self, image: NDArray[np.uint8], quads: Sequence[Quad], script: str) -> list[Line]:
        """The lines at ``quads`` of an RGB page [h, w, 3], in the same order, one each, text in logical order.

        A line in which nothing was read has the text "" and confidence 0. Raises `MediaError`: model_failed
        when the model is not installed or tesseract reports an error, timed_out when it takes longer than
        ``page_seconds`` (it is killed then).
        """
        model = self.model(script)
        if not quads:
            return []
        crops = [_cut(image, corners) for corners in quads]
        # On bare paper tesseract sees letters of its own making.
        inked = [index for index, crop in enumerate(crops) if float(crop.pixels.std()) >= _LEAST_CONTRAST]
        rows = self._run([crops[index] for index in inked], model) if inked else {}
        if inked:
            self.runs[_network(MODELS[script].model)] += 1
        by_line = {index: rows.get(number, []) for number, index in enumerate(inked, 1)}
        return [
            _line(corners, crop, by_line.get(index, []), script)
            for index, (corners, crop) in enumerate(zip(quads, crops))
        ]

    def _run(self, crops: Sequence[_Crop], model: str) -> dict[int, list[dict[str, str]]]:
        """Rows of tesseract's word table by line, lines counted from 1."""
        command = [self.config.command, "stdin", "stdout", "-l", model, "--psm", "7", "--dpi", "144", "tsv"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
        # Should this process die first, the kernel still ends a tesseract that spins.
        limit = int(self.config.page_seconds) + 1
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (limit, limit))
        try:
            out, error = process.communicate(_tiff(crops), timeout=self.config.page_seconds)
        except subprocess.TimeoutExpired:
            raise MediaError(
                FailureCategory.TIMED_OUT,
                f"tesseract took longer than {self.config.page_seconds:g} s for {len(crops)} lines ({model})",
            ) from None
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if process.returncode != 0:
            reason = (error.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise MediaError(FailureCategory.MODEL_FAILED, f"tesseract ended with {process.returncode}: {reason}")
        rows: dict[int, list[dict[str, str]]] = {}
        table = csv.DictReader(io.StringIO(out.decode()), delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in table:
            if row["level"] == "5" and row["text"] and row["text"].strip():
                rows.setdefault(int(row["page_num"]), []).append(row)
        return rows


def _network(model: str) -> str:
    return f"tesseract_{model}"


def _lstm_bytes(trained: Path) -> int:
    """Size of the network in a traineddata file: the 18th of its parts, which lie one after the other."""
    with trained.open("rb") as file:
        (count,) = struct.unpack("<i", file.read(4))
        offsets = struct.unpack(f"<{count}q", file.read(8 * count))
    start = offsets[_LSTM]
    later = [offset for offset in offsets if offset > start]
    return min(later, default=trained.stat().st_size) - start if start >= 0 else 0


def _cut(image: NDArray[np.uint8], corners: Quad) -> _Crop:
    """Cut a line out upright with a margin, at least `_LINE_HEIGHT` high."""
    points = np.array(corners, np.float64).reshape(4, 2)
    width = max(float(np.linalg.norm(points[1] - points[0])), float(np.linalg.norm(points[2] - points[3])), 1.0)
    height = max(float(np.linalg.norm(points[3] - points[0])), float(np.linalg.norm(points[2] - points[1])), 1.0)
    scale = max(1.0, _LINE_HEIGHT / height)
    pad = _MARGIN * height * scale
    inner = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) * scale + pad
    to_crop = cv2.getPerspectiveTransform(points.astype(np.float32), inner.astype(np.float32))
    size = (round(width * scale + 2 * pad), round(height * scale + 2 * pad))
    cut = cv2.warpPerspective(image, to_crop, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return _Crop(np.asarray(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY), np.uint8), np.linalg.inv(to_crop))


def _tiff(crops: Sequence[_Crop]) -> bytes:
    """The crops as the pages of one TIFF."""
    first, *rest = (Image.fromarray(crop.pixels) for crop in crops)
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=rest)
    return buffer.getvalue()


def _line(corners: Quad, crop: _Crop, rows: Sequence[dict[str, str]], script: str) -> Line:
    """One line from the rows of its words."""
    words = tuple(_word(row, crop, script) for row in rows)
    letters = sum(len(word.text) for word in words)
    confidence = sum(word.confidence * len(word.text) for word in words) / letters if letters else 0.0
    text = " ".join(word.text for word in words)
    if script in _NO_SPACES:
        gap = _GAP * crop.pixels.shape[0] / (1 + 2 * _MARGIN)
        ends = [int(row["left"]) + int(row["width"]) for row in rows]
        spaces = [int(row["left"]) - end > gap for row, end in zip(rows[1:], ends)]
        text = "".join(word.text + " " * space for word, space in zip(words, [*spaces, False]))
    return Line(text, corners, confidence, words, script=script.partition("-")[0])


def as_printed(text: str, script: str) -> str:
    """Tesseract's spelling of a word in the code points that keyboards and search use.

    Its Greek mu is the micro sign, its Thai sara am is written in two parts, and its Tamil ends a dead
    consonant with a joiner that shows nothing.
    """
    text = unicodedata.normalize("NFC", text).replace("\u00b5", "\u03bc").replace("\u0e4d\u0e32", "\u0e33")
    return text.replace("\u200c", "") if script == "Taml" else text.strip("\u200c\u200d")


def _word(row: dict[str, str], crop: _Crop, script: str) -> Word:
    """One word, its box taken back to page pixels."""
    x, y, w, h = (float(row[key]) for key in ("left", "top", "width", "height"))
    box = np.array([[[x, y], [x + w, y], [x + w, y + h], [x, y + h]]], np.float64)
    page = cv2.perspectiveTransform(box, crop.to_page).reshape(8)
    confidence = min(1.0, max(0.0, float(row["conf"]) / 100))
    a, b, c, d, e, f, g, i = (float(v) for v in page)
    return Word(as_printed(row["text"].strip(), script), (a, b, c, d, e, f, g, i), confidence)
