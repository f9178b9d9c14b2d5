"""The two networks in PyTorch: on CUDA by kernels of our own, elsewhere as `transformers` modules in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.ocr.cropper import Cropper, HostCropper
from encoders.ocr.fused_networks import fused_or_none
from encoders.ocr.modules import DetectionModule, RecognitionModule, alphabet_of, best_symbols
from encoders.ocr.networks import ALL, WESTERN, Maps, Steps, western_symbols
from encoders.ocr.torch_cropper import TorchCropper
from encoders.transfers import Fetch, memory_errors

_BATCHES = (8, 16, 32, 64, 96, 128)
"""Lines of a batch on CUDA."""


class TorchNetworks:
    """Detector and recogniser."""

    def __init__(self, detector: Path, recogniser: Path, *, device: str, features: str, threads: int) -> None:
        self._device = torch.device(device)
        on_gpu = self._device.type == "cuda"
        self.pages_at_once, self.pages_per_batch = (16, 8) if on_gpu else (1, 1)
        self.line_batches: tuple[int, ...] = _BATCHES if on_gpu else (1,)
        if not on_gpu:  # cudnn.benchmark stays off: batches differ in length and width, it would search anew for each
            torch.set_num_threads(threads)
        self._features = features
        characters = alphabet_of(recogniser)
        self.characters = {ALL: characters, WESTERN: [characters[i] for i in western_symbols(characters)]}
        self._detector = DetectionModule(detector, self._device)
        self._recogniser = RecognitionModule(recogniser, self._device)
        dtype = self._recogniser.model.dtype
        self.cropper: Cropper = TorchCropper(self._device, dtype, _BATCHES) if on_gpu else HostCropper()
        self._find: Callable[[torch.Tensor], torch.Tensor] = self._detector
        self._read: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]] = self._recogniser
        classes = self._recogniser.classes
        self._best: dict[str, Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]] = {
            alphabet: partial(best_symbols, weight=weight, bias=bias) for alphabet, (weight, bias) in classes.items()
        }
        if on_gpu:
            made = fused_or_none(self._detector, self._recogniser, (detector, recogniser), self._device)
            if made is not None:
                self._find, self._read, self._best = made.find, made.read, made.best
                self.cropper = made.cropper(self._device, dtype, _BATCHES)

    def _input(self, batch: torch.Tensor | NDArray[np.float32], module: Any) -> torch.Tensor:
        tensor = torch.as_tensor(batch, device=self._device)
        return tensor.to(module.model.dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def detect(self, pages: Sequence[torch.Tensor | NDArray[np.float32]]) -> Callable[[], Maps]:
        """See `OcrNetworks`."""
        with memory_errors():
            inputs = [self._input(page, self._detector) for page in pages]
            batch = torch.cat(inputs) if len(inputs) > 1 else inputs[0]
            with _tensor_float():
                coming = Fetch(self._find(batch))
        return lambda: coming.wait()[0]

    @torch.inference_mode()
    def recognise(self, lines: torch.Tensor | NDArray[np.float32], alphabet: str = ALL) -> Callable[[], Steps]:
        """See `OcrNetworks`."""
        with memory_errors():
            hidden, pooled = self._read(self._input(lines, self._recogniser))
            symbols, confidences = self._best[alphabet](hidden)
            chosen = {"none": None, "neck": hidden, "backbone": pooled}[self._features]
            coming = Fetch(symbols, confidences, *([] if chosen is None else [chosen.to(torch.float16)]))

        def steps() -> Steps:
            came = coming.wait()
            return Steps(came[0], came[1], came[2] if len(came) > 2 else None)

        return steps

    def parameters(self) -> dict[str, int]:
        """See `OcrNetworks`."""
        named = {"ocr_detection": self._detector.model, "ocr_recognition": self._recogniser.model}
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
