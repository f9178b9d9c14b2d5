"""OCR on CUDA: parity with ONNX Runtime, what the networks alone can do, and the bare encoder in processes.

Part of `benchmarks.gpu`. Pages are scan-like A4 prose of 45 lines of 1,280 pixels (`ocr_pages`), in image-only PDFs.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pymupdf
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.bulk_ocr import character_error
from benchmarks.busy_samples import BusySamples
from benchmarks.card_begun import begun as begun_by
from benchmarks.card_begun import since
from benchmarks.core_seconds import CARD, CoreSeconds, cores_of
from benchmarks.ocr_pages import KnownPage, dense_pages, prose_pages
from benchmarks.ocr_parity import compare
from benchmarks.ocr_readers import page_reader
from cluster.gpu_memory import card_gib
from encoders.card.budget import allocator_fraction, set_card_share
from encoders.ocr.config import OcrConfig

PAGES_PER_FILE = 8
LINES, LETTERS = 45, 82
PARTS_A_CALL = 4
_PICTURES = 64  # different ones
_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


def parity(pages: int, threads: int, device: str, config: OcrConfig) -> dict[str, Any]:
    """The same pages through ONNX Runtime on CPU and the torch modules on CUDA, clean and scan-like."""
    known = dense_pages(pages, scanned=False) + dense_pages(pages, seed=1, scanned=True)
    images = [page.image for page in known]
    reference = page_reader(OcrConfig(engine="onnxruntime", threads=threads))
    other = page_reader(config, device)
    lines = [[page.lines for page in reader.read(images)] for reader in (reference, other)]
    return asdict(compare(*lines)) | {"pages": len(images)}


def save_reading(images: Sequence[NDArray[np.uint8]], path: Path, threads: int) -> None:
    """Pages as JPEG files and how ONNX Runtime reads them on this machine's CPU, for `parity_with` on another."""
    reader = page_reader(OcrConfig(engine="onnxruntime", threads=threads))
    kept = []
    for image in images:
        _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        kept.append((data.tobytes(), reader.read([_decoded(data.tobytes())])[0].lines))
    path.write_bytes(pickle.dumps(kept))


def parity_with(path: Path, device: str, config: OcrConfig, pages: int | None = None) -> dict[str, Any]:
    """The pages of `save_reading` through the torch modules on this machine."""
    kept = pickle.loads(path.read_bytes())[:pages]
    reader = page_reader(config, device)
    ours = [page.lines for page in reader.read([_decoded(data) for data, _ in kept])]
    return asdict(compare([lines for _, lines in kept], ours)) | {"pages": len(kept)}


def _decoded(data: bytes) -> NDArray[np.uint8]:
    pixels = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    return np.ascontiguousarray(pixels[:, :, ::-1], np.uint8)


def prose(count: int, seed: int) -> list[KnownPage]:
    """Scan-like pages of long lines."""
    return prose_pages(count, seed, LINES, LETTERS)


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


def documents(folder: Path, count: int, unique: int, processes: int) -> list[list[KnownPage]]:
    """`write_documents`, or what it wrote into the folder before."""
    kept = folder.parent / "truths.pkl"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps([[KnownPage(_NO_IMAGE, page.lines) for page in document] for document in
                                       write_documents(folder, count, unique, processes)]))  # fmt: skip
    return pickle.loads(kept.read_bytes())  # type: ignore[no-any-return]


def images_of(paths: Sequence[Path], count: int) -> list[NDArray[np.uint8]]:
    """The first pages of the documents as pixels."""
    images = []
    for path in paths:
        with pymupdf.open(path) as document:
            for page in document:
                pixels = page.get_pixmap(dpi=144, alpha=False)
                images.append(np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3).copy())
                if len(images) == count:
                    return images
    return images


def write_pictures(folder: Path, count: int, processes: int) -> Path:
    """So many JPEG files of one page each: the pages of the documents there, else of some that are drawn, and links to
    them under other names."""
    source = folder / f"pictures-{count}"
    if len(list(source.glob("*.jpg"))) == count:
        return source
    source.mkdir(parents=True, exist_ok=True)
    different = min(count, _PICTURES)
    images = images_of(sorted((folder / "in").glob("*.pdf")), different)
    if len(images) < different:
        with get_context("spawn").Pool(processes) as pool:
            images = pool.starmap(_drawn, [(200 + seed,) for seed in range(different)])
    for number in range(count):
        path = source / f"{number:05d}.jpg"
        path.unlink(missing_ok=True)
        if number < different:
            Image.fromarray(images[number]).save(path, quality=75)
        else:
            os.link(source / f"{number % different:05d}.jpg", path)
    return source


def _drawn(seed: int) -> NDArray[np.uint8]:
    return prose(1, seed)[0].image


class Recorded:
    """The networks' inputs of one pass over some pages, to be played again without anything around them."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], device: str) -> None:
        reader = page_reader(OcrConfig(engine="torch", card_process=False), device)  # calls are played again here
        networks = reader._networks
        self.pages = len(images)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
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
                getattr(self._networks, name)(*arguments)()
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


def card_seconds(recorded: Recorded, images: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
    """Seconds of the card alone for a page by kind of work, as PyTorch's profiler sees its kernels; empty on a CPU."""
    if not torch.cuda.is_available():
        return {}
    step = recorded._networks.pages_at_once
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        recorded.reader.read(images[:step])
        torch.cuda.synchronize()
    spent = {event.key: event.self_device_time_total for event in profile.key_averages()}
    pages = len(images[:step])
    most = sorted(spent, key=lambda name: -spent[name])[:14]
    return {"all": sum(spent.values()) / 1e6 / pages} | {name[:90]: spent[name] / 1e6 / pages for name in most}


