"""Kernels that are wrong, or that cannot be had, cost a warning and never a reading."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch

from encoders.checkpoints.resolve import resolve
from encoders.ocr import fused_networks
from encoders.ocr.fused_networks import Fused, compare, fused_or_none
from encoders.ocr.modules import DetectionModule, RecognitionModule, best_symbols

CPU = torch.device("cpu")
detection, recognition = cache(DetectionModule), cache(RecognitionModule)


def checkpoints() -> tuple[Path, Path]:
    return resolve("ocr_detection", variant="torch"), resolve("ocr_recognition", variant="torch")


def had() -> Fused | None:
    """Nothing of the networks is looked at before a trial was right."""
    nothing: Any = None
    return fused_or_none(nothing, nothing, (Path("detector"), Path("recogniser")), CPU)


def test_without_a_folder_to_write_into_the_modules_do_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INTERLACE_HOME", str(tmp_path / "file"))
    assert had() is None and "run as plain modules" in caplog.text


def test_a_trial_that_failed_is_not_begun_again_at_once_but_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("INTERLACE_HOME", str(tmp_path))
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert had() is None and "/nowhere/python" in caplog.text
    (verdict,) = tmp_path.glob("compiled/ocr-*/verdict.txt")
    verdict.write_text("the map differs")
    assert had() is None and "the map differs" in caplog.text
    earlier = time.time() - fused_networks._TRY_AGAIN - 1
    monkeypatch.setattr(time, "time", lambda: earlier + 3 * fused_networks._TRY_AGAIN)
    assert had() is None and "the map differs" not in verdict.read_text()


def as_modules(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Fused]:
    """What computes as the modules do, with one of its results changed."""

    def made(detector: DetectionModule, recogniser: RecognitionModule, device: torch.device) -> Fused:
        best = {name: partial(best_symbols, weight=w, bias=b) for name, (w, b) in recogniser.classes.items()}
        return Fused(lambda pages: change(detector(pages)), recogniser, best)

    return made


@pytest.fixture
def small_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of networks that are loaded once, on small pictures."""
    picture = fused_networks._picture
    small = lambda _, height, width, noise: picture(1, min(height, 192), min(width, 128), noise)  # noqa: E731
    monkeypatch.setattr(fused_networks, "_picture", small)
    monkeypatch.setattr(fused_networks, "DetectionModule", detection)
    monkeypatch.setattr(fused_networks, "RecognitionModule", recognition)


@pytest.mark.usefixtures("small_trial")
def test_a_trial_takes_what_differs_by_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_networks, "fused", as_modules(lambda found: found + 1e-4))
    compare(checkpoints(), CPU)


@pytest.mark.usefixtures("small_trial")
@pytest.mark.parametrize(
    "wrong",
    [lambda found: found + 0.02, lambda found: torch.where(found > 0.5, float("nan"), found), lambda found: found * 0],
)
def test_a_trial_finds_what_is_wrong(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_networks, "fused", as_modules(wrong))
    with pytest.raises(RuntimeError, match="the map differs by up to"):
        compare(checkpoints(), CPU)
