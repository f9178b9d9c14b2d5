"""How busy the cards are while something runs, by their driver."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Self


class BusySamples:
    """What the driver says of the GPUs that may be used, five times a second, while it is open; nothing where there is
    none. The share of the time in which some kernel ran."""

    def __enter__(self) -> Self:
        self._samples: list[tuple[float, list[float]]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        try:
            from ray._private.thirdparty import pynvml  # comes with every Ray
        except ImportError:
            return
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            numbers = [int(name) for name in visible.split(",") if name.strip().isdigit()]
            cards = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in numbers or range(pynvml.nvmlDeviceGetCount())]
            while not self._done.wait(0.2):
                shares = [pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100 for card in cards]
                self._samples.append((time.time(), shares))

    def mean(self, start: float, stop: float) -> list[float]:
        """Of each card over a stretch of `time.time`; empty where nothing was seen."""
        seen = [shares for at, shares in list(self._samples) if start <= at <= stop]
        return [sum(of) / len(seen) for of in zip(*seen)]