def encoder_worker(
    paths: list[str], device: str, share: float, seconds: float, ready: str, go: str, settings: dict[str, Any]
) -> None:
    """The OCR encoder in this process over these files, for about ``seconds``; prints when each was done and what it
    took."""
    config = OcrConfig.model_validate(settings)
    set_card_share(1.0 if config.shares_process(device) else share)  # they share one allocator, which may have the card
    if device != "cpu" and not config.shares_process(device):
        torch.cuda.set_per_process_memory_fraction(allocator_fraction(share, card_gib() or 80.0))
    from encoders.base import MediaInput
    from encoders.ocr.encoder import OcrEncoder

    encoder = OcrEncoder(config.model_copy(update={"opening": config.opening.model_copy(update={"ocr": "always"})}))
    encoder.load(device)
    inputs = [MediaInput(Path(path).name, path, "application/pdf", path=Path(path)) for path in paths]
    encoder(inputs[:PARTS_A_CALL])  # meets the shapes of batches
    Path(ready).touch()
    while not Path(go).exists():
        time.sleep(0.01)
    stages: dict[str, float] = {}
    done, lines, failures = [], {}, 0
    began, cpu = time.time(), time.process_time()
    for at in range(0, len(inputs), PARTS_A_CALL):
        if time.time() - began > seconds:
            break
        some = inputs[at : at + PARTS_A_CALL]
        for item, perception in zip(some, encoder(some)):
            pages = getattr(perception.result, "pages", ())
            lines[item.part_id] = [[(line.text, list(line.quad)) for line in page.lines] for page in pages]
            failures += len(perception.failures)
            done.append((time.time(), len(pages)))
            for stage, spent in perception.seconds.items():
                stages[stage] = stages.get(stage, 0.0) + spent
    cpu = time.process_time() - cpu
    encoder.close()
    print(json.dumps({"done": done, "lines": lines, "stages": stages, "cpu": cpu, "failures": failures}))


def bare_processes(
    paths: Sequence[Path], count: int, folder: Path, device: str, seconds: float, config: OcrConfig
) -> dict[str, Any]:
    """Pages per second of the encoder in ``count`` processes without Ray; starting and warming up are not counted.

    No process begins another call after ``seconds``, and each has a rate over the time that it took itself: calls are
    long, so that one common end would cut many of them off.
    """
    folder.mkdir(parents=True, exist_ok=True)
    go = folder / "go"
    go.unlink(missing_ok=True)
    begun, workers = time.time(), []
    settings = config.model_dump(mode="json")
    with CoreSeconds() as cores, BusySamples() as busy:
        for index in range(count):
            ready = folder / f"ready-{index}"
            ready.unlink(missing_ok=True)
            some = list(map(str, paths[index::count]))
            work = json.dumps([some, device, 1 / count, seconds, str(ready), str(go), settings])
            command = [sys.executable, "-m", "benchmarks.gpu", "--encoder-worker", work]
            environment = cores.marked(os.environ)
            workers.append((subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment), ready))
        while not all(ready.exists() or process.poll() is not None for process, ready in workers):
            time.sleep(0.05)
        card = list(cores.alive(CARD))
        before = begun_by(card)
        started = time.time()
        go.touch()
        found = [json.loads(process.communicate()[0].splitlines()[-1]) for process, _ in workers]
        launched = since(before, begun_by(card))
        cores.end_all()  # a process on the card waits for others for a while
    read = [sum(pages for _, pages in worker["done"]) for worker in found]
    took = [worker["done"][-1][0] - started for worker in found]
    stop = started + min(took)  # until here all of them worked
    in_time = sum(float(np.interp(stop, *_progress(started, worker["done"]))) for worker in found)
    pages = sum(read)
    stages: dict[str, float] = {}
    for worker in found:
        for stage, seconds in worker["stages"].items():
            stages[stage] = stages.get(stage, 0.0) + seconds / pages
    return {
        "processes": count,
        "pages": pages,
        "start_seconds": started - begun,
        "seconds": [min(took), max(took)],
        "pages_per_second": sum(of / seconds for of, seconds in zip(read, took, strict=True)),
        "seconds_per_page_by_stage": stages,
        "cpu_seconds_per_page": sum(worker["cpu"] for worker in found) / pages,
        "busy_samples": busy.mean(started, stop),
        "cores": cores_of(cores, started, stop, in_time),
        "begun": {"processes": len(card), "seconds": max(took), "by_verb": launched},
        "failures": sum(worker["failures"] for worker in found),
        "lines": {name: lines for worker in found for name, lines in worker["lines"].items()},
    }


def _progress(started: float, done: Sequence[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Times, and pages that were read by then; within a call they grow evenly."""
    return [started, *(at for at, _ in done)], [0, *accumulate(pages for _, pages in done)]


def error_of(lines: dict[str, Any], truths: Sequence[Sequence[KnownPage]], documents: int) -> float:
    """Character error over the first documents."""
    names = sorted(lines)[:documents]
    read = [page for name in names for page in lines[name]]
    known = [page for name in names for page in truths[int(name.removesuffix(".pdf"))]]
    return character_error(read, [page.lines for page in known])
