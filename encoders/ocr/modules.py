"""The two networks as modules from a batch to what is kept of it, ready to run on a device or to be compiled for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForObjectDetection, AutoModelForTextRecognition

from encoders.ocr.fusing import fuse_batch_norms, prepare_for_gpu
from encoders.ocr.networks import western_symbols

Reading = tuple[Tensor, Tensor, Tensor, Tensor]
"""Best symbols of the western alphabet [n, T], how sure they are [n, T], hidden [n, T, 120], pooled [n, T, 384]."""


class DetectionModule(nn.Module):
    """[n, 3, H, W] in -1..1 to [n, H, W], the probability that a pixel belongs to the core of a line."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__()
        # In float32 (cuDNN rounds its products to TF32): in half precision the edges of lines move by up to a pixel:
        # on an H200, 25 of 5,146 word boxes then overlapped ONNX Runtime's by < 0.9.
        self.model = _prepared(AutoModelForObjectDetection.from_pretrained(folder), device, torch.float32)

    def forward(self, pages: Tensor) -> Tensor:
        """See the class."""
        return self.model(pages).last_hidden_state[:, 0].float()  # type: ignore[no-any-return]


class RecognitionModule(nn.Module):
    """[n, 3, 48, W] in -1..1 to a `Reading` of T = W / 8 steps."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__()
        half = torch.float16 if device.type == "cuda" else torch.float32
        self.model = _prepared(AutoModelForTextRecognition.from_pretrained(folder), device, half)
        whole: nn.Linear = self.model.head.head
        columns = torch.tensor(western_symbols(alphabet_of(folder)), device=device)
        self.every = (whole.weight, whole.bias)
        self.western = nn.Linear(whole.in_features, len(columns), device=device, dtype=half).requires_grad_(False)
        self.western.weight.copy_(whole.weight[columns])
        self.western.bias.copy_(whole.bias[columns])

    def forward(self, lines: Tensor) -> Reading:
        """See the class."""
        pooled = self.model.model(lines).last_hidden_state  # [n, 384, 1, T]
        hidden = self.model.head.encoder(pooled).last_hidden_state  # [n, T, 120]
        symbols, confidences = best_symbols(hidden, self.western.weight, self.western.bias)
        return symbols, confidences, hidden, pooled[:, :, 0].transpose(1, 2)


def best_symbols(hidden: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The best symbol at each step and how sure it is. The softmax over 18,710 classes is never formed: it would be
    12 % of the time."""
    logits = nn.functional.linear(hidden, weight, bias).float()
    best, symbols = logits.max(dim=-1)
    return symbols, torch.exp(best - torch.logsumexp(logits, dim=-1))


def _prepared(model: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Batch norms folded into the convolutions, channels last."""
    fuse_batch_norms(model.eval())
    if device.type == "cuda":
        prepare_for_gpu(model)
    return model.requires_grad_(False).to(device, dtype, memory_format=torch.channels_last)


def alphabet_of(folder: Path) -> list[str]:
    """What the symbols mean: blank, dictionary, space, as the conversion or upstream's processor file lists them."""
    own = folder / "characters.json"
    if own.is_file():
        return ["", *json.loads(own.read_text(encoding="utf-8"))[1:]]
    listed = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))["character_list"]
    return ["", *listed[1:]]
