"""The two networks as `transformers` modules: on CUDA the recogniser in half precision, on CPU both in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.ocr.cropper import Cropper, HostCropper
from encoders.ocr.modules import DetectionModule, RecognitionModule, alphabet_of, best_symbols
from encoders.ocr.networks import ALL, WESTERN, Maps, Steps, western_symbols
from encoders.ocr.torch_cropper import TorchCropper
from encoders.transfers import Fetch, memory_errors

_BATCHES = (8, 16, 32, 64, 96, 128)
"""Lines of a batch on CUDA."""


class TorchNetworks:
    """Detector and recogniser, ``compile``d for the device if wanted."""

    def __init__(
        self, detector: Path, recogniser: Path, *, device: str, features: str, threads: int, compile: bool = False
    ) -> None:
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
        self._find: Callable[[torch.Tensor], Any] = self._detector
        self._read: Callable[[torch.Tensor], Any] = self._recogniser
        if compile:
            from encoders.ocr.compiling import compiled

            with ThreadPoolExecutor(2) as both:  # of which each waits for a compiler, or for the process that runs it
                find = both.submit(compiled, "detector", self._detector, detector, self._device)
                self._read = compiled("recogniser", self._recogniser, recogniser, self._device)
                self._find = find.result()

    def _input(self, batch: torch.Tensor | NDArray[np.float32], module: Any) -> torch.Tensor:
        tensor = torch.as_tensor(batch, device=self._device)
        return tensor.to(module.model.dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def detect(self, pages: Sequence[torch.Tensor | NDArray[np.float32]]) -> Callable[[], Maps]:
        """See `OcrNetworks`."""
        with memory_errors():
            batch = torch.cat([self._input(page, self._detector) for page in pages])
            with _tensor_float():
                coming = Fetch(self._find(batch))
        return lambda: coming.wait()[0]

    @torch.inference_mode()
    def recognise(self, lines: torch.Tensor | NDArray[np.float32], alphabet: str = ALL) -> Callable[[], Steps]:
        """See `OcrNetworks`."""
        with memory_errors():
            symbols, confidences, hidden, pooled = self._read(self._input(lines, self._recogniser))
            if alphabet == ALL:
                symbols, confidences = best_symbols(hidden, *self._recogniser.every)
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
