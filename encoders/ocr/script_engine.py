"""The script network on a device: windows of lines to what it says of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from encoders.ocr.script_network import WEIGHTS, ScriptNetwork, prepare
from encoders.transfers import Fetch, to_card

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Log probabilities [n, 28] of `script_network.CLASSES`, and logits [n] of being upside down."""


class ScriptEngine:
    """The weights that lie beside this file, loaded."""

    def __init__(self, device: str = "cpu") -> None:
        network = ScriptNetwork()
        network.load_state_dict({k: v.float() for k, v in load_file(WEIGHTS).items()}, strict=False)
        self._network, self._device = network.eval().to(device), torch.device(device)

    @torch.inference_mode()
    def __call__(self, windows: NDArray[np.uint8]) -> Callable[[], Scores]:
        """What waits for the scores of windows [n, 40, 256], n of one or more."""
        crops = to_card(windows, self._device)[:, None]
        found = [self._network(prepare(crops[start : start + 32])) for start in range(0, len(crops), 32)]
        scores, upside = (torch.cat(parts).double() for parts in zip(*found, strict=True))
        coming = Fetch(scores, upside)

        def both() -> Scores:
            scored, turned = coming.wait()
            return scored, turned

        return both

    def parameters(self) -> int:
        """Of the network."""
        return sum(p.numel() for p in self._network.parameters())
