"""A run loads and touches the networks that its assets and its question need, and says so."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from ray import serve
from rich.console import Console

from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import save_adapter
from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.report import ReportLimits, write_report
from pipelines.run import Run
from pipelines.settings import load_settings
from pipelines.storage import Storage
from pipelines.summary import print_networks
from pipelines.view import newest_figures
from tests.decoder.tiny import save_tiny
from tests.encoders.test_detection_encoder import form
from tests.pipelines.conftest import ARCHIVE

SPEECH = ("speech", "speech_activity", "speaker")


def parts(outcome: Outcome) -> dict[str, dict[str, int]]:
    """For how many parts, or answers, each loaded network ran, by pool."""
    assert outcome.figures is not None and outcome.ledger.balanced
    networks = outcome.figures.networks
    assert all(figures.parameters > 0 for pool in networks.values() for figures in pool.values())
    return {task: {name: figures.parts for name, figures in pool.items()} for task, pool in networks.items()}


def test_a_run_says_what_it_took_at_its_end_and_ever_after(demo: tuple[Outcome, str], tmp_path: Path) -> None:
    outcome, lake = demo
    truth = json.loads((ARCHIVE.parent / "truth.json").read_text("utf-8")).values()
    read = [asset for asset in truth if asset["status"] == "ok"]
    found = parts(outcome)
    scans = sum(asset.get("source") == "ocr" for asset in read)
    heard = sum(asset["modality"] == "audio" for asset in read)
    assert found["ocr"]["ocr_detection"] == found["ocr"]["script"] == scans < len(read) - heard  # others: a text layer
    elsewhere = sum(count for name, count in found["ocr"].items() if name.startswith("tesseract_"))
    assert found["ocr"]["ocr_recognition"] == scans - elsewhere < scans  # pages in other scripts
    assert found["speech_to_text"] == dict.fromkeys(SPEECH, heard)
    assert found["decoder"] == {"decoder": len(read)} and set(found) == {"ocr", "speech_to_text", "decoder"}
    told = newest_figures(Storage(lake), [outcome.run_id])
    assert told is not None and outcome.figures is not None and told.networks == outcome.figures.networks
    console = Console(file=io.StringIO(), width=100)
    print_networks(console, told)
    assert "134,515,008" in console.file.getvalue()  # type: ignore[attr-defined]
    write_report(lake, tmp_path / "report.html", ReportLimits(assets=1))
    assert '<table id="networks">' in (tmp_path / "report.html").read_text("utf-8")


def archive(folder: Path) -> None:
    """A plain text, a document with a text layer, a scan, an empty page, speech and silence."""
    folder.mkdir()
    (folder / "plain.txt").write_text("nothing was drawn here\n")
    document = pymupdf.open()
    document.new_page(width=400, height=300).insert_text((50, 80), "This sheet has a text layer of its own")
    document.save(folder / "layer.pdf")
    for name, text in (("scan.png", "TOTAL 12.50"), ("empty.png", "")):
        image = Image.new("RGB", (500, 160), "white")
        ImageDraw.Draw(image).text((30, 40), text, fill="black", font=ImageFont.truetype("DejaVuSans.ttf", 28))
        image.save(folder / name)
    (folder / "memo.ogg").write_bytes((ARCHIVE / "recordings" / "memo-0031.ogg").read_bytes())
    with wave.open(str(folder / "silence.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.sin(np.arange(32_000) / 12) * 3000).astype("<i2").tobytes())


READ = {
    "ocr": {"ocr_detection": 2, "ocr_recognition": 1, "script": 1},
    "speech_to_text": {"speech": 1, "speech_activity": 2, "speaker": 1},
}
SOUGHT = {"gui_detection": {"finder": 1, "namer": 1, "text_embedding": 0, "gui_detection_adapter": 1}}
LOOKED = {"object_detection": {"finder": 4, "namer": 1, "text_embedding": 1}}  # the vocabulary is embedded once


@pytest.mark.full
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    ("files", "given", "expected"),
    [
        ("*", {}, READ),
        ("*", {"run.prompt": "Total?"}, READ | {"decoder": {"tiny": 6}}),
        (
            "*",
            {"run.prompt": "Total?", "decoder.mode.ocr": "both"},
            READ | {"ocr": READ["ocr"] | {"ocr_adapter": 1}, "decoder": {"tiny": 6}},
        ),
        ("plain.txt", {}, {}),  # no page is an image, so nothing is loaded
        ("layer.pdf", {"run.prompt": "Total?"}, {"decoder": {"tiny": 1}}),
        ("memo.ogg", {}, {"speech_to_text": dict.fromkeys(SPEECH, 1)}),
        ("silence.wav", {}, {"speech_to_text": {"speech": 0, "speech_activity": 1, "speaker": 0}}),
        ("*.p*", {"run.tasks": ["object_detection"]}, LOOKED),
        (
            "form.png",
            {"run.tasks": ["gui_detection"], "run.prompt": "How many buttons?", "decoder.mode.gui_detection": "both"},
            SOUGHT | {"decoder": {"tiny": 1}},
        ),
    ],
    ids=[
        "all",
        "all, asked",
        "all, asked, adapter",
        "text",
        "text layer, asked",
        "speech",
        "silence",
        "detection",
        "detection, asked, adapter",
    ],
)
def test_every_kind_takes_its_own_networks(
    tmp_path: Path, files: str, given: dict[str, Any], expected: dict[str, dict[str, int]]
) -> None:
    archive(tmp_path / "in")
    if "run.tasks" in given:
        form().save(tmp_path / "in" / "form.png")
    torch.manual_seed(0)
    shape = AdapterConfig(task="ocr", d_encoder=120, d_model=64, embedding_scale=0.02)
    save_adapter(Adapter(shape), tmp_path / "adapter")
    things = {"reach": 1, "strides": (), "widths": (8,), "rates": (1,), "steps_per_token": 1}
    shape = AdapterConfig(task="gui_detection", d_encoder=390, d_model=64, embedding_scale=0.02, **things)  # type: ignore[arg-type]
    save_adapter(Adapter(shape), tmp_path / "things")
    decoder = {"decoder.checkpoint": str(save_tiny(tmp_path / "tiny", "llama")), "decoder.dtype": "float32"}
    decoder |= {"decoder.max_new_tokens": 4, "decoder.prompt_tokens": 300, "cluster.num_cpus": 2}
    decoder |= {"adapters.ocr": str(tmp_path / "adapter"), "adapters.gui_detection": str(tmp_path / "things")}
    settings = load_settings(None, decoder | given, {}).settings
    quiet = Progress(Console(file=(tmp_path / "progress").open("w")))
    run = Run(settings, [str(tmp_path / "in" / files)], str(tmp_path / "lake"), quiet)
    before = set(serve.status().applications)
    found = parts(run.execute())
    assert {task: {Path(name).name: n for name, n in pool.items()} for task, pool in found.items()} == expected
    if "run.prompt" not in given:
        assert run._decoder_lease is None and set(serve.status().applications) == before
