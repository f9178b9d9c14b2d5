"""A checkpoint that cannot be had ends a local run in words, before anything is frozen or started."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from encoders.checkpoints import CheckpointError
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.runfiles import list_runs
from pipelines.settings import load_settings
from pipelines.storage import Storage


def test_what_cannot_be_pulled_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"INTERLACE_HOME": str(tmp_path / "home"), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    for name, value in {**given, "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    for name in ("INTERLACE_MIRROR", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    Image.new("RGB", (40, 40), "white").save(tmp_path / "a.png")
    told, out = StringIO(), str(tmp_path / "out")
    settings = load_settings(None, {"cluster.num_gpus": 0, "run.tasks": ["ocr"]}, {}).settings
    with pytest.raises(CheckpointError) as refused:
        Run(settings, [str(tmp_path / "a.png")], out, Progress(Console(file=told, width=200))).execute()
    message = str(refused.value)
    assert "ocr cannot start without the checkpoint ocr_detection:onnx" in message
    assert str(tmp_path) in message and "interlace models pull" in message and "\n" not in message
    assert "downloading the checkpoint ocr_detection:onnx" in told.getvalue()
    assert "starting Ray" not in told.getvalue() and not list_runs(Storage(out))
