"""Compiled networks: what does not compile, load or run costs a warning and never a reading."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from encoders.ocr.compiling import SHAPES, CompiledNetwork, compiled
from encoders.ocr.config import OcrConfig
from encoders.ocr.encoder import OcrEncoder

PLAIN = torch.nn.Linear(2, 2).requires_grad_(False)


def _compiled() -> object:
    return compiled("recogniser", PLAIN, Path("weights"), torch.device("cpu"))


def test_without_a_folder_to_write_into_the_network_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INTERLACE_HOME", str(tmp_path / "file"))
    assert _compiled() is PLAIN
    assert "the recogniser of weights runs uncompiled" in caplog.text


def test_a_making_that_failed_is_not_begun_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("INTERLACE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert _compiled() is PLAIN
    (failed,) = tmp_path.glob("compiled/recogniser-*/failed.txt")
    failed.write_text("no compiler here")
    assert _compiled() is PLAIN
    assert caplog.text.count("runs uncompiled") == 2 and "no compiler here" in caplog.text


def test_a_batch_that_the_package_does_not_take_runs_uncompiled(caplog: pytest.LogCaptureFixture) -> None:
    def package(batch: torch.Tensor) -> str:
        if len(batch) == 4:
            raise RuntimeError("out of memory")
        return "compiled"

    network = CompiledNetwork("recogniser", lambda batch: "plain", package)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        ran = [network(torch.zeros(n, 3, 48, w)) for n, w in ((8, 64), (1, 64), (8, 32), (8, 3232), (4, 64), (4, 64))]
    assert ran == ["compiled", "plain", "plain", "plain", "plain", "plain"]
    assert caplog.text.count("failed on (4, 3, 48, 64)") == 1
    assert SHAPES["detector"].holds(torch.zeros(2, 3, 64, 96)) and not SHAPES["detector"].holds(
        torch.zeros(2, 3, 64, 97)
    )


def test_compiling_shapes_no_perception() -> None:
    quick = OcrConfig(compile_networks=True, block_waits=True)
    assert OcrEncoder(quick).fingerprint() == OcrEncoder(OcrConfig()).fingerprint()
