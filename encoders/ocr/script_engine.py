"""The script network on a device: windows of lines to what it says of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from encoders.ocr.script_network import WEIGHTS, ScriptNetwork, prepare
from encoders.transfers import Fetch, to_card

_SIZES = (8, 16, 32, 64, 128)
"""Windows of a batch on CUDA, filled up with empty ones: cuDNN plans each shape that it meets. Of 32 at a time, 256
windows are some 300 operations, which take longer to begin than to do."""

_TOGETHER = 32  # elsewhere

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Log probabilities [n, 28] of `script_network.CLASSES`, and logits [n] of being upside down."""


class ScriptEngine:
    """The weights that lie beside this file, loaded."""

    def __init__(self, device: str = "cpu") -> None:
        network = ScriptNetwork()
        network.load_state_dict({k: v.float() for k, v in load_file(WEIGHTS).items()}, strict=False)
        self._network, self._device = network.eval().to(device), torch.device(device)
        self._parameters: int = sum(p.numel() for p in network.parameters())
        self._sizes: tuple[int, ...] = ()
        if self._device.type == "cuda":
            self._begin_less()

    def _begin_less(self) -> None:
        """Have fewer and larger operations, whose results differ in the last bits."""
        self._network.fold()
        self._sizes = _SIZES

    @torch.inference_mode()
    def __call__(self, windows: NDArray[np.uint8]) -> Callable[[], Scores]:
        """What waits for the scores of windows [n, 40, 256], n of one or more."""
        crops = to_card(windows, self._device)[:, None]
        if self._sizes:
            found = [self._network(batch) for batch in self._filled(prepare(crops))]
        else:
            found = [self._network(prepare(batch)) for batch in crops.split(_TOGETHER)]
        scores, upside = (torch.cat(parts)[: len(crops)].double() for parts in zip(*found, strict=True))
        coming = Fetch(scores, upside)

        def both() -> Scores:
            scored, turned = coming.wait()
            return scored, turned

        return both

    def _filled(self, crops: Tensor) -> list[Tensor]:
        """In batches, the last of which has a size of a batch too."""
        batches = list(crops.split(self._sizes[-1]))
        size = next(size for size in self._sizes if size >= len(batches[-1]))
        batches[-1] = functional.pad(batches[-1], (0, 0, 0, 0, 0, 0, 0, size - len(batches[-1])))
        return batches

    def parameters(self) -> int:
        """Of the network."""
        return self._parameters
