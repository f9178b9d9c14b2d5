"""The networks made of our own kernels compute what the modules do. Without a GPU triton's interpreter runs them."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from transformers import AutoModelForObjectDetection, AutoModelForTextRecognition

from benchmarks.ocr_pages import dense_pages
from encoders.checkpoints.resolve import resolve
from encoders.ocr import fused, kernels, line_kernels, map_kernels
from encoders.ocr.modules import best_symbols, fuse_batch_norms
from tests.encoders.interpreter import quicken

CPU = torch.device("cpu")

quicken()
page = cache(lambda: dense_pages(1)[0])


def large_tiles(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """The interpreter takes about as long for a large tile as for a small one; two of each are left to every map."""
    for module in (kernels, line_kernels, map_kernels):
        monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(fused, "_TILES", {})
    monkeypatch.setattr(fused, "_TILE", (rows, 32, 4, 1))


def model_of(kind: Any, role: str) -> Any:
    model = kind.from_pretrained(resolve(role, variant="torch")).eval().requires_grad_(False)
    fuse_batch_norms(model)
    return model


def pixels(height: int, width: int, *, rows: slice, columns: slice) -> torch.Tensor:
    """A piece of a page [1, 3, height, width], BGR in -1..1, channels last."""
    piece = page().image[rows, columns]
    scaled = cv2.resize(piece, (width, height), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    values = torch.from_numpy(np.ascontiguousarray(scaled)).float() / 127.5 - 1
    return values.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_the_recogniser_reads_what_the_module_does(monkeypatch: pytest.MonkeyPatch) -> None:
    large_tiles(monkeypatch, 128)
    model = model_of(AutoModelForTextRecognition, "ocr_recognition")
    text, box = page().lines[0]
    left, top, _, bottom = map(int, box)
    line = pixels(48, 64, rows=slice(top, bottom), columns=slice(left, left + (bottom - top) * 4 // 3))
    pooled = model.model(line).last_hidden_state
    hidden = model.head.encoder(pooled).last_hidden_state
    ours, ours_pooled = fused.FusedRecogniser(model, CPU)(line.half())
    assert torch.allclose(ours_pooled.float(), pooled[:, :, 0].transpose(1, 2), atol=0.01 * float(pooled.abs().max()))
    assert torch.allclose(ours.float(), hidden, atol=0.01 * float(hidden.abs().max()))
    weight, bias = model.head.head.weight[:300], model.head.head.bias[:300]
    symbols, confidences = line_kernels.best(hidden.half(), fused.classes_of(weight, bias))
    wanted, sure = best_symbols(hidden.half().float(), weight, bias)
    assert torch.equal(symbols, wanted) and torch.allclose(confidences, sure, atol=1e-3)
    assert text and len(symbols.unique()) > 2  # letters, not only blanks


@torch.inference_mode()
def test_the_detector_finds_what_the_module_does(monkeypatch: pytest.MonkeyPatch) -> None:
    large_tiles(monkeypatch, 64)
    model = model_of(AutoModelForObjectDetection, "ocr_detection")
    piece = pixels(64, 32, rows=slice(60, 160), columns=slice(90, 140))
    wanted = model(piece).last_hidden_state[:, 0]
    assert float(wanted.max()) > 0.5
    assert torch.allclose(fused.FusedDetector(model, CPU)(piece), wanted, atol=0.01)
