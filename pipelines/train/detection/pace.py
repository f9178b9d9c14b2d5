"""What both trainings share: a schedule by the clock, an average of the weights, a log, and saving as float16."""

from __future__ import annotations

import copy
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


class Pace:
    """The share of the given seconds that has passed, and the learning rate that goes with it."""

    def __init__(self, seconds: float, rate: float, warm: float = 0.03) -> None:
        self.seconds, self.rate, self.warm = seconds, rate, warm
        self.started = time.monotonic()

    @property
    def passed(self) -> float:
        """0 at the start, 1 at the end."""
        return (time.monotonic() - self.started) / self.seconds

    def set(self, optimizer: torch.optim.Optimizer) -> None:
        """Warm up linearly, then fall along a cosine."""
        passed = min(1.0, self.passed)
        factor = (
            passed / self.warm
            if passed < self.warm
            else 0.5 + 0.5 * math.cos(math.pi * (passed - self.warm) / (1 - self.warm))
        )
        for group in optimizer.param_groups:
            group["lr"] = self.rate * max(factor, 0.01)


class Average:
    """An exponential average of a network's weights and statistics."""

    def __init__(self, network: nn.Module, decay: float = 0.999) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's weights; faster in the beginning."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        mine, theirs = self.network.state_dict(), network.state_dict()
        floats = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in floats], [theirs[n] for n in floats], 1 - decay)


def save(network: nn.Module, path: Path, **more: Tensor) -> None:
    """Weights as float16 safetensors."""
    weights = {
        name: value.half().contiguous().cpu()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }
    save_file({**weights, **more}, path)


class Log:
    """Rows of JSON to a file, and to the terminal."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def __call__(self, **row: float | int | str) -> None:
        """Write one row."""
        text = json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
        self._file.write(text + "\n")
        self._file.flush()
        print(text, flush=True)


def parameter_groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Weights with decay; biases and normalisation without."""
    wide = [p for p in network.parameters() if p.ndim > 1]
    return [
        {"params": wide, "weight_decay": decay},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
