"""Routing by script and reading through tesseract on generated pages: ``python -m benchmarks.ocr_scripts``.

Every page is set in a Noto face, of which the script network has seen none, and says sentences it has not seen;
half are scan-like, and every third has only two sentences. Prints, by script: pages and lines routed right,
character error (spaces apart) of lines as the detector found them, CPU seconds. Needs fonts-noto-core and
fonts-noto-cjk, and the packages of `encoders.ocr.tesseract.DEBIAN_PACKAGES`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.table import Table

from benchmarks.figures import judge
from encoders.ocr import detection
from encoders.ocr.config import OcrConfig
from encoders.ocr.engines import load_networks
from encoders.ocr.geometry import as_quads
from encoders.ocr.networks import OcrNetworks
from encoders.ocr.page_reader import PageReader
from encoders.ocr.script import NATIVE, VIETNAMESE, ScriptDetector
from encoders.ocr.tesseract import MODELS, TesseractReader
from encoders.results import Line, Quad
from pipelines.train.script.degrade import scan_like
from pipelines.train.script.faces import evaluation_face, faces_for, writable
from pipelines.train.script.render import RenderedPage, render_page
from pipelines.train.script.samples import SAMPLES, SCRIPT_OF

RIGHT_TO_LEFT = ("Arab", "Hebr")
OSD_NAMES = {
    "Latin": "Latn", "Han": "Hani", "Japanese": "Jpan", "Korean": "Hang", "Hangul": "Hang",
    **{model.model: script for script, model in MODELS.items()},
}  # fmt: skip


def expected(language: str) -> str:
    """What the detector should say of a language's lines."""
    return VIETNAMESE if language == "vi" else SCRIPT_OF[language]


def route(script: str) -> str:
    """Which recogniser reads a script: one name for all that the built-in one reads."""
    return "built-in" if script in NATIVE else script


def make_page(language: str, number: int) -> tuple[RenderedPage, NDArray[np.uint8]]:
    """Page ``number`` of a language, and its image, scan-like when the number is odd."""
    script = SCRIPT_OF[language]
    rng = np.random.default_rng([number, sum(map(ord, language))])
    # Rashi is a medieval Hebrew hand that tesseract's models were not made for: a third of its letters are misread.
    faces = [face for face in faces_for(script) if evaluation_face(face) and "Rashi" not in face.path.name]
    face = faces[int(rng.integers(len(faces)))]
    count = 2 if number % 3 == 0 else int(rng.integers(4, 12))
    texts = [writable(face, str(rng.choice(SAMPLES[language]))) for _ in range(count)]
    size = int(rng.choice((18, 22, 26, 30, 36)))
    page = render_page(texts, face, size=size, right_to_left=script in RIGHT_TO_LEFT)
    return page, scan_like(page.image, rng) if number % 2 else page.image


def find_lines(networks: OcrNetworks, image: NDArray[np.uint8]) -> list[Quad]:
    """Detected lines, top to bottom."""
    config = OcrConfig().detection
    probability = networks.detect(detection.network_input(image, config))[0]
    found = detection.find_lines(probability, image.shape[0], image.shape[1], config)
    quads = as_quads([line.corners for line in found])
    return sorted(quads, key=lambda q: q[1] + q[5])


@dataclass
class Score:
    """What was measured of one script or language."""

    pages: int = 0
    routed: int = 0
    lines: int = 0
    lines_right: int = 0
    wrong_characters: dict[str, int] = field(default_factory=lambda: {"clean": 0, "scan": 0})
    characters: dict[str, int] = field(default_factory=lambda: {"clean": 0, "scan": 0})
    look_seconds: float = 0.0
    read_seconds: float = 0.0
    osd_right: int = 0
    taken_for: Counter[str] = field(default_factory=Counter)

    def error(self, kind: str) -> str:
        """Character error in percent; a dash when no such page was read."""
        if not self.characters[kind]:
            return "-"
        return f"{100 * self.wrong_characters[kind] / self.characters[kind]:.2f}"


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def osd_script(image: NDArray[np.uint8]) -> str:
    """What tesseract's own orientation and script detection says; empty when it gives up."""
    png = cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
    command = ["tesseract", "stdin", "stdout", "--psm", "0", "--dpi", "144"]
    env = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    said = subprocess.run(command, input=png, capture_output=True, env=env, check=False).stdout.decode()
    names = [line.split(":")[1].strip() for line in said.splitlines() if line.startswith("Script:")]
    return OSD_NAMES.get(names[0], names[0]) if names else ""


