"""OCR on CUDA: parity with ONNX Runtime, what the networks alone can do, and the bare encoder in processes.

Part of `benchmarks.gpu`. Pages are scan-like A4 prose of about 50 long lines (`ocr_pages`), in image-only PDFs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

from benchmarks.bulk_ocr import character_error
from benchmarks.ocr_pages import KnownPage, dense_pages
from benchmarks.ocr_parity import compare
from benchmarks.ocr_readers import page_reader
from encoders.ocr.config import OcrConfig

PAGES_PER_FILE = 8


def parity(pages: int, threads: int, device: str = "cuda") -> dict[str, Any]:
    """The same pages through ONNX Runtime on CPU and the torch modules on CUDA, clean and scan-like."""
    known = dense_pages(pages, scanned=False) + dense_pages(pages, seed=1, scanned=True)
    images = [page.image for page in known]
    reference = page_reader(OcrConfig(engine="onnxruntime", threads=threads))
    other = page_reader(OcrConfig(engine="torch"), device)
    lines = [[page.lines for page in reader.read(images)] for reader in (reference, other)]
    return asdict(compare(*lines)) | {"pages": len(images)}


def prose(count: int, seed: int) -> list[KnownPage]:
    """Scan-like pages of long lines."""
    return dense_pages(3 * count, seed=seed, scanned=True)[::3]


def write_documents(folder: Path, documents: int, unique: int, processes: int) -> list[list[KnownPage]]:
    """``documents`` PDFs of eight pages, drawn from ``unique`` generated ones; returns the truth of each document."""
    folder.mkdir(parents=True, exist_ok=True)
    with get_context("spawn").Pool(processes) as pool:
        made = pool.starmap(prose, [(max(1, unique // processes), 100 + seed) for seed in range(processes)])
    pages = [page for some in made for page in some]
    scans = []
    for number, page in enumerate(pages):
        scans.append(folder / f"page-{number}.jpg")
        Image.fromarray(page.image).save(scans[-1], quality=75)
    rng = np.random.default_rng(7)
    truths = []
    for number in range(documents):
        chosen = rng.permutation(len(pages))[:PAGES_PER_FILE]
        with pymupdf.open() as document:
            for index in chosen:
                sheet = document.new_page(width=595, height=842)
                sheet.insert_image(sheet.rect, filename=str(scans[index]))
            document.save(folder / f"{number:05d}.pdf")
        truths.append([pages[index] for index in chosen])
    for scan in scans:
        scan.unlink()
    return truths


class Recorded:
    """The networks' inputs of one pass over some pages, to be played again without anything around them."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], device: str) -> None:
        reader = page_reader(OcrConfig(engine="torch"), device)
        networks = reader._networks
        self.pages, self.calls = len(images), []
        originals = {name: getattr(networks, name) for name in ("detect", "recognise")}
        for name, original in originals.items():
            setattr(networks, name, self._noting(name, original))
        step = networks.pages_at_once
        for start in range(0, len(images), step):
            reader.read(images[start : start + step])
        for name, original in originals.items():
            setattr(networks, name, original)
        self.reader, self._networks = reader, networks

    def _noting(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return original(*arguments)

        return call

    def seconds(self) -> dict[str, float]:
        """Wall seconds a page by network, best of three passes; results are fetched to the host as always."""
        passes = []
        for _ in range(3):
            spent = {"detect": 0.0, "recognise": 0.0}
            for name, arguments in self.calls:
                started = time.perf_counter()
                getattr(self._networks, name)(*arguments)
                spent[name] += time.perf_counter() - started
            passes.append(spent)
        best = min(passes, key=lambda spent: sum(spent.values()))
        return {name: value / self.pages for name, value in best.items()}


def reader_seconds(recorded: Recorded, images: Sequence[NDArray[np.uint8]]) -> float:
    """Wall seconds a page of the page reader in one process: pixels in, lines out."""
    step = recorded._networks.pages_at_once
    started = time.perf_counter()
    for start in range(0, len(images), step):
        recorded.reader.read(images[start : start + step])
    return (time.perf_counter() - started) / len(images)


def encoder_worker(paths: list[str], device: str, ready: str, go: str) -> None:
    """The OCR encoder in this process over these files; prints when each was done and what it took."""
    from encoders.base import MediaInput
    from encoders.ocr.encoder import OcrEncoder

    config = OcrConfig()
    encoder = OcrEncoder(config.model_copy(update={"opening": config.opening.model_copy(update={"ocr": "always"})}))
    encoder.load(device)
    inputs = [MediaInput(Path(path).name, path, "application/pdf", path=Path(path)) for path in paths]
    encoder([inputs[0]])
    Path(ready).touch()
    while not Path(go).exists():
        time.sleep(0.01)
    stages: dict[str, float] = {}
    done, lines, failures = [], {}, 0
    cpu = time.process_time()
    for item in inputs:
        perception = encoder([item])[0]
        pages = getattr(perception.result, "pages", ())
        lines[item.part_id] = [[(line.text, list(line.quad)) for line in page.lines] for page in pages]
        failures += len(perception.failures)
        done.append((time.time(), len(pages)))
        for stage, seconds in perception.seconds.items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    cpu = time.process_time() - cpu
    encoder.close()
    print(json.dumps({"done": done, "lines": lines, "stages": stages, "cpu": cpu, "failures": failures}))


def bare_processes(paths: Sequence[Path], count: int, folder: Path, device: str) -> dict[str, Any]:
    """Pages per second of the encoder in ``count`` processes without Ray; starting and warming up are not counted."""
    folder.mkdir(parents=True, exist_ok=True)
    go = folder / "go"
    go.unlink(missing_ok=True)
    workers = []
    for index in range(count):
        ready = folder / f"ready-{index}"
        ready.unlink(missing_ok=True)
        share = json.dumps([list(map(str, paths[index::count])), device, str(ready), str(go)])
        command = [sys.executable, "-m", "benchmarks.gpu", "--encoder-worker", share]
        workers.append((subprocess.Popen(command, stdout=subprocess.PIPE, text=True), ready))
    while not all(ready.exists() or process.poll() is not None for process, ready in workers):
        time.sleep(0.05)
    started = time.time()
    go.touch()
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process, _ in workers]
    events = [event for worker in found for event in worker["done"]]
    pages = sum(count for _, count in events)
    wall = max(at for at, _ in events) - started
    stages: dict[str, float] = {}
    for worker in found:
        for stage, seconds in worker["stages"].items():
            stages[stage] = stages.get(stage, 0.0) + seconds / pages
    return {
        "processes": count,
        "pages": pages,
        "pages_per_second": pages / wall,
        "seconds_per_page_by_stage": stages,
        "cpu_seconds_per_page": sum(worker["cpu"] for worker in found) / pages,
        "failures": sum(worker["failures"] for worker in found),
        "lines": {name: read for worker in found for name, read in worker["lines"].items()},
    }


def error_of(lines: dict[str, Any], truths: Sequence[Sequence[KnownPage]], documents: int) -> float:
    """Character error over the first documents."""
    names = sorted(lines)[:documents]
    read = [page for name in names for page in lines[name]]
    known = [page for name in names for page in truths[int(name.removesuffix(".pdf"))]]
    return character_error(read, [page.lines for page in known])
