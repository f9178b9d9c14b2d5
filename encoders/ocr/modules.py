"""The two networks as `transformers` modules, from a batch to what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import AutoModelForObjectDetection, AutoModelForTextRecognition

from encoders.ocr.networks import ALL, WESTERN, western_symbols


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
    """[n, 3, 48, W] in -1..1 to hidden [n, T, 120] and pooled [n, T, 384] of T = W / 8 steps."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__()
        half = torch.float16 if device.type == "cuda" else torch.float32
        self.model = _prepared(AutoModelForTextRecognition.from_pretrained(folder), device, half)
        whole: nn.Linear = self.model.head.head
        columns = torch.tensor(western_symbols(alphabet_of(folder)), device=device)
        self.classes: dict[str, tuple[Tensor, Tensor]] = {
            ALL: (whole.weight, whole.bias),
            WESTERN: (whole.weight[columns], whole.bias[columns]),
        }

    def forward(self, lines: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        pooled = self.model.model(lines).last_hidden_state  # [n, 384, 1, T]
        hidden = self.model.head.encoder(pooled).last_hidden_state
        return hidden, pooled[:, :, 0].transpose(1, 2)


def best_symbols(hidden: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The best symbol at each step and how sure it is. The softmax over 18,710 classes is never formed: it would be
    12 % of the time."""
    logits = nn.functional.linear(hidden, weight, bias).float()
    best, symbols = logits.max(dim=-1)
    return symbols, torch.exp(best - torch.logsumexp(logits, dim=-1))


def _prepared(model: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Batch norms folded into the convolutions, channels last."""
    fuse_batch_norms(model.eval())
    return model.requires_grad_(False).to(device, dtype, memory_format=torch.channels_last)


def fuse_batch_norms(model: nn.Module) -> None:
    """Fold every (convolution, batch norm) pair of the PP-OCR modules into the convolution, in place."""
    for module in model.modules():
        convolution = getattr(module, "convolution", None)
        if not isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
            continue
        for name in ("normalization", "norm"):
            norm = getattr(module, name, None)
            if isinstance(norm, nn.BatchNorm2d):
                fused = fuse_conv_bn_eval(convolution, norm, transpose=isinstance(convolution, nn.ConvTranspose2d))
                module.convolution = fused
                setattr(module, name, nn.Identity())


def alphabet_of(folder: Path) -> list[str]:
    """What the symbols mean: blank, dictionary, space, as the conversion or upstream's processor file lists them."""
    own = folder / "characters.json"
    if own.is_file():
        return ["", *json.loads(own.read_text(encoding="utf-8"))[1:]]
    listed = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))["character_list"]
    return ["", *listed[1:]]