def read_lines(image: NDArray[np.uint8], script: str, options: argparse.Namespace) -> list[Line]:
    """The page's lines by the recogniser of its script, top to bottom."""
    config = OcrConfig(turn_pages=False, scripts=(script,))
    reader = PageReader(options.networks, options.detector, options.tesseract, config)
    return sorted(reader.read([image])[0].lines, key=lambda line: line.quad[1] + line.quad[5])


def measure(language: str, pages: int, options: argparse.Namespace) -> Score:
    """Generate pages of a language, route and read them."""
    score, truth = Score(), expected(language)
    for number in range(pages):
        page, image = make_page(language, number)
        quads = find_lines(options.networks, image)
        before = cpu_seconds()
        scripts = options.detector(image, quads)
        score.look_seconds += cpu_seconds() - before
        routes = Counter(map(route, scripts))
        score.pages += 1
        score.routed += bool(routes) and routes.most_common(1)[0][0] == route(truth)
        score.lines += len(quads)
        score.lines_right += routes[route(truth)]
        score.taken_for.update(name for name in routes.elements() if name != route(truth))
        if options.osd:
            score.osd_right += route(osd_script(image)) == route(truth)
        if number < options.read:
            before = cpu_seconds()
            lines = read_lines(image, truth, options)
            score.read_seconds += cpu_seconds() - before
            read, text = ("".join("".join(part).split()) for part in ([line.text for line in lines], page.texts))
            kind = "scan" if number % 2 else "clean"
            score.wrong_characters[kind] += Levenshtein.distance(read, text)
            score.characters[kind] += len(text)
    return score


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=12, help="pages of each script, shared out over its languages")
    parser.add_argument("--languages", nargs="*", default=list(SAMPLES))
    parser.add_argument("--by-language", action="store_true")
    parser.add_argument(
        "--read", type=int, default=4, help="so many pages of each language are read, half of them scans"
    )
    parser.add_argument("--osd", action="store_true", help="also ask tesseract --psm 0, for comparison")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.networks = load_networks(OcrConfig(engine="onnxruntime"), "cpu")
    options.detector, options.tesseract = ScriptDetector(), TesseractReader()
    options.detector.load()
    table = Table(
        "script", "pages", "routed right", "lines right", "error % clean", "scan", "look ms/page", "read s/page"
    )
    if options.osd:
        table.add_column("OSD right")
    spoken = Counter(SCRIPT_OF[language] for language in options.languages)
    total, right = 0, 0
    began = time.monotonic()
    for language in options.languages:
        script = SCRIPT_OF[language]
        pages = options.pages if options.by_language else -(-options.pages // spoken[script])
        s = measure(language, pages, options)
        total, right = total + s.pages, right + s.routed
        row = [f"{script} {language}", f"{s.pages}", f"{s.routed}", f"{s.lines_right}/{s.lines}"]
        row += [s.error("clean"), s.error("scan")]
        row += [f"{1000 * s.look_seconds / s.pages:.0f}", f"{s.read_seconds / max(1, min(s.pages, options.read)):.2f}"]
        table.add_row(*row, *([f"{s.osd_right}"] if options.osd else []))
        print(*row, f"lines taken for {dict(s.taken_for)}" if s.taken_for else "", flush=True)
    Console(width=130).print(table)
    print(
        f"pages routed right: {right}/{total} = {100 * right / max(1, total):.1f} %, {time.monotonic() - began:.0f} s"
    )
    judge("pages whose script is right", 100 * right / max(1, total), at_least=95, unit=" %")


if __name__ == "__main__":
    main()
