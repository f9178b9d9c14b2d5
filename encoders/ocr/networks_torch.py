"""The two networks as `transformers` modules: on CUDA the recogniser in half precision, on CPU both in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import AutoModelForObjectDetection, AutoModelForTextRecognition

from encoders.ocr.networks import ALL, WESTERN, Steps, western_symbols


class TorchNetworks:
    """Detector and recogniser with batch norms folded into the convolutions, channels last."""

    def __init__(self, detector: Path, recogniser: Path, *, device: str, features: str, threads: int) -> None:
        self._device = torch.device(device)
        on_gpu = self._device.type == "cuda"
        # The detector stays in float32 (cuDNN rounds its products to TF32): in half precision the edges of lines move
        # by up to a pixel: on an H200, 25 of 5,146 word boxes then overlapped ONNX Runtime's by < 0.9.
        half = torch.float16 if on_gpu else torch.float32
        self.pages_per_batch, self.lines_per_batch = (8, 128) if on_gpu else (1, 1)
        if not on_gpu:  # cudnn.benchmark stays off: batches differ in length and width, it would search anew for each
            torch.set_num_threads(threads)
        self._features = features
        characters = alphabet_of(recogniser)
        kept = western_symbols(characters)
        self.characters = {ALL: characters, WESTERN: [characters[i] for i in kept]}
        self._detector = self._prepared(AutoModelForObjectDetection.from_pretrained(detector), torch.float32)
        self._recogniser = self._prepared(AutoModelForTextRecognition.from_pretrained(recogniser), half)
        whole: nn.Linear = self._recogniser.head.head
        columns = torch.tensor(kept, device=self._device)
        self._classifiers = {ALL: (whole.weight, whole.bias), WESTERN: (whole.weight[columns], whole.bias[columns])}

    def _prepared(self, model: Any, dtype: torch.dtype) -> Any:
        fuse_batch_norms(model.eval())
        return model.requires_grad_(False).to(self._device, dtype, memory_format=torch.channels_last)

    def _input(self, batch: NDArray[np.float32], model: Any) -> torch.Tensor:
        tensor = torch.from_numpy(batch)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(model.dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def detect(self, pages: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `OcrNetworks`."""
        with _memory_errors():
            return self._detector(self._input(pages, self._detector)).last_hidden_state[:, 0].float().cpu().numpy()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def recognise(self, lines: NDArray[np.float32], alphabet: str = ALL) -> Steps:
        """See `OcrNetworks`. The softmax over 18,710 classes is never formed: it would be 12 % of the time."""
        with _memory_errors():
            model: Any = self._recogniser
            pooled = model.model(self._input(lines, model)).last_hidden_state  # [n, 384, 1, T]
            hidden = model.head.encoder(pooled).last_hidden_state  # [n, T, 120]
            logits = nn.functional.linear(hidden, *self._classifiers[alphabet]).float()
            best, symbols = logits.max(dim=-1)
            confidences = torch.exp(best - torch.logsumexp(logits, dim=-1))
            chosen = {"none": None, "neck": hidden, "backbone": pooled[:, :, 0].transpose(1, 2)}[self._features]
            features = None if chosen is None else chosen.to(torch.float16).cpu().numpy()
            return Steps(symbols.cpu().numpy(), confidences.cpu().numpy(), features)

    def parameters(self) -> dict[str, int]:
        """See `OcrNetworks`."""
        named = {"ocr_detection": self._detector, "ocr_recognition": self._recogniser}
        return {name: sum(p.numel() for p in model.parameters()) for name, model in named.items()}


class _memory_errors:
    """Turns torch's out-of-memory error into `MemoryError` and frees what the failed call had cached."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            raise MemoryError(str(error)) from error


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
