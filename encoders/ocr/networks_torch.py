"""The two networks as `transformers` modules: on CUDA the recogniser in half precision, on CPU both in float32."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModelForObjectDetection, AutoModelForTextRecognition

from encoders.ocr.cropper import Cropper, HostCropper
from encoders.ocr.fusing import fuse_batch_norms, prepare_for_gpu
from encoders.ocr.networks import ALL, WESTERN, Maps, Steps, western_symbols
from encoders.ocr.torch_cropper import TorchCropper
from encoders.ocr.transfers import Fetch, memory_errors

_BATCHES = (8, 16, 32, 64, 96, 128)
"""Lines of a batch on CUDA."""


class TorchNetworks:
    """Detector and recogniser with batch norms folded into the convolutions, channels last."""

    def __init__(self, detector: Path, recogniser: Path, *, device: str, features: str, threads: int) -> None:
        self._device = torch.device(device)
        on_gpu = self._device.type == "cuda"
        # The detector stays in float32 (cuDNN rounds its products to TF32): in half precision the edges of lines move
        # by up to a pixel: on an H200, 25 of 5,146 word boxes then overlapped ONNX Runtime's by < 0.9.
        half = torch.float16 if on_gpu else torch.float32
        self.pages_at_once, self.pages_per_batch, self.lines_per_batch = (16, 8, _BATCHES[-1]) if on_gpu else (1, 1, 1)
        if not on_gpu:  # cudnn.benchmark stays off: batches differ in length and width, it would search anew for each
            torch.set_num_threads(threads)
        self.cropper: Cropper = TorchCropper(self._device, half, _BATCHES) if on_gpu else HostCropper()
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
        if self._device.type == "cuda":
            prepare_for_gpu(model)
        return model.requires_grad_(False).to(self._device, dtype, memory_format=torch.channels_last)

    def _input(self, batch: torch.Tensor | NDArray[np.float32], model: Any) -> torch.Tensor:
        tensor = torch.as_tensor(batch, device=self._device)
        return tensor.to(model.dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def detect(self, pages: Sequence[torch.Tensor | NDArray[np.float32]]) -> Callable[[], Maps]:
        """See `OcrNetworks`."""
        with memory_errors():
            batch = torch.cat([self._input(page, self._detector) for page in pages])
            with _tensor_float():
                coming = Fetch(self._detector(batch).last_hidden_state[:, 0].float())
        return lambda: coming.wait()[0]

    @torch.inference_mode()
    def recognise(self, lines: torch.Tensor | NDArray[np.float32], alphabet: str = ALL) -> Callable[[], Steps]:
        """See `OcrNetworks`. The softmax over 18,710 classes is never formed: it would be 12 % of the time."""
        with memory_errors():
            model: Any = self._recogniser
            pooled = model.model(self._input(lines, model)).last_hidden_state  # [n, 384, 1, T]
            hidden = model.head.encoder(pooled).last_hidden_state  # [n, T, 120]
            logits = nn.functional.linear(hidden, *self._classifiers[alphabet]).float()
            best, symbols = logits.max(dim=-1)
            confidences = torch.exp(best - torch.logsumexp(logits, dim=-1))
            chosen = {"none": None, "neck": hidden, "backbone": pooled[:, :, 0].transpose(1, 2)}[self._features]
            coming = Fetch(symbols, confidences, *([] if chosen is None else [chosen.to(torch.float16)]))

        def steps() -> Steps:
            came = coming.wait()
            return Steps(came[0], came[1], came[2] if len(came) > 2 else None)

        return steps

    def parameters(self) -> dict[str, int]:
        """See `OcrNetworks`."""
        named = {"ocr_detection": self._detector, "ocr_recognition": self._recogniser}
        return {name: sum(p.numel() for p in model.parameters()) for name, model in named.items()}


@contextmanager
def _tensor_float() -> Iterator[None]:
    """Let products of float32 matrices round to TF32, as PyTorch lets convolutions anyway."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def alphabet_of(folder: Path) -> list[str]:
    """What the symbols mean: blank, dictionary, space, as the conversion or upstream's processor file lists them."""
    own = folder / "characters.json"
    if own.is_file():
        return ["", *json.loads(own.read_text(encoding="utf-8"))[1:]]
    listed = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))["character_list"]
    return ["", *listed[1:]]
